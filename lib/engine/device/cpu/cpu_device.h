// The fast device: kernels compiled per instruction set, run on a thread pool.
#pragma once

#include "engine/device/device.h"
#include "engine/device/reference/reference_device.h"

namespace mtmd {

// Derives from the oracle until every op has its fast form, so that the tree always links.
class CpuDevice final : public ReferenceDevice {
 public:
  explicit CpuDevice(const DeviceOptions& options) { (void)options; }
};

}  // namespace mtmd
