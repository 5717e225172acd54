// Products of activations with weights: the CPU device's matmul, gated and get_rows.
#include <algorithm>

#include "engine/device/cpu/cpu_device.h"
#include "engine/device/cpu/matmul_work.h"
#include "engine/device/cpu/op_kernels.h"
#include "engine/quant/quant.h"

namespace mtmd {
namespace {

using namespace cpu;

/// What follows a product: bias, activation, residual.
struct Epilogue {
  const OpKernels* ops;
  Tensor y;
  MatmulOptions options;

  static void call(const void* self, std::int64_t t0, std::int64_t n_t, std::int64_t r0, std::int64_t n_r,
                   float* const* out, std::int64_t pitch) {
    const auto& e = *static_cast<const Epilogue*>(self);
    const MatmulOptions& o = e.options;
    const auto activate = e.ops->activate[static_cast<int>(o.activation)];
    for (std::int64_t t = 0; t < n_t; ++t) {
      const float* v = out[0] + t * pitch;
      float* y = e.y.row(t0 + t) + r0;
      if (o.accumulate && o.activation == Activation::none) {
        e.ops->add(y, y, v, n_r);
        if (!o.bias.empty()) e.ops->add(y, y, o.bias.data() + r0, n_r);
        continue;
      }
      float sum[4096];  // no chunk has more rows
      float* to = o.accumulate ? sum : y;
      if (!o.bias.empty())
        e.ops->add(to, v, o.bias.data() + r0, n_r);
      else
        std::copy_n(v, n_r, to);
      if (o.activation != Activation::none) activate(to, to, n_r);
      if (o.accumulate) e.ops->add(y, y, to, n_r);
    }
  }
  Sink sink() const { return {call, this}; }
};

struct GatedEpilogue {
  const OpKernels* ops;
  Tensor y;
  Activation act;
  Vector gate_bias, up_bias;

  static void call(const void* self, std::int64_t t0, std::int64_t n_t, std::int64_t r0, std::int64_t n_r,
                   float* const* out, std::int64_t pitch) {
    const auto& e = *static_cast<const GatedEpilogue*>(self);
    float gate[4096], up[4096];
    for (std::int64_t t = 0; t < n_t; ++t) {
      const float *g = out[0] + t * pitch, *u = out[1] + t * pitch;
      if (!e.gate_bias.empty()) e.ops->add(gate, g, e.gate_bias.data() + r0, n_r), g = gate;
      if (!e.up_bias.empty()) e.ops->add(up, u, e.up_bias.data() + r0, n_r), u = up;
      e.ops->gate[static_cast<int>(e.act)](e.y.row(t0 + t) + r0, g, u, n_r);
    }
  }
  Sink sink() const { return {call, this}; }
};

/// What stands between the products of a feed-forward block: rows of sums become the activations of `down`.
struct HiddenEpilogue {
  const Kernels* kernels;
  const FeedForward* w;
  Acts* hidden;

  static void call(const void* self, std::int64_t t0, std::int64_t n_t, std::int64_t r0, std::int64_t n_r,
                   float* const* out, std::int64_t pitch) {
    const auto& e = *static_cast<const HiddenEpilogue*>(self);
    for (std::int64_t t = 0; t < n_t; t += kBlockTokens)
      for (std::int64_t r = 0; r < n_r; r += kTileCols)
        e.block(t0 + t, std::min(kBlockTokens, n_t - t), r0 + r, std::min<std::int64_t>(kTileCols, n_r - r), out,
                r * pitch + t, pitch);
  }

  static constexpr std::int64_t kBlockTokens = 4 * kTileTokens;  ///< rows are packed out of first-level cache

