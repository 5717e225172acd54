// Qwen2-Audio (arXiv:2407.10759).
#include "encoders/projector/audio_registry.h"
#include "encoders/projector/whisper_sound.h"

namespace mtmd::encoders {

extern const AudioProjectorType audio_projector_qwen2a = {
    "qwen2a", [](const gguf::File& file, Device& device) -> std::unique_ptr<AudioProjector> {
      return std::make_unique<Qwen2Sound>("qwen2a", file, device);
    }};

}  // namespace mtmd::encoders
