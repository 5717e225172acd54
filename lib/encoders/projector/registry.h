// One entry per projector type. CMakeLists.txt lists the files of this folder that hold one; `registry.inc` is made
// from it.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "encoders/projector/projector.h"
#include "engine/base/verified.h"

namespace mtmd::encoders {

struct ProjectorType {
  std::string_view type;  ///< clip.projector_type
  std::unique_ptr<Projector> (*load)(const gguf::File& file, Device& device);
  Verified verified = Verified::recorded;
};

std::span<const ProjectorType* const> registered_projectors() noexcept;

/// The type that a file names: clip.projector_type, else clip.vision.projector_type, else "mlp" for the oldest files.
std::string_view projector_type_of(const gguf::Metadata& metadata);

}  // namespace mtmd::encoders
