// A checkpoint from a stranger: read its table and every byte it says it has.
#include <cstddef>
#include <cstdint>

#include "engine/base/error.h"
#include "mtmd/convert/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static volatile std::uint8_t sink = 0;
  try {
    for (const auto& t : mtmd::convert::parse_safetensors({reinterpret_cast<const std::byte*>(data), size}, "fuzz"))
      for (const std::byte b : t.data) sink = sink + static_cast<std::uint8_t>(b);
  } catch (const mtmd::Error& e) {
    if (e.category() != mtmd::ErrorCategory::model) throw;  // only the file may be to blame
  }
  return 0;
}
