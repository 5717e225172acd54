#include "engine/device/cpu/cpu_device.h"

#include "engine/base/error.h"
#include "engine/device/memory.h"

namespace mtmd {

CpuDevice::CpuDevice(const DeviceOptions& options)
    : kernels_(cpu::select_kernels(options.isa)), pool_(options.threads) {}

DeviceInfo CpuDevice::info() const {
  return {"cpu", fmt::format("{}, {}", cpu::processor_name(), kernels_.name), pool_.size()};
}

std::shared_ptr<std::byte[]> CpuDevice::allocate(std::size_t bytes) { return allocate_host(bytes); }

}  // namespace mtmd
