// Qwen2.5-Omni (arXiv:2503.20215): Qwen2.5-VL's encoder for pictures. The audio encoder that lies in the same file
// (clip.audio.*, a.*, mm.a.*) is left alone here.
#include "encoders/projector/registry.h"
#include "encoders/projector/windowed_picture.h"

namespace mtmd::encoders {

extern const ProjectorType projector_qwen2_5o = {
    "qwen2.5o", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Qwen25Vision>("qwen2.5o", file, device, false);
    }};

}  // namespace mtmd::encoders
