// Mixture of experts: tokens are gathered by expert, each expert multiplies its own in one product, and the results are
// added to the tokens in the order of their choices.
#include <algorithm>

#include "engine/device/cpu/cpu_device.h"
#include "engine/device/cpu/matmul_work.h"
#include "engine/device/cpu/op_kernels.h"

namespace mtmd {
namespace {

using namespace cpu;

/// Rows of one expert in the tables sorted by expert.
struct Group {
  std::int32_t expert = 0;
  std::int64_t begin = 0, n = 0;
};

/// (token, choice) pairs sorted by expert, stable in the token.
struct Gathered {
  std::span<Group> groups;  ///< experts that were chosen
  std::int64_t* token;      ///< [pairs]: token of the sorted pair
  std::int64_t* place;      ///< [tokens * n_used]: where a pair went
};

Gathered gather(const MoeRouting& routing, std::int64_t experts, Scratch& scratch) {
  const auto pairs = static_cast<std::int64_t>(routing.expert.size());
  auto* begin = scratch.take<std::int64_t>(experts + 1);
  std::fill_n(begin, experts + 1, 0);
  for (std::int32_t e : routing.expert) ++begin[e + 1];
  for (std::int64_t e = 0; e < experts; ++e) begin[e + 1] += begin[e];
  auto* groups = scratch.take<Group>(experts);
  std::size_t used = 0;
  for (std::int64_t e = 0; e < experts; ++e)
    if (begin[e + 1] > begin[e]) groups[used++] = {static_cast<std::int32_t>(e), begin[e], begin[e + 1] - begin[e]};
  Gathered g{{groups, used}, scratch.take<std::int64_t>(pairs), scratch.take<std::int64_t>(pairs)};
  for (std::int64_t i = 0; i < pairs; ++i) {
    const std::int64_t at = begin[routing.expert[static_cast<std::size_t>(i)]]++;
    g.place[i] = at;
    g.token[at] = i / routing.n_used;
  }
  return g;
}

/// The part of an expert's weights that multiplies one input, and its biases (null for none).
struct Part {
  Weight weights[2];  ///< the second is empty, or the up side of a gate
  const float* bias[2];
};

/// The sides of an expert, as run_groups asks for them.
using PartOf = Part (*)(const MoeWeights& w, std::int64_t e);
const float* bias_of(Vector bias, std::int64_t e, std::int64_t n) { return bias.empty() ? nullptr : &bias[e * n]; }
Part gate_part(const MoeWeights& w, std::int64_t e) {
  return {{w.gate_of(e), {}}, {bias_of(w.gate_bias, e, w.n_ff())}};
}
Part up_part(const MoeWeights& w, std::int64_t e) { return {{w.up_of(e), {}}, {bias_of(w.up_bias, e, w.n_ff())}}; }
Part gate_up_part(const MoeWeights& w, std::int64_t e) {
  const Part gate = gate_part(w, e), up = up_part(w, e);
  return {{gate.weights[0], up.weights[0]}, {gate.bias[0], up.bias[0]}};
}
Part down_part(const MoeWeights& w, std::int64_t e) {
  return {{w.down.expert(e), {}}, {bias_of(w.down_bias, e, w.down.rows)}};
}

/// Writes finished rows of one group to a table [pairs, cols], combining gate and up where there are two.
struct Store {
  const OpKernels* ops;
  Tensor y;
  bool gated;
  Activation act;
  const float* bias[2];

