// A model file from a stranger: open it from memory, read all metadata, decode every tensor that has a decoder.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/error.h"
#include "engine/gguf/gguf.h"
#include "engine/gguf/summary.h"
#include "engine/gguf/verify.h"
#include "engine/gguf/weights.h"
#include "engine/gguf/writer.h"

namespace {

using mtmd::gguf::File;
using mtmd::gguf::Value;

std::size_t sink = 0;

void read(const Value& v) {
  for (std::size_t i = 0; i < v.size(); ++i) {
    sink += v.as_number(i).has_value() + v.as_bool(i).value_or(false) + v.as_unsigned(i).value_or(0);
    if (const auto s = v.as_string(i))
      for (const char c : *s) sink += static_cast<unsigned char>(c);
    if (const auto inner = v.as_array(i)) read(*inner);
  }
}

template <class Call>
void may_refuse(Call call) {
  try {
    call();
  } catch (const mtmd::Error& e) {
    if (e.category() != mtmd::ErrorCategory::model) throw;  // only the file may be to blame
  }
}

void read(const File& file) {
  mtmd::gguf::Writer copy;
  for (const auto& entry : file.metadata().entries()) {
    read(entry.value);
    may_refuse([&] { sink += file.metadata().get<std::vector<std::int32_t>>(entry.key)->size(); });
    may_refuse([&] { sink += file.metadata().get<std::vector<std::string_view>>(entry.key)->size(); });
    copy.set(std::string(entry.key), entry.value);
  }
  mtmd::gguf::Weights weights(file);
  for (const auto& t : file.tensors()) {
    const std::int64_t cols = t.shape.back(), rows = t.n_values() / cols;
    may_refuse([&] { sink += static_cast<std::size_t>(weights.matrix(t.name, rows, cols).bytes()); });
    may_refuse([&] { sink += weights.vector(t.name, cols).size(); });
    copy.add_tensor(std::string(t.name), t.type, t.shape, t.data);
  }
  sink += mtmd::gguf::verify(file).findings.size() + mtmd::gguf::summarize(file).types.size();
  const std::vector<std::byte> bytes = copy.to_memory();  // what we accept, we can write, and accept again
  sink += File::from_memory(bytes, "copy").tensors().size();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  may_refuse([&] { read(File::from_memory({reinterpret_cast<const std::byte*>(data), size}, "fuzz")); });
  return 0;
}
