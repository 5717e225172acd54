#include "engine/device/memory.h"

#include <cstdlib>
#include <cstring>

#include "engine/base/checked.h"
#include "engine/base/error.h"

namespace mtmd {

std::shared_ptr<std::byte[]> allocate_host(std::size_t bytes) {
  constexpr std::size_t kAlignment = 64;
  void* memory = nullptr;
  if (bytes < std::size_t{1} << 47)  // no process has more addresses
    memory = std::aligned_alloc(kAlignment, round_up(bytes == 0 ? 1 : bytes, kAlignment));
  if (!memory) fail(ErrorCategory::resource, "not enough memory: {} bytes are needed at once", bytes);
  std::memset(memory, 0, bytes);
  return {static_cast<std::byte*>(memory), [](std::byte* p) { std::free(p); }};
}

}  // namespace mtmd
