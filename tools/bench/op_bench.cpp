#include "bench/op_bench.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>

#include "bench/ceilings.h"
#include "bench/random_rows.h"
#include "bench/statistics.h"
#include "engine/base/isa.h"
#include "engine/device/rope_table.h"

namespace mtmd::bench {
namespace {

std::vector<float> random_floats(std::size_t n) {
  std::vector<float> values(n);
  std::minstd_rand random(3);
  for (float& v : values) v = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
  return values;
}

class Ops {
 public:
  Ops(const OpOptions& options, const Plan& plan, const OpLimits& limits, const std::function<void(const Result&)>& progress)
      : options_(options),
        plan_(plan),
        limits_(limits),
        progress_(progress),
        device_(make_device("cpu", {.threads = options.threads, .isa = options.isa})) {}

  void matmul(DType type, std::int64_t n) {
    constexpr std::size_t kBeyondCaches = std::size_t{512} << 20;
    const std::int64_t rows = options_.rows, cols = options_.cols;
    const std::size_t bytes = row_bytes(type, cols) * static_cast<std::size_t>(rows);
    // Many tokens: one matrix after the other is what a model does, too, but a few suffice.
    const std::size_t copies = n > 16 ? 4 : kBeyondCaches / bytes + 1;
    const std::vector<std::byte> weights = random_rows(type, cols, rows * static_cast<std::int64_t>(copies));
    const std::vector<float> x = random_floats(static_cast<std::size_t>(n * cols));
    std::vector<float> y(static_cast<std::size_t>(n * rows));
    std::size_t turn = 0;
    // One call takes microseconds: a sample is several of them.
    const int calls = static_cast<int>(std::max<std::int64_t>(1, 64 / n));
    Result r = start(fmt::format("matmul {} {}x{} n={}", name(type), rows, cols, n), "GOPS",
                     2e-9 * static_cast<double>(n * rows * cols) * calls);
    r.n_prompt = static_cast<int>(n);
    r.weight_types = name(type);
    run(r, [&] {
      for (int i = 0; i < calls; ++i) {
        const Weight w{type, weights.data() + bytes * (turn++ % copies), rows, cols, 1};
        device_->matmul(Tensor(y.data(), n, rows), w, Tensor(const_cast<float*>(x.data()), n, cols));
      }
    });
    const double seconds = median(r.samples.seconds) / calls, rate = static_cast<double>(bytes) / seconds;
    const double operations = 2.0 * static_cast<double>(n * rows * cols) / seconds;
    r.extra = {{"bytes_per_second", rate}, {"operations_per_second", operations}};
    const bool floats = type == DType::F32, halves = type == DType::F16 || type == DType::BF16;
    const double products = floats || (halves && limits_.bf16 == 0) ? limits_.f32 : halves ? limits_.bf16 : limits_.int8;
    r.limit = fmt::format("{:.1f} GB/s = {} of memory, {} of {} dot", rate / 1e9, share(rate, limits_.memory),
                          share(operations, products), products == limits_.f32 ? "f32" : halves ? "bf16" : "int8");
    done(std::move(r));
  }

  /// gate, up and down of a feed-forward network, as a model calls them.
  void feed_forward(DType type, std::int64_t n) {
    const std::int64_t rows = options_.rows, cols = options_.cols;
    const std::vector<std::byte> gate = random_rows(type, cols, rows), up = gate, down = random_rows(type, rows, cols);
    const std::vector<float> x = random_floats(static_cast<std::size_t>(n * cols));
    std::vector<float> y(static_cast<std::size_t>(n * cols)), hidden(static_cast<std::size_t>(n * rows));
    Result r = start(fmt::format("feed_forward {} {}x{} n={}", name(type), rows, cols, n), "GOPS", 6e-9 * static_cast<double>(n * rows * cols));
    const FeedForward block{{type, gate.data(), rows, cols, 1}, {type, up.data(), rows, cols, 1}, {type, down.data(), cols, rows, 1}};
    run(r, [&] {
      device_->feed_forward(Tensor(y.data(), n, cols), block, Tensor(const_cast<float*>(x.data()), n, cols), Tensor(hidden.data(), n, rows));
    });
    r.limit = share(1e9 * median(r.rates()), limits_.int8) + " of int8 dot";
    done(std::move(r));
  }

