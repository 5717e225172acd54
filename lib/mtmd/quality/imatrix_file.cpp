// The two file forms of importance matrices.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "engine/base/output_file.h"
#include "engine/gguf/writer.h"
#include "mtmd/quality/imatrix.h"

namespace mtmd::quality {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";
constexpr std::size_t kLongestName = 1u << 12, kLongestDataset = 1u << 16;

std::string printable(std::string_view text) {
  std::string out(text.substr(0, 64));
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  return out;
}

/// Sums of squares and counts are finite and not negative; a file that says otherwise would poison every block.
void check(const Importance& e, std::string_view name, const std::string& file) {
  const auto bad = [](float v) { return !(v >= 0.0f) || std::isinf(v); };
  for (const auto* part : {&e.sums, &e.counts})
    if (const auto it = std::ranges::find_if(*part, bad); it != part->end())
      fail(ErrorCategory::input, "{}: the {} of {} hold {} at {}; expected finite numbers that are not negative", file,
           part == &e.sums ? "values" : "counts", printable(name), *it, it - part->begin());
}

// ---------------------------------------------------------------------------------------------------------------- GGUF

std::vector<float> floats(const gguf::TensorInfo& t, const std::string& file) {
  if (t.type != DType::F32)
    fail(ErrorCategory::input, "{}: tensor {} is {}, expected F32", file, printable(t.name), name(t.type));
  std::vector<float> v(t.data.size() / sizeof(float));
  std::memcpy(v.data(), t.data.data(), t.data.size());
  return v;
}

ImportanceMatrix from_gguf(const gguf::File& file, const std::string& name) {
  const gguf::Metadata& m = file.metadata();
  if (m.get_or<std::string_view>("general.type", "") != "imatrix")
    fail(ErrorCategory::input, "{}: general.type is '{}', expected 'imatrix': this is no importance matrix", name,
         printable(m.get_or<std::string_view>("general.type", "(missing)")));
  ImportanceMatrix matrix;
  matrix.chunk_count = m.get_or<std::uint32_t>("imatrix.chunk_count", 0);
  matrix.chunk_size = m.get_or<std::uint32_t>("imatrix.chunk_size", 0);
  for (const std::string_view d : m.get_or<std::vector<std::string_view>>("imatrix.datasets", {}))
    matrix.datasets.emplace_back(d);
  for (const gguf::TensorInfo& t : file.tensors()) {
    if (!t.name.ends_with(kSums)) {
      if (!t.name.ends_with(kCounts))
        fail(ErrorCategory::input, "{}: tensor {} is neither *{} nor *{}", name, printable(t.name), kSums, kCounts);
      continue;
    }
    const std::string tensor(t.name.substr(0, t.name.size() - kSums.size()));
    const gguf::TensorInfo* counts = file.find(tensor + std::string(kCounts));
    if (!counts) fail(ErrorCategory::input, "{}: {} has no {}{}", name, printable(t.name), printable(tensor), kCounts);
    Importance e{floats(t, name), floats(*counts, name)};
    if (e.sums.size() % e.counts.size() != 0)
      fail(ErrorCategory::input, "{}: {} has {} values for {} counts", name, printable(tensor), e.sums.size(),
           e.counts.size());
    check(e, tensor, name);
    matrix.entries.emplace(tensor, std::move(e));
  }
  return matrix;
}

void write_gguf(const fs::path& path, const ImportanceMatrix& matrix) {
  gguf::Writer w;
  w.set("general.type", "imatrix");
  w.set("imatrix.datasets", std::span<const std::string>(matrix.datasets));
  w.set("imatrix.chunk_count", matrix.chunk_count);
  w.set("imatrix.chunk_size", matrix.chunk_size);
  for (const auto& [name, e] : matrix.entries) {
    const auto shape = [&](std::int64_t columns) {
      return e.matrices() > 1 ? std::vector<std::int64_t>{e.matrices(), columns} : std::vector<std::int64_t>{columns};
    };
    w.add_tensor(name + std::string(kSums), DType::F32, shape(e.columns()), std::as_bytes(std::span(e.sums)));
    w.add_tensor(name + std::string(kCounts), DType::F32, shape(1), std::as_bytes(std::span(e.counts)));
  }
  w.write(path);
}

// ---------------------------------------------------------------------------------------------------------------- .dat
// int32 entries; then per entry: int32 length, name, int32 calls, int32 values, f32 values (mean x calls). After them,
// in newer files: int32 chunks, int32 length, name of the data set.

class DatReader {
 public:
  DatReader(std::span<const std::byte> bytes, std::string file) : bytes_(bytes), file_(std::move(file)) {}

  ImportanceMatrix read(std::uint32_t chunk_size) {
    ImportanceMatrix matrix;
    const std::int32_t n = positive("number of entries", bytes_.size() / 12);
    for (std::int32_t i = 0; i < n; ++i) entry(matrix, chunk_size);
    matrix.chunk_size = chunk_size;
    if (at_ == bytes_.size()) return matrix;
    const std::int32_t chunks = number("number of chunks");
    if (chunks < 0) bad("number of chunks", chunks, "0 or more");
    matrix.chunk_count = static_cast<std::uint32_t>(chunks);
    if (at_ == bytes_.size()) return matrix;
    const std::int32_t length = number("length of the data set's name");
    if (length < 0 || static_cast<std::size_t>(length) > std::min(kLongestDataset, left()))
      bad("length of the data set's name", length, "no more than there are bytes");
    if (length > 0) matrix.datasets.push_back(text(length));
    if (at_ != bytes_.size()) fail(ErrorCategory::input, "{}: {} bytes follow the last field", file_, left());
    return matrix;
  }

