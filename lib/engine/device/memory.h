// Host memory for the devices that live in it.
#pragma once

#include <cstddef>
#include <memory>

namespace mtmd {

/// Zeroed, 64-byte aligned. Throws Error(resource) when there is not enough.
std::shared_ptr<std::byte[]> allocate_host(std::size_t bytes);

}  // namespace mtmd
