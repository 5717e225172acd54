// How the numbers of a supported model type were checked.
#pragma once

#include <string_view>

namespace mtmd {

enum class Verified {
  recorded,   ///< a recorded case of the reference implementation, in the conformance kit
  library,    ///< small models of ours, against llama.cpp's library; some logits are kept in the tests
  reference,  ///< the reference device only: the fast one agrees with plain loops written from the definition
};

constexpr std::string_view name(Verified v) noexcept {
  return v == Verified::recorded  ? "recorded case"
         : v == Verified::library ? "llama.cpp's library"
                                  : "reference device only";
}

}  // namespace mtmd
