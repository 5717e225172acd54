// Qwen2.5-VL (arXiv:2502.13923): as Qwen2-VL, with attention inside windows in most layers.
#include "encoders/projector/registry.h"
#include "encoders/projector/windowed_picture.h"

namespace mtmd::encoders {

extern const ProjectorType projector_qwen2_5vl_merger = {
    "qwen2.5vl_merger", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Qwen25Vision>("qwen2.5vl_merger", file, device, true);
    }};

}  // namespace mtmd::encoders
