// Hand-made GGUF files for tests, byte by byte and independent of the writer under test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace mtmd::gguf::testing {

class Bytes {
 public:
  template <class T>
  Bytes& num(T v) {
    const auto* p = reinterpret_cast<const std::byte*>(&v);
    data.insert(data.end(), p, p + sizeof v);
    return *this;
  }
  Bytes& raw(std::string_view s) {
    for (const char c : s) data.push_back(static_cast<std::byte>(c));
    return *this;
  }
  Bytes& str(std::string_view s) { return num<std::uint64_t>(s.size()).raw(s); }
  Bytes& header(std::uint64_t n_tensors, std::uint64_t n_keys, std::uint32_t version = 3) {
    return raw("GGUF").num(version).num(n_tensors).num(n_keys);
  }
  template <class T>
  Bytes& key(std::string_view name, std::uint32_t type, T v) {
    return str(name).num(type).num(v);
  }
  Bytes& key(std::string_view name, std::string_view v) { return str(name).num<std::uint32_t>(8).str(v); }
  Bytes& tensor(std::string_view name, const std::vector<std::int64_t>& ne, std::uint32_t type, std::uint64_t offset) {
    str(name).num(static_cast<std::uint32_t>(ne.size()));
    for (const std::int64_t n : ne) num(n);
    return num(type).num(offset);
  }
  Bytes& pad(std::size_t alignment = 32) {
    while (data.size() % alignment) data.push_back(std::byte{0});
    return *this;
  }
  Bytes& zeros(std::size_t n) {
    data.resize(data.size() + n);
    return *this;
  }

  std::vector<std::byte> data;
};

/// Two keys, an array of strings and two tensors: "a" f32 [2, 3] with the values 1..6 and "b" Q8_0 [1, 32].
inline Bytes small_file() {
  Bytes b;
  b.header(2, 3).key("general.architecture", "test").key("n", 4, std::uint32_t{7});
  b.str("words").num<std::uint32_t>(9).num<std::uint32_t>(8).num<std::uint64_t>(2).str("x").str("yz");
  b.tensor("a", {3, 2}, 0, 0).tensor("b", {32, 1}, 8, 32).pad();
  for (int i = 1; i <= 6; ++i) b.num(static_cast<float>(i));
  b.pad().num<std::uint16_t>(0x3c00);  // d = 1
  for (int i = 0; i < 32; ++i) b.num(static_cast<std::int8_t>(i - 16));
  return b;
}

}  // namespace mtmd::gguf::testing
