// One exception type for everything that can go wrong outside our own code (DESIGN.md section 8).
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace mtmd {

/// Why something failed. `exit_code` maps each to the documented exit status of the program (CONVENTIONS.md).
enum class ErrorCategory {
  failed,       ///< 1: the work itself failed (a conformance case, a comparison)
  usage,        ///< 2: wrong flags, or a flag that the loaded model cannot honour
  input,        ///< 4: a media, text or list file that cannot be read or is not supported
  model,        ///< 5: a model file that is damaged, inconsistent or not supported
  resource,     ///< 6: not enough memory, context or disk; the message says how much would do
  device,       ///< 7: the compute device or its backend failed
  output,       ///< 8: a result could not be written
  strict,       ///< 9: `--strict`: loop, cut, downscaled or uncovered input
  internal,     ///< 15: a mistake of ours
  interrupted,  ///< 130: cancelled by the user
};

int exit_code(ErrorCategory category) noexcept;

/// The message names the file, the key or offset, what was found, what was expected and the likely remedy.
class Error : public std::runtime_error {
 public:
  Error(ErrorCategory category, const std::string& message) : std::runtime_error(message), category_(category) {}
  ErrorCategory category() const noexcept { return category_; }

 private:
  ErrorCategory category_;
};

/// throw Error(category, formatted message)
template <class... Args>
[[noreturn]] void fail(ErrorCategory category, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(category, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace mtmd
