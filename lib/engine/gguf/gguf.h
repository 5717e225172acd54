// GGUF v2/v3 files (little endian): metadata and tensors of one model, possibly split over several files.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tensor/dtype.h"
#include "engine/tensor/tensor.h"

namespace mtmd::gguf {

enum class ValueType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };
std::string_view name(ValueType type) noexcept;
/// Bytes of one scalar; 0 for strings and arrays.
std::size_t scalar_bytes(ValueType type) noexcept;

/// One metadata value: a view into the mapped file. Integers of any width convert to any integer type that holds the
/// number; floats to floats; nothing else converts.
class Value {
 public:
  ValueType type() const noexcept { return type_; }
  bool is_array() const noexcept { return type_ == ValueType::array; }
  /// Arrays: type and number of the elements. Scalars: own type and 1.
  ValueType element_type() const noexcept { return element_type_; }
  std::size_t size() const noexcept { return count_; }

  std::optional<std::int64_t> as_integer(std::size_t i = 0) const noexcept;    ///< u64 above 2^63-1: nothing
  std::optional<std::uint64_t> as_unsigned(std::size_t i = 0) const noexcept;  ///< any integer that is not negative
  std::optional<double> as_number(std::size_t i = 0) const noexcept;           ///< integers and floats
  std::optional<bool> as_bool(std::size_t i = 0) const noexcept;
  std::optional<std::string_view> as_string(std::size_t i = 0) const noexcept;
  /// The elements as stored (unaligned, little endian); empty for strings and arrays of arrays.
  std::span<const std::byte> raw_scalars() const noexcept { return {data_, count_ * scalar_bytes(element_type_)}; }
  std::optional<Value> as_array(std::size_t i = 0) const noexcept;  ///< element i of an array of arrays

 private:
  friend class Reader;
  ValueType type_{}, element_type_{};
  std::size_t count_ = 1;
  const std::byte* data_ = nullptr;        ///< first element (unaligned)
  std::vector<std::string_view> strings_;  ///< when the element type is string
  std::vector<Value> arrays_;              ///< when the element type is array
};

/// Key -> value, in file order. The typed getters throw Error(model) naming the file, the key, what was found and what
/// was expected when a present value has the wrong type or does not fit.
class Metadata {
 public:
  struct Entry {
    std::string_view key;
    Value value;
  };
  std::span<const Entry> entries() const noexcept { return entries_; }
  const Value* find(std::string_view key) const noexcept;
  bool has(std::string_view key) const noexcept { return find(key) != nullptr; }

  /// T: bool, int32_t, uint32_t, int64_t, uint64_t, float, double, std::string_view, and std::vector of
  /// bool, int32_t, float, std::string_view. A scalar is accepted where a vector is asked for (one element).
  template <class T>
  std::optional<T> get(std::string_view key) const;
  template <class T>
  T require(std::string_view key) const;  ///< throws Error(model) when missing
  template <class T>
  T get_or(std::string_view key, T otherwise) const {
    auto v = get<T>(key);
    return v ? std::move(*v) : std::move(otherwise);
  }
  const std::string& file() const noexcept { return file_; }  ///< for messages

 private:
  friend class Reader;
  std::string file_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> sorted_;  ///< entry indices by key
};

struct TensorInfo {
  std::string_view name;
  DType type{};
  std::vector<std::int64_t> shape;  ///< outermost first (GGUF's ne reversed), 1..4 dimensions, all >= 1
  std::span<const std::byte> data;  ///< in the mapping; exactly the bytes that shape and type ask for
  std::size_t file = 0;             ///< index into File::paths()
  std::uint64_t offset = 0;         ///< of the data within that file

  std::int64_t n_values() const noexcept;
};

/// Limits on what a file may claim, checked before anything is allocated.
struct Limits {
  std::uint64_t max_keys = 1u << 16, max_tensors = 1u << 20, max_string_bytes = 64u << 20, max_key_bytes = 1u << 16;
  std::uint64_t max_elements = 1u << 28;       ///< of one array
  std::uint64_t max_array_strings = 1u << 24;  ///< strings and inner arrays, in all arrays together (each costs memory)
  std::uint32_t max_dims = 4, max_array_depth = 4;
};

/// A model file, memory-mapped. Opening `x-00001-of-00003.gguf` opens its siblings too. All offsets, sizes and counts
/// are verified at opening, so that views never leave the mapping. Throws Error(input) when a file cannot be read and
/// Error(model) when it is not a sound GGUF file.
class File {
 public:
  static File open(const std::filesystem::path& path, const Limits& limits = {});
  /// From memory that outlives the File (tests, fuzzing, embedded models). `name` is for messages.
  static File from_memory(std::span<const std::byte> bytes, std::string name, const Limits& limits = {});
  ~File();
  File(File&&) noexcept;
  File& operator=(File&&) noexcept;

  const Metadata& metadata() const noexcept;
  std::span<const TensorInfo> tensors() const noexcept;
  const TensorInfo* find(std::string_view tensor) const noexcept;
  std::span<const std::filesystem::path> paths() const noexcept;
  std::uint32_t version() const noexcept;
  std::uint32_t alignment() const noexcept;
  std::uint64_t file_bytes() const noexcept;  ///< all parts together
  /// Of products with the weights that Weights hands out from now on; at first bf16_exact.
  Precision precision() const noexcept;
  void set_precision(Precision precision) noexcept;
  /// Start reading all tensor data into the page cache.
  void prefetch() const noexcept;

 private:
  struct Impl;
  explicit File(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mtmd::gguf
