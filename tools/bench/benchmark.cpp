#include "bench/benchmark.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <random>

#include "engine/base/error.h"
#include "engine/base/thread_pool.h"
#include "engine/quant/quant.h"

namespace mtmd::bench {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double quantile(std::vector<double> values, double q) {
  std::ranges::sort(values);
  const double at = q * static_cast<double>(values.size() - 1);
  const auto i = static_cast<std::size_t>(at);
  const double rest = at - static_cast<double>(i);
  return i + 1 < values.size() ? values[i] * (1 - rest) + values[i + 1] * rest : values[i];
}

/// A language model with a cache, fed with random tokens.
class Runner {
 public:
  Runner(const gguf::File& file, const ModelOptions& options, std::int32_t n_ctx)
      : device_(make_device("cpu", {.threads = options.threads, .isa = {}})),
        decoder_(file, *device_, {.n_ctx = n_ctx, .n_ubatch = options.ubatch}),
        cache_(*device_, decoder_.kv_layers(), {.type = options.cache_type, .n_ctx = n_ctx}) {}

  Device& device() noexcept { return *device_; }
  void restart(std::int32_t depth) {
    cache_.truncate(0, depth);
    if (cache_.length(0) < depth) prompt(depth - cache_.length(0));
  }
  void prompt(std::int32_t n) {
    ids_.resize(static_cast<std::size_t>(n));
    for (std::int32_t& id : ids_) id = token();
    run();
  }
  void generate(std::int32_t n) {
    for (std::int32_t i = 0; i < n; ++i) {
      ids_.assign(1, token());
      run();
    }
  }

 private:
  std::int32_t token() { return static_cast<std::int32_t>(random_() % static_cast<unsigned>(decoder_.spec().n_vocab)); }
  void run() {
    batch_.clear();
    batch_.add_text(0, ids_, cache_.length(0), true);
    decoder_.forward(batch_, cache_);
  }

  std::unique_ptr<Device> device_;
  decoder::Decoder decoder_;
  kv::Cache cache_;
  decoder::Batch batch_;
  std::vector<std::int32_t> ids_;
  std::mt19937 random_{1};
};

void describe(const gguf::File& file, ModelReport& report) {
  std::map<DType, std::uint64_t> bytes;
  for (const gguf::TensorInfo& t : file.tensors()) {
    bytes[t.type] += t.data.size();
    report.weight_bytes += t.data.size();
    report.parameters += static_cast<std::uint64_t>(t.n_values());
  }
  std::vector<std::pair<std::uint64_t, DType>> order;
  for (const auto& [type, n] : bytes) order.emplace_back(n, type);
  std::ranges::sort(order, std::greater<>());
  for (const auto& [n, type] : order) {
    const double percent = 100.0 * static_cast<double>(n) / static_cast<double>(report.weight_bytes);
    if (percent >= 1)
      report.types += fmt::format("{}{} {:.0f} %", report.types.empty() ? "" : ", ", name(type), percent);
  }
  report.architecture = std::string(file.metadata().get_or<std::string_view>("general.architecture", "unknown"));
}

/// Weights whose scales are small numbers whatever the format: speed does not depend on the values, but overflow might.
std::vector<std::byte> random_weights(std::size_t bytes) {
  std::vector<std::byte> w(bytes);
  std::mt19937 random(1);
  for (std::size_t i = 0; i + 4 <= bytes; i += 4) {
    const std::uint32_t word = static_cast<std::uint32_t>(random()) & 0x3f3f3f3fu;
    std::memcpy(w.data() + i, &word, 4);
  }
  return w;
}

}  // namespace

double Samples::median() const { return quantile(seconds, 0.5); }
double Samples::spread() const { return (quantile(seconds, 0.75) - quantile(seconds, 0.25)) / 2; }

Samples measure(int repetitions, const std::function<void()>& before, const std::function<void()>& body) {
  Samples samples;
  for (int i = -1; i < repetitions; ++i) {
    before();
    const double start = now();
    body();
    if (i >= 0) samples.seconds.push_back(now() - start);
  }
  return samples;
}

