#include "encoders/projector/registry.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "encoders/projector/audio_projector.h"
#include "engine/base/error.h"

namespace mtmd::encoders {

#define X(name) extern const ProjectorType projector_##name;
#include "registry.inc"
#undef X

std::span<const ProjectorType* const> registered_projectors() noexcept {
  static const std::array types = {
#define X(name) &projector_##name,
#include "registry.inc"
#undef X
  };
  return types;
}

std::vector<std::string_view> projector_types() {
  std::vector<std::string_view> names;
  for (const ProjectorType* type : registered_projectors()) names.push_back(type->type);
  std::sort(names.begin(), names.end());
  return names;
}

Verified verified(std::string_view type) noexcept {
  for (const ProjectorType* known : registered_projectors())
    if (known->type == type) return known->verified;
  return Verified::reference;
}

std::string_view projector_type_of(const gguf::Metadata& metadata) {
  if (const auto type = metadata.get<std::string_view>("clip.projector_type")) return *type;
  if (const auto type = metadata.get<std::string_view>("clip.vision.projector_type")) return *type;
  return metadata.get_or<bool>("clip.has_llava_projector", false) ? "mlp" : "";
}

std::unique_ptr<Projector> load_projector(const gguf::File& file, Device& device) {
  const gguf::Metadata& metadata = file.metadata();
  if (const auto architecture = metadata.get_or<std::string_view>("general.architecture", ""); architecture != "clip") {
    fail(ErrorCategory::model, "{}: general.architecture is '{}', expected 'clip': this is not an mmproj file",
         metadata.file(), architecture);
  }
  const std::string_view wanted = projector_type_of(metadata);
  for (const ProjectorType* type : registered_projectors()) {
    if (type->type != wanted) continue;
    if (!has_vision_encoder(metadata)) {
      fail(ErrorCategory::model,
           "{}: this mmproj file has no vision encoder (clip.has_vision_encoder): it cannot read pictures",
           metadata.file());
    }
    return type->load(file, device);
  }
  fail(ErrorCategory::model, "{}: projector type '{}' is not supported; supported are {}", metadata.file(), wanted,
       fmt::join(projector_types(), ", "));
}

}  // namespace mtmd::encoders
