// A device that computes nothing: what a forward pass allocates on it is what it would take (`--plan`).
#pragma once

#include <cstddef>
#include <memory>

#include "engine/device/device.h"

namespace mtmd {

/// Its memory is address space only: never touched, all zeros when read.
class NullDevice : public Device {
 public:
  /// The most that one product would take for a packed copy of its activations, as the CPU device makes it.
  virtual std::size_t packed_bytes() const noexcept = 0;
};

std::unique_ptr<NullDevice> make_null_device();

}  // namespace mtmd