  static void call(const void* self, std::int64_t t0, std::int64_t n_t, std::int64_t r0, std::int64_t n_r,
                   float* const* out, std::int64_t pitch) {
    const auto& s = *static_cast<const Store*>(self);
    float sum[2][4096];  // no chunk has more rows
    for (std::int64_t t = 0; t < n_t; ++t) {
      const float* v[2] = {};
      for (int i = 0; i < (s.gated ? 2 : 1); ++i) {
        v[i] = out[i] + t * pitch;
        if (s.bias[i]) s.ops->add(sum[i], v[i], s.bias[i] + r0, n_r), v[i] = sum[i];
      }
      float* y = s.y.row(t0 + t) + r0;
      if (s.gated)
        s.ops->gate[static_cast<int>(s.act)](y, v[0], v[1], n_r);
      else
        std::copy_n(v[0], n_r, y);
    }
  }
};

/// Index of the last start that is not above `i`; starts[0] = 0.
std::int64_t find_part(const std::int64_t* ends, std::int64_t n, std::int64_t i) {
  return std::upper_bound(ends, ends + n, i) - ends;
}

/// y[group rows] = what each group's weights make of its rows of x (pointers in sorted order).
void run_groups(ThreadPool& pool, const Kernels& kernels, std::span<const Group> groups, const MoeWeights& w,
                PartOf part_of, const float* const* x, Tensor y) {
  const MatmulKernels& k = *kernels.matmul;
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  const auto n = static_cast<std::int64_t>(groups.size());
  auto* parts = scratch.take<Part>(n);
  auto* acts = scratch.take<Acts>(n);
  auto* works = scratch.take<MatmulWork>(n);
  auto* stores = scratch.take<Store>(n);
  auto* item_ends = scratch.take<std::int64_t>(n);
  auto* chunk_ends = scratch.take<std::int64_t>(n);
  std::int64_t items = 0, chunks = 0;
  std::size_t bytes = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    new (parts + i) Part(part_of(w, groups[static_cast<std::size_t>(i)].expert));
    for (const Weight& weight : parts[i].weights) bytes += weight.bytes();
  }
  const Share share = share_of(bytes, pool.size());
  for (std::int64_t i = 0; i < n; ++i) {
    const Group& g = groups[static_cast<std::size_t>(i)];
    const Part& part = parts[i];
    const bool gated = static_cast<bool>(part.weights[1]);
    const std::size_t n_weights = gated ? 2 : 1;
    Way ways[2];
    for (std::size_t j = 0; j < n_weights; ++j) ways[j] = way_of(k, part.weights[j], g.n);
    // Of a pair of float weights one may fit into bf16.
    if (gated && ways[0].form != ways[1].form) ways[0] = ways[1] = {Form::float_groups};
    new (acts + i) Acts(x + g.begin, g.n, part.weights[0].cols);
    for (std::size_t j = 0; j < n_weights; ++j) acts[i].want(ways[j], k, scratch);
    new (works + i) MatmulWork(kernels, std::span(part.weights, n_weights), acts[i], std::span(ways, n_weights), share);
    new (stores + i) Store{kernels.ops, y.rows_at(g.begin, g.n), gated, w.activation, {part.bias[0], part.bias[1]}};
    item_ends[i] = items += acts[i].items(k);
    chunk_ends[i] = chunks += works[i].chunks();
  }
  pool.parallel_for(items, [&](std::int64_t item) {
    const std::int64_t i = find_part(item_ends, n, item);
    acts[i].prepare(i == 0 ? item : item - item_ends[i - 1], k);
  });
  pool.parallel_for(chunks, [&](std::int64_t chunk) {
    const std::int64_t i = find_part(chunk_ends, n, chunk);
    works[i].run(i == 0 ? chunk : chunk - chunk_ends[i - 1], {Store::call, stores + i});
  });
}

/// gate and up side by side where their kernels read the same activations, else one after the other.
void run_gate_up(ThreadPool& pool, const Kernels& kernels, std::span<const Group> groups, const MoeWeights& w,
                 const float* const* x, Tensor hidden) {
  const MatmulKernels& k = *kernels.matmul;
  const bool alike = w.gate_up || way_of(k, w.gate, 1).form == way_of(k, w.up, 1).form;
  if (alike) return run_groups(pool, kernels, groups, w, gate_up_part, x, hidden);
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  const Tensor gate(scratch.take<float>(hidden.size()), hidden.rows, hidden.cols);
  run_groups(pool, kernels, groups, w, gate_part, x, gate);
  run_groups(pool, kernels, groups, w, up_part, x, hidden);
  const auto combine = kernels.ops->gate[static_cast<int>(w.activation)];
  pool.parallel_ranges(hidden.rows, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) combine(hidden.row(i), gate.row(i), hidden.row(i), hidden.cols);
  });
}

}  // namespace

void CpuDevice::do_moe(Tensor y, const MoeWeights& w, const MoeRouting& routing, Tensor x) {
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  const Gathered gathered = gather(routing, w.n_experts(), scratch);
  const auto pairs = static_cast<std::int64_t>(routing.expert.size());

  const float** rows = scratch.take<const float*>(pairs);
  for (std::int64_t i = 0; i < pairs; ++i) rows[i] = x.row(gathered.token[i]);
  const Tensor hidden(scratch.take<float>(pairs * w.n_ff()), pairs, w.n_ff());
  run_gate_up(pool_, kernels_, gathered.groups, w, rows, hidden);

  for (std::int64_t i = 0; i < pairs; ++i) rows[i] = hidden.row(i);
  const Tensor out(scratch.take<float>(pairs * w.down.rows), pairs, w.down.rows);
  run_groups(pool_, kernels_, gathered.groups, w, down_part, rows, out);

  pool_.parallel_ranges(y.rows, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin * routing.n_used; i < end * routing.n_used; ++i) {
      const float weight = routing.weight[static_cast<std::size_t>(i)];
      const float* from = out.row(gathered.place[i]);
      float* to = y.row(i / routing.n_used);
      for (std::int64_t c = 0; c < y.cols; ++c) to[c] += weight * from[c];
    }
  });
}

}  // namespace mtmd