  /// `queries` at the end of `keys` keys, causal over an f16 cache; encoders: every query sees every key, f32.
  void attention(std::string_view what, std::int64_t queries, std::int64_t keys, std::int32_t heads, std::int32_t kv_heads,
                 std::int32_t dim, bool cache) {
    const AttentionOptions how{.n_heads = heads, .n_kv_heads = kv_heads, .key_dim = dim, .value_dim = dim, .scale = 1 / std::sqrt(static_cast<float>(dim))};
    const std::int64_t q_cols = std::int64_t{heads} * dim, kv_cols = std::int64_t{kv_heads} * dim;
    std::vector<float> q = random_floats(static_cast<std::size_t>(queries * q_cols)), y(q.size());
    std::vector<float> k = random_floats(static_cast<std::size_t>(keys * kv_cols));
    double pairs = 0;
    Result r = start(fmt::format("attention {} q={} k={} heads={}/{} dim={}", what, queries, keys, heads, kv_heads, dim), "GFLOPS", 0);
    if (cache) {
      constexpr std::int32_t kBlock = 32;
      const auto blocks = static_cast<std::int32_t>((keys + kBlock - 1) / kBlock);
      const std::size_t half = static_cast<std::size_t>(blocks) * kBlock * static_cast<std::size_t>(kv_cols) * 2;
      const auto memory = device_->allocate(2 * half);
      const KvLayer layer{DType::F16, memory.get(), memory.get() + half, kBlock, blocks, static_cast<std::int32_t>(kv_cols),
                          static_cast<std::int32_t>(kv_cols)};
      std::vector<std::int64_t> rows(static_cast<std::size_t>(keys));
      std::iota(rows.begin(), rows.end(), 0);
      device_->kv_store(layer, Tensor(k.data(), keys, kv_cols), Tensor(k.data(), keys, kv_cols), rows);
      std::vector<std::int32_t> table(static_cast<std::size_t>(blocks));
      std::iota(table.begin(), table.end(), 0);
      std::vector<PagedQuery> list;
      for (std::int64_t i = 0; i < queries; ++i) {
        const auto end = static_cast<std::int32_t>(keys - queries + i + 1);
        list.push_back({table, {0, end}});
        pairs += end;
      }
      r.amount = 4e-9 * pairs * static_cast<double>(q_cols);
      run(r, [&] { device_->attention(Tensor(y.data(), queries, q_cols), Tensor(q.data(), queries, q_cols), layer, list, how); });
      if (queries == 1) {
        const double rate = 2.0 * static_cast<double>(keys * kv_cols) * 2 / median(r.samples.seconds);
        r.extra.emplace_back("bytes_per_second", rate);
        r.limit = fmt::format("{:.1f} GB/s of keys and values = {} of memory", rate / 1e9, share(rate, limits_.memory));
      }
    } else {
      const std::vector<KeyRange> ranges(static_cast<std::size_t>(queries), KeyRange{0, static_cast<std::int32_t>(keys)});
      r.amount = 4e-9 * static_cast<double>(queries * keys * q_cols);
      run(r, [&] {
        device_->attention(Tensor(y.data(), queries, q_cols), Tensor(q.data(), queries, q_cols), Tensor(k.data(), keys, kv_cols),
                           Tensor(k.data(), keys, kv_cols), ranges, how);
      });
    }
    if (r.limit.empty()) {
      const double flops = 1e9 * median(r.rates());
      r.limit = share(flops, limits_.f32) + " of f32 dot";
      if (limits_.bf16 > 0) r.limit += ", " + share(flops, limits_.bf16) + " of bf16 dot";
    }
    done(std::move(r));
  }

  /// Ops that move rows: `bytes` read and written by one call.
  void rows(std::string what, double bytes, const std::function<void()>& call) {
    const int calls = static_cast<int>(std::max(1.0, 8e6 / bytes));
    Result r = start(std::move(what), "GB/s", 1e-9 * bytes * calls);
    run(r, [&] {
      for (int i = 0; i < calls; ++i) call();
    });
    r.limit = share(1e9 * median(r.rates()), limits_.memory) + " of memory";
    done(std::move(r));
  }

