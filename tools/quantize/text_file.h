// Texts that a model reads whole, for its importance matrix or its perplexity.
#pragma once

#include <string>

#include "mtmd-cli/flags.h"

namespace mtmd::cli {

/// The file, or stdin for "-", without one newline at its end: as llama.cpp's -f takes it. Throws Error(input).
inline std::string read_text_file(const std::string& path) {
  std::string text = read_bytes(path);
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace mtmd::cli
