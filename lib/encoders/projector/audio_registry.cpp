#include "encoders/projector/audio_registry.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "engine/base/error.h"

namespace mtmd::encoders {

#define X(name) extern const AudioProjectorType audio_projector_##name;
#include "audio_registry.inc"
#undef X

std::span<const AudioProjectorType* const> registered_audio_projectors() noexcept {
  static const std::array types = {
#define X(name) &audio_projector_##name,
#include "audio_registry.inc"
#undef X
  };
  return types;
}

std::vector<std::string_view> audio_projector_types() {
  std::vector<std::string_view> names;
  for (const AudioProjectorType* type : registered_audio_projectors()) names.push_back(type->type);
  std::sort(names.begin(), names.end());
  return names;
}

Verified audio_verified(std::string_view type) noexcept {
  for (const AudioProjectorType* known : registered_audio_projectors())
    if (known->type == type) return known->verified;
  return Verified::reference;
}

std::string_view audio_projector_type_of(const gguf::Metadata& metadata) {
  if (const auto type = metadata.get<std::string_view>("clip.audio.projector_type")) return *type;
  return metadata.get_or<std::string_view>("clip.projector_type", "");
}

bool has_audio_encoder(const gguf::Metadata& metadata) {
  return metadata.get_or<bool>("clip.has_audio_encoder", false);
}

bool has_vision_encoder(const gguf::Metadata& metadata) {
  return metadata.get_or<bool>("clip.has_vision_encoder", !has_audio_encoder(metadata));
}

std::unique_ptr<AudioProjector> load_audio_projector(const gguf::File& file, Device& device) {
  const gguf::Metadata& metadata = file.metadata();
  if (const auto architecture = metadata.get_or<std::string_view>("general.architecture", ""); architecture != "clip") {
    fail(ErrorCategory::model, "{}: general.architecture is '{}', expected 'clip': this is not an mmproj file",
         metadata.file(), architecture);
  }
  if (!has_audio_encoder(metadata)) {
    fail(ErrorCategory::model, "{}: clip.has_audio_encoder is not set: this mmproj file cannot hear", metadata.file());
  }
  const std::string_view wanted = audio_projector_type_of(metadata);
  for (const AudioProjectorType* type : registered_audio_projectors()) {
    if (type->type == wanted) return type->load(file, device);
  }
  fail(ErrorCategory::model, "{}: projector type '{}' is not supported for sound; supported are {}", metadata.file(),
       wanted, fmt::join(audio_projector_types(), ", "));
}

}  // namespace mtmd::encoders
