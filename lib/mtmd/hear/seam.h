// Two windows that overlap heard some words twice: where one text should end and the other begin.
#pragma once

#include <cstddef>
#include <string_view>

namespace mtmd {

struct Seam {
  std::size_t keep = 0;  ///< bytes of the first text that stay
  std::size_t skip = 0;  ///< bytes of the second text that go
  int words = 0;         ///< that both texts have in common there; 0: nothing was found, and nothing goes
};

/// Aligns the end of `first` with the beginning of `second` word by word (character by character in scripts that put
/// no spaces between words). Case, punctuation and small misspellings do not count; a word that was cut in half at the
/// end of the first or at the beginning of the second text may differ. `overlap_seconds` is how much sound both heard:
/// it bounds how many words they can share. The cut is made in the middle of what both have in common, where both
/// windows know what comes before and after.
Seam find_seam(std::string_view first, std::string_view second, double overlap_seconds);

}  // namespace mtmd
