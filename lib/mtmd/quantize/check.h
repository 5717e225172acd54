// Whether a quantised encoder still works.
#pragma once

#include <filesystem>
#include <string>

namespace mtmd::quantize {

/// Loads an mmproj file and encodes a small picture with it. Returns why this could not be tried (an encoder this build
/// does not know), or nothing when all is well. Throws Error(model) when the file cannot be used.
std::string check_mmproj(const std::filesystem::path& file, int threads = 0);

}  // namespace mtmd::quantize