  void block(std::int64_t t0, std::int64_t n_t, std::int64_t r0, std::int64_t n_r, float* const* out, std::int64_t at,
             std::int64_t pitch) const {
    for (std::int64_t r = 0; r < n_r; ++r) activate(r0 + r, n_t, out, at + r * pitch);
    for (std::int64_t t = 0; t < n_t; t += kTileTokens)
      kernels->matmul->tiles.pack_sums(out[0] + at + t, pitch, n_r, hidden->tile_parts(), hidden->tile_values(),
                                       hidden->tiles(t0 + t, r0, 0));
  }
  void activate(std::int64_t row, std::int64_t n_t, float* const* out, std::int64_t at) const {
    const OpKernels& ops = *kernels->ops;
    const auto act = static_cast<int>(w->activation);
    const auto with_bias = [&](float* values, Vector bias) {
      if (!bias.empty()) ops.shift(values, values, bias[static_cast<std::size_t>(row)], n_t);
      return values;
    };
    if (!w->gate) return ops.activate[act](out[0] + at, with_bias(out[0] + at, w->up_bias), n_t);
    ops.gate[act](out[0] + at, with_bias(out[0] + at, w->gate_bias), with_bias(out[1] + at, w->up_bias), n_t);
  }
  Sink sink() const { return {call, this, true}; }
};

void prepare(ThreadPool& pool, const MatmulKernels& k, const Acts& acts) {
  pool.parallel_for(acts.items(k), [&](std::int64_t item) { acts.prepare(item, k); });
}

/// Products of prepared activations.
void run_products(const Kernels& k, ThreadPool& pool, std::span<const Product> products, const Way* ways,
                  const Acts& acts) {
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  const auto n = static_cast<std::int64_t>(products.size());
  auto* works = scratch.take<MatmulWork>(n);
  auto* epilogues = scratch.take<Epilogue>(n);
  auto* ends = scratch.take<std::int64_t>(n);
  std::int64_t chunks = 0;
  std::size_t bytes = 0;
  for (const Product& p : products) bytes += p.w.bytes();
  const Share share = share_of(bytes, pool.size());
  for (std::int64_t i = 0; i < n; ++i) {
    const Product& p = products[static_cast<std::size_t>(i)];
    new (works + i) MatmulWork(k, std::span(&p.w, 1), acts, std::span(ways + i, 1), share);
    new (epilogues + i) Epilogue{k.ops, p.y, p.options};
    ends[i] = chunks += works[i].chunks();
  }
  pool.parallel_for(chunks, [&](std::int64_t chunk) {
    const std::int64_t i = std::upper_bound(ends, ends + n, chunk) - ends;
    works[i].run(i == 0 ? chunk : chunk - ends[i - 1], epilogues[i].sink());
  });
}

/// Products of one x with one or two weights of the same Form, which meet in the sink.
void run_together(const Kernels& k, ThreadPool& pool, std::span<const Weight> weights, std::span<const Way> ways,
                  Tensor x, const Sink& sink) {
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  Acts acts(row_pointers(x, scratch), x.rows, x.cols);
  for (const Way& way : ways) acts.want(way, *k.matmul, scratch);
  prepare(pool, *k.matmul, acts);
  std::size_t bytes = 0;
  for (const Weight& w : weights) bytes += w.bytes();
  const MatmulWork work(k, weights, acts, ways, share_of(bytes, pool.size()));
  pool.parallel_for(work.chunks(), [&](std::int64_t chunk) { work.run(chunk, sink); });
}

}  // namespace

void CpuDevice::do_matmul(std::span<const Product> products, Tensor x) {
  const MatmulKernels& k = *kernels_.matmul;
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  Acts acts(row_pointers(x, scratch), x.rows, x.cols);
  auto* ways = scratch.take<Way>(std::ssize(products));
  for (std::size_t i = 0; i < products.size(); ++i) {
    ways[i] = way_of(k, products[i].w, x.rows);
    acts.want(ways[i], k, scratch);
  }
  prepare(pool_, k, acts);
  run_products(kernels_, pool_, products, ways, acts);
}

void CpuDevice::do_gated(Tensor y, const Weight& gate, const Weight& up, Tensor x, Activation act, Vector gate_bias,
                         Vector up_bias) {
  const MatmulKernels& k = *kernels_.matmul;
  const Way ways[] = {way_of(k, gate, x.rows), way_of(k, up, x.rows)};
  if (ways[0].form != ways[1].form) {  // nothing to share
    Scratch& scratch = Scratch::mine();
    const Scratch::Frame frame(scratch);
    const Tensor g(scratch.take<float>(y.size()), y.rows, y.cols);
    const Product products[] = {{g, gate, {.bias = gate_bias}}, {y, up, {.bias = up_bias}}};
    do_matmul(products, x);
    const auto combine = kernels_.ops->gate[static_cast<int>(act)];
    pool_.parallel_ranges(y.rows, 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t) combine(y.row(t), g.row(t), y.row(t), y.cols);
    });
    return;
  }
  const Weight weights[] = {gate, up};
  const GatedEpilogue epilogue{kernels_.ops, y, act, gate_bias, up_bias};
  run_together(kernels_, pool_, weights, ways, x, epilogue.sink());
}

void CpuDevice::do_feed_forward(Tensor y, const FeedForward& w, Tensor x, Tensor hidden, const MatmulOptions& options) {
  // Where all products are of tiles, what stands between them is never stored as floats.
  const Weight weights[] = {w.gate ? w.gate : w.up, w.up};
  const std::size_t n = w.gate ? 2 : 1;
  Way ways[2];
  bool tiles = true;
  for (std::size_t i = 0; i < n; ++i) {
    ways[i] = way_of(*kernels_.matmul, weights[i], x.rows);
    tiles &= ways[i].form == Form::tile_groups;
  }
  const Way down = way_of(*kernels_.matmul, w.down, x.rows);
  const std::int64_t values = down.parts.acts * Acts::tile_values(hidden.rows, hidden.cols);
  const bool fits = hidden.contiguous() && values <= 2 * hidden.size();  // two bf16 in a float's place
  if (!tiles || down.form != Form::tile_groups || !fits) return Device::do_feed_forward(y, w, x, hidden, options);
  Acts acts(reinterpret_cast<std::uint16_t*>(hidden.data), down.parts.acts, hidden.rows, hidden.cols);
  const HiddenEpilogue epilogue{&kernels_, &w, &acts};
  run_together(kernels_, pool_, {weights, n}, {ways, n}, x, epilogue.sink());
  const Product product{y, w.down, options};
  run_products(kernels_, pool_, {&product, 1}, &down, acts);
}

void CpuDevice::do_get_rows(Tensor y, const Weight& w, std::span<const std::int32_t> ids) {
  const quant::Format* format = quant::find(w.type);
  pool_.parallel_ranges(y.rows, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      format->decode(w.row(ids[static_cast<std::size_t>(i)]), y.row(i), w.cols);
  });
}

}  // namespace mtmd
