// Recorded pixels: decoded files, resized pictures, sizes.
#pragma once

#include <filesystem>

#include "mtmd/conformance/conformance.h"

namespace mtmd::conformance {

/// resize.golden.gguf: every filter and padding, and smart_resize.
void run_resize(const std::filesystem::path& golden, const Sink& sink);
/// decode.golden.gguf: the files of `inputs`.
void run_decode(const std::filesystem::path& golden, const std::filesystem::path& inputs, const Sink& sink);

}  // namespace mtmd::conformance
