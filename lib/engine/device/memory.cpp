#include "engine/device/memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "engine/base/checked.h"
#include "engine/base/error.h"

namespace mtmd {
namespace {

constexpr std::size_t kAlignment = 64;
/// From here on memory comes as pages of its own: the system hands them out zeroed, and only those that are touched.
constexpr std::size_t kOwnPages = std::size_t{1} << 20;

std::shared_ptr<std::byte[]> pages(std::size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
#if defined(MADV_HUGEPAGE)
  ::madvise(memory, bytes, MADV_HUGEPAGE);  // a cache is read from end to end: fewer walks of the page table
#endif
  return {static_cast<std::byte*>(memory), [bytes](std::byte* p) { ::munmap(p, bytes); }};
}

std::shared_ptr<std::byte[]> block(std::size_t bytes) {
  void* memory = std::aligned_alloc(kAlignment, round_up(bytes == 0 ? 1 : bytes, kAlignment));
  if (!memory) return nullptr;
  std::memset(memory, 0, bytes);
  return {static_cast<std::byte*>(memory), [](std::byte* p) { std::free(p); }};
}

}  // namespace

std::shared_ptr<std::byte[]> allocate_host(std::size_t bytes) {
  std::shared_ptr<std::byte[]> memory = bytes < kOwnPages ? block(bytes) : pages(bytes);
  if (!memory) fail(ErrorCategory::resource, "not enough memory: {} bytes are needed at once", bytes);
  return memory;
}

}  // namespace mtmd