  void row_ops(std::int64_t n, std::int64_t cols) {
    const std::size_t size = static_cast<std::size_t>(n * cols);
    std::vector<float> a = random_floats(size), b = random_floats(size), c(size), w = random_floats(static_cast<std::size_t>(cols));
    const Tensor x(a.data(), n, cols), z(b.data(), n, cols), y(c.data(), n, cols);
    const Vector weight(w);
    const double one = 4.0 * static_cast<double>(size);
    const std::string shape = fmt::format(" {}x{}", n, cols);
    rows("rms_norm" + shape, 2 * one, [&] { device_->rms_norm(y, x, weight, 1e-5f); });
    rows("layer_norm" + shape, 2 * one, [&] { device_->layer_norm(y, x, weight, weight, 1e-5f); });
    rows("add" + shape, 3 * one, [&] { device_->add(y, x, z); });
    rows("multiply" + shape, 3 * one, [&] { device_->multiply(y, x, z); });
    rows("scale" + shape, 2 * one, [&] { device_->scale(y, x, 0.5f); });
    rows("copy" + shape, 2 * one, [&] { device_->copy(y, x); });
    rows("silu" + shape, 2 * one, [&] { device_->activate(y, x, Activation::silu); });
    rows("gelu" + shape, 2 * one, [&] { device_->activate(y, x, Activation::gelu_tanh); });
    rows("softcap" + shape, 2 * one, [&] { device_->softcap(y, x, 30.0f); });
    RopeTable table{n, 32, random_floats(static_cast<std::size_t>(n) * 32), random_floats(static_cast<std::size_t>(n) * 32)};
    rows("rope halves" + shape, 2 * one, [&] { device_->rope(x, 64, table, RopePairs::halves); });
    rows("rope adjacent" + shape, 2 * one, [&] { device_->rope(x, 64, table, RopePairs::adjacent); });
    for (const DType type : {DType::F16, DType::Q4_K, DType::Q6_K}) {
      const std::int64_t vocabulary = 8192;
      const std::vector<std::byte> weights = random_rows(type, cols, vocabulary);
      std::vector<std::int32_t> ids(static_cast<std::size_t>(n));
      for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i * 7919 % static_cast<std::size_t>(vocabulary));
      const Weight embeddings{type, weights.data(), vocabulary, cols, 1};
      rows(fmt::format("get_rows {}{}", name(type), shape), one + static_cast<double>(row_bytes(type, cols)) * static_cast<double>(n),
           [&] { device_->get_rows(y, embeddings, ids); });
    }
    constexpr std::int32_t kBlock = 32;
    const auto blocks = static_cast<std::int32_t>((n + kBlock - 1) / kBlock);
    const std::size_t half = static_cast<std::size_t>(blocks) * kBlock * static_cast<std::size_t>(cols) * 2;
    const auto memory = device_->allocate(2 * half);
    const KvLayer layer{DType::F16, memory.get(), memory.get() + half, kBlock, blocks, static_cast<std::int32_t>(cols), static_cast<std::int32_t>(cols)};
    std::vector<std::int64_t> places(static_cast<std::size_t>(n));
    std::iota(places.begin(), places.end(), 0);
    rows("kv_store f16" + shape, 3 * one, [&] { device_->kv_store(layer, x, z, places); });
  }

  std::vector<Result> take() { return std::move(results_); }

 private:
  Result start(std::string test, std::string unit, double amount) const {
    Result r;
    r.n_threads = device_->info().threads;
    r.isa = name(select_isa(options_.isa));
    r.test = std::move(test);
    r.unit = std::move(unit);
    r.amount = amount;
    return r;
  }
  void run(Result& r, const std::function<void()>& body) const {
    r.samples = measure(plan_, [] {}, [&] {
      body();
      return -1.0;
    });
  }
  void done(Result r) {
    results_.push_back(std::move(r));
    if (progress_) progress_(results_.back());
  }
  static std::string share(double rate, double limit) {
    return limit > 0 ? fmt::format("{:.0f} %", 100 * rate / limit) : std::string("?");
  }

  const OpOptions& options_;
  const Plan& plan_;
  const OpLimits& limits_;
  const std::function<void(const Result&)>& progress_;
  std::unique_ptr<Device> device_;
  std::vector<Result> results_;
};

}  // namespace

OpLimits measure_op_limits(int threads, const std::string& isa) {
  ThreadPool pool(threads);
  const CeilingOptions options{.isa = isa};
  return {memory_read_ceiling(pool, options).best, dot_ceiling(pool, "int8 dot", options).best,
          dot_ceiling(pool, "bf16 dot", options).best, dot_ceiling(pool, "f32 dot", options).best};
}

std::vector<Result> bench_ops(const OpOptions& options, const Plan& plan, const OpLimits& limits,
                              const std::function<void(const Result&)>& progress) {
  Ops ops(options, plan, limits, progress);
  for (const DType type : options.types)
    for (const std::int32_t n : options.tokens) ops.matmul(type, n);
  ops.feed_forward(DType::Q4_K, 256);
  ops.feed_forward(DType::Q8_0, 256);
  ops.attention("prompt", 512, 512, 32, 8, 64, true);
  ops.attention("prompt at depth", 256, 4096, 32, 8, 64, true);
  ops.attention("one token", 1, 4096, 32, 8, 64, true);
  ops.attention("one token", 1, 4096, 14, 2, 64, true);
  ops.attention("encoder", 1024, 1024, 12, 12, 64, false);
  ops.attention("encoder", 1024, 1024, 16, 16, 72, false);
  ops.attention("encoder", 1024, 1024, 16, 16, 80, false);
  for (const std::int64_t n : {std::int64_t{1}, std::int64_t{512}}) ops.row_ops(n, 2048);
  return ops.take();
}

}  // namespace mtmd::bench
