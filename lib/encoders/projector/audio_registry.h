// As registry.h, for sound: CMakeLists.txt lists the files that hold an entry; `audio_registry.inc` is made from it.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "encoders/projector/audio_projector.h"
#include "engine/base/verified.h"

namespace mtmd::encoders {

struct AudioProjectorType {
  std::string_view type;  ///< clip.audio.projector_type or clip.projector_type
  std::unique_ptr<AudioProjector> (*load)(const gguf::File& file, Device& device);
  Verified verified = Verified::recorded;
};

std::span<const AudioProjectorType* const> registered_audio_projectors() noexcept;

/// The type that a file names: clip.audio.projector_type, else clip.projector_type.
std::string_view audio_projector_type_of(const gguf::Metadata& metadata);

}  // namespace mtmd::encoders