 private:
  void entry(ImportanceMatrix& matrix, std::uint32_t chunk_size) {
    const std::string name = text(positive("length of a name", kLongestName));
    const std::int32_t calls = number("number of calls");
    if (calls < 0) bad("number of calls", calls, "0 or more");
    const std::int32_t n = positive("number of values", left() / sizeof(float));
    Importance e;
    e.sums.resize(static_cast<std::size_t>(n));
    std::memcpy(e.sums.data(), take(e.sums.size() * sizeof(float)).data(), e.sums.size() * sizeof(float));
    // A mean times the calls: with the rows of a call it is the sum over rows that the other form stores.
    for (float& v : e.sums) v *= static_cast<float>(chunk_size);
    e.counts = {static_cast<float>(calls) * static_cast<float>(chunk_size)};
    check(e, name, file_);
    if (!matrix.entries.emplace(name, std::move(e)).second)
      fail(ErrorCategory::input, "{}: {} stands in it twice", file_, printable(name));
  }

  std::size_t left() const noexcept { return bytes_.size() - at_; }
  std::span<const std::byte> take(std::size_t n) {
    const auto part = bytes_.subspan(at_, n);
    at_ += n;
    return part;
  }
  std::int32_t number(const char* what) {
    std::int32_t v = 0;
    if (left() < sizeof v) fail(ErrorCategory::input, "{}: ends at byte {} where the {} should be", file_, at_, what);
    std::memcpy(&v, take(sizeof v).data(), sizeof v);
    return v;
  }
  std::int32_t positive(const char* what, std::size_t most) {
    const std::int32_t v = number(what);
    if (v < 1 || static_cast<std::size_t>(v) > most) bad(what, v, fmt::format("1 to {}", most));
    return v;
  }
  std::string text(std::int32_t length) {
    if (static_cast<std::size_t>(length) > left()) bad("length of a name", length, fmt::format("at most {}", left()));
    const auto part = take(static_cast<std::size_t>(length));
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  [[noreturn]] void bad(const char* what, std::int32_t found, const std::string& expected) const {
    fail(ErrorCategory::input, "{}: {} before byte {} is {}, expected {}: no importance matrix, or a damaged one",
         file_, what, at_, found, expected);
  }

  std::span<const std::byte> bytes_;
  std::string file_;
  std::size_t at_ = 0;
};

void put(OutputFile& out, std::int32_t v) { out.write(std::as_bytes(std::span(&v, 1))); }
void put(OutputFile& out, std::string_view s) {
  put(out, static_cast<std::int32_t>(s.size()));
  out.write(std::as_bytes(std::span(s)));
}

void write_dat(const fs::path& path, const ImportanceMatrix& matrix) {
  OutputFile out(path);
  const float chunk = static_cast<float>(std::max(1u, matrix.chunk_size));
  put(out, static_cast<std::int32_t>(matrix.entries.size()));
  for (const auto& [name, e] : matrix.entries) {
    const float rows = e.counts.empty() ? 0.0f : std::ranges::max(e.counts);
    const float calls = std::ceil(rows / chunk);  // never 0 for what was seen
    if (e.sums.size() > INT32_MAX || !(calls < 2147483648.0f))
      fail(ErrorCategory::output, "{}: {} is too large for the .dat form; use GGUF", path.string(), name);
    put(out, name);
    put(out, static_cast<std::int32_t>(calls));
    put(out, static_cast<std::int32_t>(e.sums.size()));
    std::vector<float> values = e.weights();
    for (float& v : values) v *= calls;
    out.write(std::as_bytes(std::span(values)));
  }
  put(out, static_cast<std::int32_t>(std::min<std::uint32_t>(matrix.chunk_count, INT32_MAX)));
  put(out, std::string_view(matrix.datasets.empty() ? "" : matrix.datasets.back()));
  out.commit();
}

}  // namespace

ImportanceMatrix read_imatrix(const fs::path& path, std::uint32_t dat_chunk_size) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  if (bytes.size() < 4 || std::memcmp(bytes.data(), "GGUF", 4) != 0)
    return DatReader(bytes, path.string()).read(std::max(1u, dat_chunk_size));
  try {
    return from_gguf(gguf::File::from_memory(bytes, path.string()), path.string());
  } catch (const Error& e) {
    if (e.category() != ErrorCategory::model) throw;
    throw Error(ErrorCategory::input, e.what());  // what is damaged is no model
  }
}

void write_imatrix(const fs::path& path, const ImportanceMatrix& matrix, ImatrixForm form) {
  if (matrix.entries.empty()) fail(ErrorCategory::output, "{}: there is nothing to write yet", path.string());
  form == ImatrixForm::gguf ? write_gguf(path, matrix) : write_dat(path, matrix);
}

}  // namespace mtmd::quality
