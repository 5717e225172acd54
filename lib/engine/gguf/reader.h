// Private to this folder: parses one GGUF file (one part of a split model) out of memory.
#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/gguf.h"

namespace mtmd::gguf {

/// What one part holds; views point into the bytes it was parsed from.
struct Part {
  Metadata metadata;
  std::vector<TensorInfo> tensors;
  std::uint32_t version = 0, alignment = 32;
};

/// `text` from a file for use in a message: control and non-ASCII bytes escaped, long ones cut.
std::string in_quotes(std::string_view text);

/// One bounded pass over the header. Every count is checked against the bytes left before anything is allocated.
class Reader {
 public:
  Reader(std::span<const std::byte> bytes, std::string file, const Limits& limits)
      : bytes_(bytes), file_(std::move(file)), limits_(limits) {}
  Part parse();

 private:
  template <class T>
  T number(std::string_view what);
  std::string_view string(std::uint64_t max_bytes, std::string_view what);
  ValueType value_type(std::string_view what);
  Value value(ValueType type, std::string_view key);
  Value array(std::string_view key, std::uint32_t depth);
  void check_booleans(const std::byte* first, std::size_t count, std::string_view key) const;
  std::uint64_t count(std::uint64_t limit, std::uint64_t bytes_each, std::string_view what);
  void metadata(std::uint64_t n, Metadata& out);
  TensorInfo tensor(std::size_t index);
  std::uint32_t alignment(const Metadata& m) const;
  void place(std::vector<TensorInfo>& tensors, std::uint32_t alignment) const;
  std::size_t left() const noexcept { return bytes_.size() - at_; }
  template <class... Args>
  [[noreturn]] void bad(fmt::format_string<Args...> format, Args&&... args) const;

  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  std::uint64_t array_strings_ = 0;  ///< so far
  std::string file_;
  Limits limits_;
};

}  // namespace mtmd::gguf
