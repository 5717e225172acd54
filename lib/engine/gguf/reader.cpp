#include "engine/gguf/reader.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "engine/base/checked.h"
#include "engine/base/error.h"

namespace mtmd::gguf {

static_assert(std::endian::native == std::endian::little, "GGUF is read in place; a big-endian host needs a copy");

namespace {

constexpr std::uint32_t kMinAlignment = 8, kMaxAlignment = 1u << 20;
// The least a key (length, type, one byte of value) or a tensor (name length, dims, type, offset) can occupy.
constexpr std::uint64_t kMinKeyBytes = 8 + 4 + 1, kMinTensorBytes = 8 + 4 + 4 + 8;

}  // namespace

std::string in_quotes(std::string_view text) {
  constexpr std::size_t max_shown = 120;
  std::string out = "'";
  for (const char c : text.substr(0, max_shown)) {
    if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out + (text.size() > max_shown ? "…'" : "'");
}

std::string_view name(ValueType type) noexcept {
  constexpr std::string_view names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "string", "array", "u64", "i64", "f64"};
  return names[static_cast<std::uint32_t>(type)];
}

std::size_t scalar_bytes(ValueType type) noexcept {
  constexpr std::uint8_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return bytes[static_cast<std::uint32_t>(type)];
}

template <class... Args>
void Reader::bad(fmt::format_string<Args...> format, Args&&... args) const {
  fail(ErrorCategory::model, "{}: {}", file_, fmt::format(format, std::forward<Args>(args)...));
}

template <class T>
T Reader::number(std::string_view what) {
  if (left() < sizeof(T)) bad("truncated at byte {}, inside {}; is the file complete?", bytes_.size(), what);
  T v;
  std::memcpy(&v, bytes_.data() + at_, sizeof v);
  at_ += sizeof v;
  return v;
}

std::string_view Reader::string(std::uint64_t max_bytes, std::string_view what) {
  const std::size_t start = at_;
  const auto n = number<std::uint64_t>(what);
  if (n > max_bytes) bad("byte {}: {} is {} bytes long, at most {} are accepted", start, what, n, max_bytes);
  if (n > left())
    bad("byte {}: {} is {} bytes long, but {} bytes are left; is the file complete?", start, what, n, left());
  const std::string_view s{reinterpret_cast<const char*>(bytes_.data() + at_), static_cast<std::size_t>(n)};
  at_ += s.size();
  return s;
}

ValueType Reader::value_type(std::string_view what) {
  const std::size_t start = at_;
  const auto id = number<std::uint32_t>(what);
  if (id > static_cast<std::uint32_t>(ValueType::f64))
    bad("byte {}: {} has value type {}, 0..12 exist", start, what, id);
  return static_cast<ValueType>(id);
}

void Reader::check_booleans(const std::byte* first, std::size_t count, std::string_view key) const {
  const auto* wrong = std::find_if(first, first + count, [](std::byte b) { return b > std::byte{1}; });
  if (wrong != first + count) bad("key {}: a bool is {}, expected 0 or 1", in_quotes(key), static_cast<int>(*wrong));
}

Value Reader::value(ValueType type, std::string_view key) {
  if (type == ValueType::array) return array(key, 1);
  Value v;
  v.type_ = v.element_type_ = type;
  v.data_ = bytes_.data() + at_;
  const std::string what = "the value of key " + in_quotes(key);
  if (type == ValueType::string) {
    v.strings_.push_back(string(limits_.max_string_bytes, what));
    return v;
  }
  if (left() < scalar_bytes(type)) bad("truncated at byte {}, inside {}; is the file complete?", bytes_.size(), what);
  if (type == ValueType::boolean) check_booleans(v.data_, 1, key);
  at_ += scalar_bytes(type);
  return v;
}

Value Reader::array(std::string_view key, std::uint32_t depth) {
  const std::string what = "the array of key " + in_quotes(key);
  if (depth > limits_.max_array_depth)
    bad("byte {}: {} is nested more than {} deep", at_, what, limits_.max_array_depth);
  Value v;
  v.type_ = ValueType::array;
  v.element_type_ = value_type(what);
  const std::uint64_t bytes_each = v.element_type_ == ValueType::string  ? 8
                                   : v.element_type_ == ValueType::array ? 12
                                                                         : scalar_bytes(v.element_type_);
  v.count_ = static_cast<std::size_t>(count(limits_.max_elements, bytes_each, what));
  v.data_ = bytes_.data() + at_;
  if (scalar_bytes(v.element_type_) == 0 && (array_strings_ += v.count_) > limits_.max_array_strings)
    bad("{}: all arrays together hold more than {} strings", what, limits_.max_array_strings);
  if (v.element_type_ == ValueType::string) {
    v.strings_.reserve(v.count_);
    for (std::size_t i = 0; i < v.count_; ++i) v.strings_.push_back(string(limits_.max_string_bytes, what));
  } else if (v.element_type_ == ValueType::array) {
    v.arrays_.reserve(v.count_);
    for (std::size_t i = 0; i < v.count_; ++i) v.arrays_.push_back(array(key, depth + 1));
  } else {
    if (v.element_type_ == ValueType::boolean) check_booleans(v.data_, v.count_, key);
    at_ += v.count_ * static_cast<std::size_t>(bytes_each);
  }
  return v;
}

std::uint64_t Reader::count(std::uint64_t limit, std::uint64_t bytes_each, std::string_view what) {
  const std::size_t start = at_;
  const auto n = number<std::uint64_t>(what);
  if (n > limit) bad("byte {}: {} counts {}, at most {} are accepted", start, what, n, limit);
  const auto bytes = checked_mul<std::uint64_t>(n, bytes_each);
  if (!bytes || *bytes > left())
    bad("byte {}: {} counts {}, which does not fit in the {} bytes left; is the file complete?", start, what, n,
        left());
  return n;
}

void Reader::metadata(std::uint64_t n, Metadata& out) {
  out.file_ = file_;
  out.entries_.reserve(static_cast<std::size_t>(n));
  for (std::uint64_t i = 0; i < n; ++i) {
    const std::string_view key = string(limits_.max_key_bytes, fmt::format("the name of key {} of {}", i + 1, n));
    if (key.empty()) bad("byte {}: key {} of {} has an empty name", at_, i + 1, n);
    const ValueType type = value_type("key " + in_quotes(key));
    out.entries_.push_back({key, value(type, key)});
  }
  auto& sorted = out.sorted_;
  sorted.resize(out.entries_.size());
  std::iota(sorted.begin(), sorted.end(), 0u);
  std::ranges::sort(sorted, {}, [&](std::uint32_t i) { return out.entries_[i].key; });
  const auto twice = std::ranges::adjacent_find(sorted, {}, [&](std::uint32_t i) { return out.entries_[i].key; });
  if (twice != sorted.end()) bad("key {} appears twice", in_quotes(out.entries_[*twice].key));
}

TensorInfo Reader::tensor(std::size_t index) {
  TensorInfo t;
  t.name = string(limits_.max_key_bytes, fmt::format("the name of tensor {}", index + 1));
  const std::string what = "tensor " + in_quotes(t.name);
  if (t.name.empty()) bad("byte {}: tensor {} has an empty name", at_, index + 1);
  const auto n_dims = number<std::uint32_t>(what);
  if (n_dims > limits_.max_dims) bad("{} has {} dimensions, at most {} are accepted", what, n_dims, limits_.max_dims);
  std::optional<std::int64_t> n_values = 1;
  for (std::uint32_t d = 0; d < n_dims; ++d) {
    const auto n = number<std::int64_t>(what);
    if (n < 1) bad("{}: dimension {} is {}, expected at least 1", what, d, n);
    n_values = checked_mul(*n_values, n);
    if (!n_values) bad("{}: its dimensions multiply to more than 2^63 values", what);
    t.shape.insert(t.shape.begin(), n);
  }
  if (n_dims == 0) t.shape = {1};  // a scalar
  const auto type_id = number<std::uint32_t>(what);
  const auto type = dtype_from_id(type_id);
  if (!type) bad("{} has the unknown type id {}; a newer version of this program may know it", what, type_id);
  t.type = *type;
  const DTypeInfo& row = info(t.type);
  if (t.shape.back() % row.block_size != 0)
    bad("{}: rows of {} values are not a multiple of the {} block of {}", what, t.shape.back(), row.name,
        row.block_size);
  const auto bytes =
      checked_mul<std::uint64_t>(static_cast<std::uint64_t>(*n_values) / row.block_size, row.block_bytes);
  if (!bytes || *bytes > bytes_.size())
    bad("{} needs {} values of {}, more than the file of {} bytes holds; is the file complete?", what, *n_values,
        row.name, bytes_.size());
  t.offset = number<std::uint64_t>(what);
  t.data = bytes_.first(static_cast<std::size_t>(*bytes));  // the size now, the place when the data section is known
  return t;
}

std::uint32_t Reader::alignment(const Metadata& m) const {
  const auto n = m.get_or<std::uint32_t>("general.alignment", 32);
  if (!std::has_single_bit(n) || n < kMinAlignment || n > kMaxAlignment)
    bad("general.alignment is {}, expected a power of two from {} to {}", n, kMinAlignment, kMaxAlignment);
  return n;
}

void Reader::place(std::vector<TensorInfo>& tensors, std::uint32_t alignment) const {
  const std::uint64_t start = round_up<std::uint64_t>(at_, alignment);
  for (TensorInfo& t : tensors) {
    if (t.offset % alignment != 0)
      bad("tensor {}: offset {} is not a multiple of the alignment {}", in_quotes(t.name), t.offset, alignment);
    const auto begin = checked_add(start, t.offset);
    const auto end = begin ? checked_add<std::uint64_t>(*begin, t.data.size()) : std::nullopt;
    if (!end || *end > bytes_.size())
      bad("tensor {}: {} bytes at offset {} of the data (byte {} of the file) reach beyond its {} bytes; is the file "
          "complete?",
          in_quotes(t.name), t.data.size(), t.offset, start, bytes_.size());
    t.offset = *begin;
    t.data = bytes_.subspan(static_cast<std::size_t>(*begin), t.data.size());
  }
  std::vector<const TensorInfo*> in_order;
  in_order.reserve(tensors.size());
  for (const TensorInfo& t : tensors) in_order.push_back(&t);
  std::ranges::sort(in_order, {}, &TensorInfo::offset);
  for (std::size_t i = 1; i < in_order.size(); ++i) {
    const TensorInfo &a = *in_order[i - 1], &b = *in_order[i];
    if (a.offset + a.data.size() > b.offset)
      bad("the data of tensors {} and {} overlap at byte {}", in_quotes(a.name), in_quotes(b.name), b.offset);
  }
}

Part Reader::parse() {
  Part part;
  if (bytes_.size() < 4 || std::memcmp(bytes_.data(), "GGUF", 4) != 0)
    bad("not a GGUF file (it does not begin with the letters GGUF)");
  at_ = 4;
  part.version = number<std::uint32_t>("the header");
  if (part.version != 0 && (part.version & 0xffff) == 0)
    bad("a big-endian GGUF file; only little-endian ones are supported");
  if (part.version < 2 || part.version > 3) bad("GGUF version {}; versions 2 and 3 are supported", part.version);
  const std::uint64_t n_tensors = count(limits_.max_tensors, kMinTensorBytes, "the tensor count");
  const std::uint64_t n_keys = count(limits_.max_keys, kMinKeyBytes, "the key count");
  metadata(n_keys, part.metadata);
  part.alignment = alignment(part.metadata);
  if (n_tensors > left() / kMinTensorBytes)
    bad("{} tensors do not fit in the {} bytes left; is the file complete?", n_tensors, left());
  part.tensors.reserve(static_cast<std::size_t>(n_tensors));
  for (std::uint64_t i = 0; i < n_tensors; ++i) part.tensors.push_back(tensor(static_cast<std::size_t>(i)));
  place(part.tensors, part.alignment);
  return part;
}

}  // namespace mtmd::gguf
