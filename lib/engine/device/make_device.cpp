// The table of devices.
#include "engine/base/error.h"
#include "engine/device/cpu/cpu_device.h"
#include "engine/device/device.h"
#include "engine/device/reference/reference_device.h"

namespace mtmd {

std::unique_ptr<Device> make_device(std::string_view name, const DeviceOptions& options) {
  if (name == "cpu") return std::make_unique<CpuDevice>(options);
  if (name == "reference") return std::make_unique<ReferenceDevice>();
  fail(ErrorCategory::device, "no device '{}'; expected cpu or reference", name);
}

}  // namespace mtmd
