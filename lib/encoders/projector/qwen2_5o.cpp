// Qwen2.5-Omni (arXiv:2503.20215): Qwen2.5-VL's encoder for pictures and Qwen2-Audio's for sound in one file.
#include "encoders/projector/audio_registry.h"
#include "encoders/projector/registry.h"
#include "encoders/projector/whisper_sound.h"
#include "encoders/projector/windowed_picture.h"

namespace mtmd::encoders {

extern const ProjectorType projector_qwen2_5o = {
    "qwen2.5o", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Qwen25Vision>("qwen2.5o", file, device, false);
    }};

extern const AudioProjectorType audio_projector_qwen2_5o = {
    "qwen2.5o", [](const gguf::File& file, Device& device) -> std::unique_ptr<AudioProjector> {
      return std::make_unique<Qwen2Sound>("qwen2.5o", file, device);
    }};

}  // namespace mtmd::encoders
