#include "engine/gguf/verify.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/base/error.h"
#include "engine/quant/quant.h"

namespace mtmd::gguf {
namespace {

/// Values decoded at a time: a multiple of every block size, small enough for the first-level cache.
constexpr std::int64_t kChunk = 4096;

std::string_view kind(double v) { return std::isnan(v) ? "NaN" : v > 0 ? "infinite" : "minus infinite"; }

/// What is wrong with a block, given that it holds or decodes to something that is not finite.
std::string explain(const quant::Format& format, const std::byte* block, std::span<const float> values) {
  const auto scale = [&](std::int16_t at, std::string_view label) -> std::string {
    if (at < 0) return {};
    std::uint16_t bits;
    std::memcpy(&bits, block + at, sizeof bits);
    const float v = quant::f16_to_f32(bits);
    return std::isfinite(v) ? std::string() : fmt::format("the block scale {} is {}", label, kind(v));
  };
  if (std::string s = scale(format.d_at, "d"); !s.empty()) return s;
  if (std::string s = scale(format.dmin_at, "dmin"); !s.empty()) return s;
  const auto bad = std::ranges::find_if(values, [](float v) { return !std::isfinite(v); });
  if (values.size() == 1) return fmt::format("the value is {}", kind(*bad));
  return fmt::format("value {} of the block is {}: its scale is damaged", bad - values.begin(), kind(*bad));
}

/// Sums of zeros: x - x is 0 for finite x and NaN otherwise. Vectorises, unlike a search.
bool all_finite(std::span<const float> values) {
  float sum = 0;
  for (const float v : values) sum += v - v;
  return sum == 0;
}

class Checker {
 public:
  Checker(const TensorInfo& tensor, std::size_t max_findings) : tensor_(tensor), max_findings_(max_findings) {}

  /// `advance(bytes)` is told of each piece read; false stops.
  template <class Advance>
  bool run(Advance advance);
  std::vector<Finding> findings;
  std::uint64_t n_bad_blocks = 0;

 private:
  void chunk(const quant::Format& format, const std::byte* blocks, std::span<const float> values, std::int64_t row,
             std::int64_t first);
  void report(std::int64_t row, std::int64_t block, std::string what) {
    ++n_bad_blocks;
    if (findings.size() < max_findings_) findings.push_back({std::string(tensor_.name), row, block, std::move(what)});
  }
  template <class Advance>
  bool doubles(Advance advance);

  const TensorInfo& tensor_;
  std::size_t max_findings_;
};

void Checker::chunk(const quant::Format& format, const std::byte* blocks, std::span<const float> values,
                    std::int64_t row, std::int64_t first) {
  if (all_finite(values)) return;
  const DTypeInfo& t = info(format.type);
  for (std::size_t b = 0; b < values.size() / t.block_size; ++b) {
    const auto block_values = values.subspan(b * t.block_size, t.block_size);
    if (all_finite(block_values)) continue;
    const bool listed = findings.size() < max_findings_;
    report(row, first + static_cast<std::int64_t>(b),
           listed ? explain(format, blocks + b * t.block_bytes, block_values) : std::string());
  }
}

/// F64 is checked as it is: a large value is not an infinite one.
template <class Advance>
bool Checker::doubles(Advance advance) {
  const std::int64_t cols = tensor_.shape.back();
  for (std::int64_t i = 0; i < tensor_.n_values(); ++i) {
    double v;
    std::memcpy(&v, tensor_.data.data() + 8 * i, sizeof v);
    if (!std::isfinite(v)) report(i / cols, i % cols, fmt::format("the value is {}", kind(v)));
    if (i % kChunk == kChunk - 1 && !advance(std::uint64_t{8 * kChunk})) return false;
  }
  return advance(static_cast<std::uint64_t>(tensor_.n_values() % kChunk * 8));
}

template <class Advance>
bool Checker::run(Advance advance) {
  if (tensor_.type == DType::F64) return doubles(advance);
  const quant::Format* format = quant::find(tensor_.type);
  if (!format) return advance(tensor_.data.size());  // whole numbers: every bit pattern is one
  std::array<float, kChunk> values;
  const DTypeInfo& t = info(tensor_.type);
  const std::int64_t cols = tensor_.shape.back(), rows = tensor_.n_values() / cols;
  const std::byte* p = tensor_.data.data();
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t col = 0; col < cols; col += kChunk) {
      const std::int64_t n = std::min(kChunk, cols - col);
      const std::size_t bytes = row_bytes(tensor_.type, n);
      format->decode(p, values.data(), n);
      chunk(*format, p, std::span(values).first(static_cast<std::size_t>(n)), row, col / t.block_size);
      p += bytes;
      if (!advance(bytes)) return false;
    }
  }
  return true;
}

/// Bytes done by all threads; tells the caller every few megabytes.
class Progress {
 public:
  Progress(const VerifyOptions& options, std::uint64_t total) : options_(options), total_(total) {}
  bool add(std::uint64_t bytes) {
    constexpr std::uint64_t step = 16u << 20;
    const std::uint64_t before = done_.fetch_add(bytes), after = before + bytes;
    if (options_.progress && (before / step != after / step || after == total_)) {
      const std::lock_guard lock(mutex_);
      if (!options_.progress(done_, total_)) cancelled_ = true;  // done_: never less than in the call before
    }
    return !cancelled_;
  }
  bool cancelled() const { return cancelled_; }
  std::uint64_t done() const { return done_; }

 private:
  const VerifyOptions& options_;
  std::uint64_t total_;
  std::atomic<std::uint64_t> done_ = 0;
  std::atomic<bool> cancelled_ = false;
  std::mutex mutex_;
};

}  // namespace

Verification verify(const File& file, const VerifyOptions& options) {
  const std::span<const TensorInfo> tensors = file.tensors();
  Verification result;
  std::uint64_t total = 0;
  for (const TensorInfo& t : tensors) total += t.data.size();
  std::vector<std::optional<Checker>> checkers(tensors.size());
  Progress progress(options, total);
  std::atomic<std::size_t> next = 0;
  // A tensor at a time to whoever is free. Not the thread pool: its callers compute, this waits for the disk.
  const auto work = [&] {
    for (std::size_t i; !progress.cancelled() && (i = next.fetch_add(1)) < tensors.size();) {
      Checker& c = checkers[i].emplace(tensors[i], options.max_per_tensor);
      c.run([&](std::uint64_t bytes) { return progress.add(bytes); });
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 1; i < std::min<std::size_t>(options.n_threads, tensors.size()); ++i) threads.emplace_back(work);
    work();
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!checkers[i]) continue;
    std::ranges::move(checkers[i]->findings, std::back_inserter(result.findings));
    result.n_bad_blocks += checkers[i]->n_bad_blocks;
    result.n_tensors += 1;
    result.n_values += static_cast<std::uint64_t>(tensors[i].n_values());
  }
  result.n_bytes = progress.done();
  result.complete = !progress.cancelled();
  return result;
}

Verification verify(const std::filesystem::path& path, const VerifyOptions& options) {
  std::optional<File> file;
  try {
    file = File::open(path);
  } catch (const Error& e) {
    if (e.category() != ErrorCategory::model) throw;
    Verification result;
    result.findings.push_back({"", -1, -1, e.what()});
    return result;
  }
  return verify(*file, options);
}

}  // namespace mtmd::gguf
