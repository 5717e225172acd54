// Do the values of a weight fit into bf16? Most F16 files of models that were trained in bf16 hold such values only.
#pragma once

#include "engine/tensor/tensor.h"

namespace mtmd {

/// An f16 keeps three bits of mantissa more than bf16; a subnormal one has fewer bits the smaller it is.
bool fits_bf16(std::uint16_t f16) noexcept;

/// BF16: yes. F16: looks at a few hundred values spread over all rows, so that it costs next to nothing; whoever
/// rounds must still look at every value. Everything else: no.
bool seems_to_fit_bf16(const Weight& w) noexcept;

}  // namespace mtmd
