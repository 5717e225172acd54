#include <algorithm>
#include <deque>
#include <numeric>

#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "engine/gguf/gguf.h"
#include "engine/gguf/reader.h"

namespace mtmd::gguf {
namespace fs = std::filesystem;

struct File::Impl {
  std::vector<MappedFile> maps;  ///< none when the bytes came from memory
  std::vector<fs::path> paths;
  Metadata metadata;
  std::vector<TensorInfo> tensors;
  std::vector<std::uint32_t> sorted;  ///< tensor indices by name
  std::uint32_t version = 0, alignment = 32;
  std::uint64_t file_bytes = 0;
  Precision precision = Precision::bf16_exact;

  void append(Part&& part, std::size_t file);
  void index();
};

namespace {

/// "stem-00002-of-00005.gguf" taken apart.
struct SplitName {
  std::string stem;
  unsigned number = 0, count = 0;  ///< number from 1

  static std::optional<SplitName> parse(const std::string& file_name);
  std::string part(unsigned i) const { return fmt::format("{}-{:05}-of-{:05}.gguf", stem, i, count); }
};

std::optional<unsigned> digits(std::string_view s) {
  unsigned v = 0;
  for (const char c : s) {
    if (c < '0' || c > '9') return std::nullopt;
    v = v * 10 + static_cast<unsigned>(c - '0');
  }
  return v;
}

std::optional<SplitName> SplitName::parse(const std::string& file_name) {
  constexpr std::string_view pattern = "-00000-of-00000.gguf";
  if (file_name.size() < pattern.size()) return std::nullopt;
  const std::string_view tail = std::string_view(file_name).substr(file_name.size() - pattern.size());
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || tail.substr(15) != ".gguf") return std::nullopt;
  const auto number = digits(tail.substr(1, 5)), count = digits(tail.substr(10, 5));
  if (!number || !count || *number < 1 || *number > *count) return std::nullopt;
  return SplitName{file_name.substr(0, file_name.size() - pattern.size()), *number, *count};
}

std::uint32_t split_count(const Metadata& m) {
  const auto n = m.get_or<std::uint32_t>("split.count", 1);
  if (n > 65535) fail(ErrorCategory::model, "{}: split.count is {}, at most 65535 parts are possible", m.file(), n);
  return std::max<std::uint32_t>(n, 1);
}

void check_part(const Part& part, unsigned index, unsigned count) {
  const Metadata& m = part.metadata;
  const auto no = m.get_or<std::uint32_t>("split.no", 0), n = split_count(m);
  if (n != count || no != index)
    fail(
        ErrorCategory::model,
        "{}: it says that it is part {} of {}, its name and its siblings say {} of {}; was a file renamed or mixed up?",
        m.file(), no + 1, n, index + 1, count);
}

}  // namespace

void File::Impl::append(Part&& part, std::size_t file) {
  for (TensorInfo& t : part.tensors) {
    t.file = file;
    tensors.push_back(std::move(t));
  }
  if (file != 0) return;
  metadata = std::move(part.metadata);  // the other parts repeat it or have none
  version = part.version;
  alignment = part.alignment;
}

void File::Impl::index() {
  sorted.resize(tensors.size());
  std::iota(sorted.begin(), sorted.end(), 0u);
  const auto name_of = [this](std::uint32_t i) { return tensors[i].name; };
  std::ranges::sort(sorted, {}, name_of);
  const auto twice = std::ranges::adjacent_find(sorted, {}, name_of);
  if (twice != sorted.end())
    fail(ErrorCategory::model, "{}: tensor {} appears twice", metadata.file(), in_quotes(name_of(*twice)));
  const auto total = metadata.get<std::int64_t>("split.tensors.count");
  if (paths.size() > 1 && total && *total != static_cast<std::int64_t>(tensors.size()))
    fail(ErrorCategory::model, "{}: its {} parts hold {} tensors, split.tensors.count says {}", metadata.file(),
         paths.size(), tensors.size(), *total);
}

std::int64_t TensorInfo::n_values() const noexcept {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

File File::open(const fs::path& path, const Limits& limits) {
  auto impl = std::make_unique<Impl>();
  MappedFile map(path);
  Part part = Reader(map.bytes(), path.string(), limits).parse();
  const unsigned count = split_count(part.metadata);
  if (count == 1) {
    impl->file_bytes = map.bytes().size();
    impl->maps.push_back(std::move(map));
    impl->paths.push_back(path);
    impl->append(std::move(part), 0);
    impl->index();
    return File(std::move(impl));
  }
  const auto split = SplitName::parse(path.filename().string());
  if (!split || split->count != count)
    fail(ErrorCategory::model,
         "{}: one of {} parts of a split model, but it is not named NAME-00001-of-{:05}.gguf: give it back its name, "
         "so that the other parts can be found",
         path.string(), count, count);
  for (unsigned i = 0; i < count; ++i) {
    const fs::path sibling = path.parent_path() / split->part(i + 1);
    MappedFile m(sibling);
    Part p = Reader(m.bytes(), sibling.string(), limits).parse();
    check_part(p, i, count);
    impl->file_bytes += m.bytes().size();
    impl->append(std::move(p), i);
    impl->maps.push_back(std::move(m));
    impl->paths.push_back(sibling);
  }
  impl->index();
  return File(std::move(impl));
}

File File::from_memory(std::span<const std::byte> bytes, std::string name, const Limits& limits) {
  auto impl = std::make_unique<Impl>();
  Part part = Reader(bytes, name, limits).parse();
  if (const auto n = split_count(part.metadata); n != 1)
    fail(ErrorCategory::model, "{}: one of {} parts of a split model; open it as a file, beside its siblings", name, n);
  impl->file_bytes = bytes.size();
  impl->paths.emplace_back(name);
  impl->append(std::move(part), 0);
  impl->index();
  return File(std::move(impl));
}

File::File(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
File::~File() = default;
File::File(File&&) noexcept = default;
File& File::operator=(File&&) noexcept = default;

const Metadata& File::metadata() const noexcept { return impl_->metadata; }
std::span<const TensorInfo> File::tensors() const noexcept { return impl_->tensors; }
std::span<const fs::path> File::paths() const noexcept { return impl_->paths; }
std::uint32_t File::version() const noexcept { return impl_->version; }
std::uint32_t File::alignment() const noexcept { return impl_->alignment; }
Precision File::precision() const noexcept { return impl_->precision; }
void File::set_precision(Precision precision) noexcept { impl_->precision = precision; }
std::uint64_t File::file_bytes() const noexcept { return impl_->file_bytes; }

const TensorInfo* File::find(std::string_view tensor) const noexcept {
  const auto name_of = [this](std::uint32_t i) { return impl_->tensors[i].name; };
  const auto it = std::ranges::lower_bound(impl_->sorted, tensor, {}, name_of);
  return it != impl_->sorted.end() && name_of(*it) == tensor ? &impl_->tensors[*it] : nullptr;
}

void File::prefetch() const noexcept {
  for (const TensorInfo& t : impl_->tensors)
    if (t.file < impl_->maps.size()) impl_->maps[t.file].prefetch(t.data);
}

}  // namespace mtmd::gguf
