// A device that computes nothing: what a forward pass allocates on it is what it would take (`--plan`).
#pragma once

#include <memory>

#include "engine/device/device.h"

namespace mtmd {

/// Its memory is address space only: never touched, all zeros when read.
std::unique_ptr<Device> make_null_device();

}  // namespace mtmd
