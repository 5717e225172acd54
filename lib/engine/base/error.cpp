#include "engine/base/error.h"

namespace mtmd {

int exit_code(ErrorCategory category) noexcept {
  switch (category) {
    case ErrorCategory::failed:
      return 1;
    case ErrorCategory::usage:
      return 2;
    case ErrorCategory::input:
      return 4;
    case ErrorCategory::model:
      return 5;
    case ErrorCategory::resource:
      return 6;
    case ErrorCategory::device:
      return 7;
    case ErrorCategory::output:
      return 8;
    case ErrorCategory::strict:
      return 9;
    case ErrorCategory::internal:
      return 15;
    case ErrorCategory::interrupted:
      return 130;
  }
  return 15;
}

}  // namespace mtmd