std::string Test::name() const {
  const std::string base = prompt > 0 && generate > 0 ? fmt::format("pp{}+tg{}", prompt, generate)
                           : prompt > 0               ? fmt::format("pp{}", prompt)
                                                      : fmt::format("tg{}", generate);
  return depth > 0 ? fmt::format("{} @ d{}", base, depth) : base;
}

ModelReport bench_model(const std::string& path, std::span<const Test> tests, const ModelOptions& options,
                        const std::function<void(const ModelResult&)>& progress) {
  const gguf::File file = gguf::File::open(path);
  file.prefetch();
  ModelReport report;
  report.file = path;
  describe(file, report);
  std::int32_t n_ctx = 0;
  for (const Test& t : tests) n_ctx = std::max(n_ctx, t.depth + t.tokens());
  Runner runner(file, options, n_ctx + 32);
  report.device = runner.device().info();
  for (const Test& t : tests) {
    runner.restart(0);
    const Samples samples = measure(
        options.repetitions, [&] { runner.restart(t.depth); },
        [&] {
          if (t.prompt > 0) runner.prompt(t.prompt);
          runner.generate(t.generate);
        });
    report.results.push_back({t, samples});
    if (progress) progress(report.results.back());
  }
  return report;
}

double OpResult::bytes_per_second() const {
  return static_cast<double>(row_bytes(type, cols)) * static_cast<double>(rows) / samples.median();
}
double OpResult::operations_per_second() const {
  return 2.0 * static_cast<double>(n) * static_cast<double>(rows) * static_cast<double>(cols) / samples.median();
}

OpResult bench_matmul(Device& device, DType type, std::int64_t rows, std::int64_t cols, std::int64_t n,
                      int repetitions) {
  constexpr std::size_t kBeyondCaches = std::size_t{256} << 20;
  const std::size_t bytes = row_bytes(type, cols) * static_cast<std::size_t>(rows);
  const std::size_t copies = kBeyondCaches / bytes + 1;
  const std::vector<std::byte> weights = random_weights(bytes * copies);
  std::vector<float> x(static_cast<std::size_t>(n * cols)), y(static_cast<std::size_t>(n * rows));
  std::mt19937 random(2);
  for (float& v : x) v = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
  std::size_t turn = 0;
  OpResult result{type, rows, cols, n, {}};
  result.samples = measure(
      repetitions, [] {},
      [&] {
        const Weight w{type, weights.data() + bytes * (turn++ % copies), rows, cols, 1};
        device.matmul(Tensor(y.data(), n, rows), w, Tensor(x.data(), n, cols));
      });
  return result;
}

double memory_read_rate(int threads) {
  constexpr std::size_t kPiece = std::size_t{1} << 20, kPieces = 512;
  ThreadPool pool(threads);
  std::vector<std::uint64_t> memory(kPiece / 8 * kPieces, 1);
  std::vector<std::uint64_t> sums(kPieces);
  const Samples samples = measure(
      7, [] {},
      [&] {
        pool.parallel_for(kPieces, [&](std::int64_t piece) {
          const std::uint64_t* p = memory.data() + static_cast<std::size_t>(piece) * (kPiece / 8);
          using Words = std::uint64_t __attribute__((vector_size(64), aligned(8), may_alias));
          Words s[2] = {};  // whole cache lines, so that loads do not become the limit
          for (std::size_t i = 0; i < kPiece / 8; i += 16) {
            __builtin_prefetch(p + i + 512);
            __builtin_prefetch(p + i + 520);
            s[0] += *reinterpret_cast<const Words*>(p + i);
            s[1] += *reinterpret_cast<const Words*>(p + i + 8);
          }
          for (int j = 0; j < 8; ++j) sums[static_cast<std::size_t>(piece)] += s[0][j] + s[1][j];
        });
      });
  if (sums[0] == 0) fail(ErrorCategory::internal, "memory read: the sums were optimised away");
  return static_cast<double>(kPiece * kPieces) / *std::ranges::min_element(samples.seconds);
}

}  // namespace mtmd::bench
