// The non-virtual fronts: each checks its shapes once, skips empty work and calls the implementation.
#include "engine/device/device.h"

#include "engine/device/checks.h"
#include "engine/quant/quant.h"

namespace mtmd {
namespace {

using device_checks::overlap;
using device_checks::require;
using device_checks::require_same;
using device_checks::require_view;

void require_weight(const Weight& w, const char* op, const char* what) {
  require(w.data != nullptr && w.rows > 0 && w.cols > 0 && w.experts > 0, op, "weight {} {} is empty", what, w);
  require(w.cols % info(w.type).block_size == 0, op, "rows of weight {} {} are not whole blocks of {}", what, w,
          info(w.type).block_size);
  if (!quant::find(w.type)) fail(ErrorCategory::model, "{}: weights of type {} are not supported", op, name(w.type));
}

void require_bias(const Vector& bias, std::int64_t n, const char* op) {
  require(bias.empty() || std::ssize(bias) == n, op, "bias has {} values, expected {}", bias.size(), n);
}

void require_product(const Tensor& y, const Weight& w, const Tensor& x, const Vector& bias, const char* op) {
  require_view(y, op, "y");
  require_view(x, op, "x");
  require_weight(w, op, "w");
  require(w.experts == 1 && y.rows == x.rows && y.cols == w.rows && x.cols == w.cols, op, "y {}, w {}, x {} do not fit",
          y, w, x);
  require_bias(bias, w.rows, op);
  require(!overlap(y, x), op, "y {} overlaps x {}", y, x);
}

void require_experts(const MoeWeights& w, std::int64_t d, const char* op) {
  const std::int64_t n = w.n_experts(), ff = w.n_ff();
  require_weight(w.down, op, "down");
  require(w.down.rows == d, op, "down {} does not give {} columns", w.down, d);
  const auto fits = [&](const Weight& part, const char* what, std::int64_t rows) {
    require_weight(part, op, what);
    require(part.experts == n && part.rows == rows && part.cols == d, op, "{} {} does not fit down {}", what, part,
            w.down);
  };
  if (w.gate_up) {
    require(!w.gate && !w.up, op, "gate and up are given twice");
    fits(w.gate_up, "gate_up", 2 * ff);
  } else {
    fits(w.gate, "gate", ff);
    fits(w.up, "up", ff);
  }
  require_bias(w.gate_bias, n * ff, op);
  require_bias(w.up_bias, n * ff, op);
  require_bias(w.down_bias, n * d, op);
}

void require_row_or_same(const Tensor& y, const Tensor& a, const Tensor& b, const char* op) {
  require_same(y, a, op, "y", "a");
  require_view(b, op, "b");
  require(b.cols == a.cols && (b.rows == a.rows || b.rows == 1), op,
          "a is {}, b is {}; expected equal shapes or one row", a, b);
}

void require_heads(const Tensor& y, const Tensor& q, const AttentionOptions& o) {
  const char* op = "attention";
  require_view(y, op, "y");
  require_view(q, op, "q");
  require(o.n_heads > 0 && o.n_kv_heads > 0 && o.n_heads % o.n_kv_heads == 0 && o.key_dim > 0 && o.value_dim > 0, op,
          "{} heads over {} kv heads, sizes {} and {}, are not valid", o.n_heads, o.n_kv_heads, o.key_dim, o.value_dim);
  require(q.cols == std::int64_t{o.n_heads} * o.key_dim, op, "q is {}, expected {} heads of {}", q, o.n_heads,
          o.key_dim);
  require(y.rows == q.rows && y.cols == std::int64_t{o.n_heads} * o.value_dim, op, "y is {}, expected [{}, {} x {}]", y,
          q.rows, o.n_heads, o.value_dim);
  require_bias(o.sinks, o.n_heads, op);
  const bool same = y.data == q.data && y.cols == q.cols && y.stride == q.stride && o.key_dim == o.value_dim;
  require(same || !overlap(y, q), op, "y {} overlaps part of q {}", y, q);
}

/// Every block that a query may look into exists.
void require_tables(const KvLayer& kv, std::span<const PagedQuery> queries, const char* op) {
  // Queries of one sequence share their table: walk it once for the longest range.
  const std::int32_t* checked = nullptr;
  std::int64_t n_checked = 0;
  for (const PagedQuery& query : queries) {
    const auto [begin, end] = query.range;
    if (end <= begin) continue;
    const std::int64_t n_blocks = (std::int64_t{end} + kv.block_tokens - 1) / kv.block_tokens;
    require(begin >= 0 && n_blocks <= std::ssize(query.blocks), op, "positions [{}, {}) of {} blocks of {}", begin, end,
            query.blocks.size(), kv.block_tokens);
    std::int64_t b = begin / kv.block_tokens;
    if (query.blocks.data() == checked && b == 0) b = n_checked;
    for (; b < n_blocks; ++b)
      require(query.blocks[b] >= 0 && query.blocks[b] < kv.n_blocks, op, "no block {} of {}", query.blocks[b],
              kv.n_blocks);
    if (begin < kv.block_tokens && (query.blocks.data() != checked || n_blocks > n_checked))
      checked = query.blocks.data(), n_checked = n_blocks;
  }
}

void require_cache(const KvLayer& kv, const char* op) {
  require(kv.type == DType::F32 || kv.type == DType::F16 || kv.type == DType::Q8_0, op, "no KV cache of type {}",
          name(kv.type));
  require(kv.k && (kv.v || kv.value_cols == 0) && kv.block_tokens > 0 && kv.n_blocks > 0 && kv.key_cols > 0 &&
              kv.value_cols >= 0,
          op, "the KV cache is empty");
  const auto block = static_cast<std::int32_t>(info(kv.type).block_size);
  require(kv.key_cols % block == 0 && kv.value_cols % block == 0, op,
          "KV rows of {} and {} values are not whole {} blocks", kv.key_cols, kv.value_cols, name(kv.type));
}

}  // namespace

void Device::matmul(Tensor y, const Weight& w, Tensor x, const MatmulOptions& options) {
  const Product product{y, w, options};
  matmul(std::span(&product, 1), x);
}

void Device::matmul(std::span<const Product> products, Tensor x) {
  for (const Product& p : products) require_product(p.y, p.w, x, p.options.bias, "matmul");
  if (products.empty() || x.rows == 0) return;
  do_matmul(products, x);
}

void Device::gated(Tensor y, const Weight& gate, const Weight& up, Tensor x, Activation act, Vector gate_bias,
                   Vector up_bias) {
  require_product(y, gate, x, gate_bias, "gated");
  require_product(y, up, x, up_bias, "gated");
  if (x.rows > 0) do_gated(y, gate, up, x, act, gate_bias, up_bias);
}

void Device::feed_forward(Tensor y, const FeedForward& w, Tensor x, Tensor hidden, const MatmulOptions& options) {
  if (w.gate) require_product(hidden, w.gate, x, w.gate_bias, "feed_forward");
  require_product(hidden, w.up, x, w.up_bias, "feed_forward");
  require_product(y, w.down, hidden, options.bias, "feed_forward");
  if (x.rows > 0) do_feed_forward(y, w, x, hidden, options);
}

void Device::do_feed_forward(Tensor y, const FeedForward& w, Tensor x, Tensor hidden, const MatmulOptions& options) {
  if (w.gate)
    gated(hidden, w.gate, w.up, x, w.activation, w.gate_bias, w.up_bias);
  else
    matmul(hidden, w.up, x, {.bias = w.up_bias, .activation = w.activation});
  matmul(y, w.down, hidden, options);
}

void Device::moe(Tensor y, const MoeWeights& w, const MoeRouting& routing, Tensor x) {
  const char* op = "moe";
  require_same(y, x, op, "y", "x");
  require_experts(w, x.cols, op);
  require(routing.n_used > 0 && std::ssize(routing.expert) == x.rows * routing.n_used &&
              routing.weight.size() == routing.expert.size(),
          op, "{} choices and {} weights for {} tokens x {}", routing.expert.size(), routing.weight.size(), x.rows,
          routing.n_used);
  for (std::int32_t e : routing.expert)
    require(e >= 0 && e < w.n_experts(), op, "no expert {} of {}", e, w.n_experts());
  require(!overlap(y, x), op, "y {} overlaps x {}", y, x);
  if (x.rows > 0) do_moe(y, w, routing, x);
}

void Device::get_rows(Tensor y, const Weight& w, std::span<const std::int32_t> ids) {
  const char* op = "get_rows";
  require_view(y, op, "y");
  require_weight(w, op, "w");
  require(y.rows == std::ssize(ids) && y.cols == w.cols, op, "y {}, {} ids, w {} do not fit", y, ids.size(), w);
  for (std::int32_t id : ids) require(id >= 0 && id < w.rows * w.experts, op, "no row {} in w {}", id, w);
  if (!ids.empty()) do_get_rows(y, w, ids);
}

void Device::rms_norm(Tensor y, Tensor x, Vector w, float eps) {
  require_same(y, x, "rms_norm", "y", "x");
  require(w.empty() || std::ssize(w) == x.cols, "rms_norm", "x is {}, w has {} values", x, w.size());
  if (x.size() > 0) do_rms_norm(y, x, w, eps);
}

void Device::layer_norm(Tensor y, Tensor x, Vector w, Vector b, float eps) {
  require_same(y, x, "layer_norm", "y", "x");
  require((w.empty() || std::ssize(w) == x.cols) && (b.empty() || std::ssize(b) == x.cols), "layer_norm",
          "x is {}, w has {} and b {} values", x, w.size(), b.size());
  if (x.size() > 0) do_layer_norm(y, x, w, b, eps);
}

void Device::add(Tensor y, Tensor a, Tensor b) {
  require_row_or_same(y, a, b, "add");
  if (y.size() > 0) do_add(y, a, b);
}

void Device::multiply(Tensor y, Tensor a, Tensor b) {
  require_row_or_same(y, a, b, "multiply");
  if (y.size() > 0) do_multiply(y, a, b);
}

void Device::scale(Tensor y, Tensor x, float factor) {
  require_same(y, x, "scale", "y", "x");
  if (y.size() > 0) do_scale(y, x, factor);
}

void Device::activate(Tensor y, Tensor x, Activation act) {
  require_same(y, x, "activate", "y", "x");
  if (y.size() > 0) do_activate(y, x, act);
}

void Device::softcap(Tensor y, Tensor x, float cap) {
  require_same(y, x, "softcap", "y", "x");
  require(cap > 0.0f, "softcap", "cap {} is not positive", cap);
  if (y.size() > 0) do_softcap(y, x, cap);
}

void Device::clamp(Tensor y, Tensor x, float low, float high) {
  require_same(y, x, "clamp", "y", "x");
  require(low <= high, "clamp", "{} to {} is not a range", low, high);
  if (y.size() > 0) do_clamp(y, x, low, high);
}

void Device::copy(Tensor y, Tensor x) {
  require_same(y, x, "copy", "y", "x");
  if (y.size() > 0) do_copy(y, x);
}

void Device::rope(Tensor x, std::int32_t head_dim, const RopeTable& table, RopePairs pairs) {
  const char* op = "rope";
  require_view(x, op, "x");
  require(head_dim > 0 && x.cols % head_dim == 0, op, "x {} is not heads of {}", x, head_dim);
  require(table.tokens == x.rows && table.pairs >= 0 && 2 * table.pairs <= head_dim &&
              std::ssize(table.cos) == table.tokens * table.pairs && table.sin.size() == table.cos.size(),
          op, "x {} in heads of {}, table of {} tokens x {} pairs do not fit", x, head_dim, table.tokens, table.pairs);
  if (x.size() > 0 && table.pairs > 0) do_rope(x, head_dim, table, pairs);
}

void Device::attention(Tensor y, Tensor q, Tensor k, Tensor v, std::span<const KeyRange> ranges,
                       const AttentionOptions& options) {
  const char* op = "attention";
  require_heads(y, q, options);
  require_view(k, op, "k");
  require_view(v, op, "v");
  require(k.rows == v.rows && k.cols == std::int64_t{options.n_kv_heads} * options.key_dim &&
              v.cols == std::int64_t{options.n_kv_heads} * options.value_dim,
          op, "k {}, v {} are not {} heads of {} and {}", k, v, options.n_kv_heads, options.key_dim, options.value_dim);
  require(std::ssize(ranges) == q.rows, op, "{} ranges for {} queries", ranges.size(), q.rows);
  for (const KeyRange& r : ranges)
    require(r.begin >= 0 && r.end <= k.rows, op, "keys [{}, {}) of {}", r.begin, r.end, k.rows);
  require(!overlap(y, k) && !overlap(y, v), op, "y {} overlaps k or v", y);
  if (q.rows > 0) do_attention(y, q, k, v, ranges, options);
}

void Device::attention(Tensor y, Tensor q, const KvLayer& kv, std::span<const PagedQuery> queries,
                       const AttentionOptions& options) {
  const char* op = "attention";
  require_heads(y, q, options);
  require_cache(kv, op);
  require(
      kv.key_cols == options.n_kv_heads * options.key_dim && kv.value_cols == options.n_kv_heads * options.value_dim,
      op, "KV rows of {} and {} values are not {} heads of {} and {}", kv.key_cols, kv.value_cols, options.n_kv_heads,
      options.key_dim, options.value_dim);
  require(std::ssize(queries) == q.rows, op, "{} block tables for {} queries", queries.size(), q.rows);
  require_tables(kv, queries, op);
  if (q.rows > 0) do_attention(y, q, kv, queries, options);
}

void Device::kv_store(const KvLayer& kv, Tensor k, Tensor v, std::span<const std::int64_t> rows) {
  const char* op = "kv_store";
  require_cache(kv, op);
  require_view(k, op, "k");
  require_view(v, op, "v");
  require(k.rows == v.rows && k.rows == std::ssize(rows) && k.cols == kv.key_cols && v.cols == kv.value_cols, op,
          "k {}, v {}, {} rows do not fit a cache of {} and {} columns", k, v, rows.size(), kv.key_cols, kv.value_cols);
  const std::int64_t n_rows = std::int64_t{kv.n_blocks} * kv.block_tokens;
  for (std::int64_t row : rows) require(row >= 0 && row < n_rows, op, "no row {} of {}", row, n_rows);
  if (!rows.empty()) do_kv_store(kv, k, v, rows);
}

void Device::causal_conv(Tensor y, const KvLayer& kv, std::span<const PagedQuery> queries, Vector kernel) {
  const char* op = "causal_conv";
  require_view(y, op, "y");
  require_cache(kv, op);
  require(std::ssize(queries) == y.rows && y.cols == kv.key_cols, op, "y {}, {} block tables, keys of {} columns", y,
          queries.size(), kv.key_cols);
  require(!kernel.empty() && std::ssize(kernel) % kv.key_cols == 0, op, "a kernel of {} values for {} columns",
          kernel.size(), kv.key_cols);
  require_tables(kv, queries, op);
  if (y.rows > 0) do_causal_conv(y, kv, queries, kernel);
}

void Device::delta_rule(Tensor y, Tensor q, Tensor k, Tensor v, Tensor decay, Tensor beta, Tensor state,
                        const DeltaHeads& h) {
  const char* op = "delta_rule";
  require(h.n_key_heads > 0 && h.n_value_heads > 0 && h.n_value_heads % h.n_key_heads == 0 && h.key_dim > 0 &&
              h.value_dim > 0,
          op, "{} value heads over {} key heads, sizes {} and {}, are not valid", h.n_value_heads, h.n_key_heads,
          h.key_dim, h.value_dim);
  require_same(y, v, op, "y", "v");
  require_same(q, k, op, "q", "k");
  require_same(decay, beta, op, "decay", "beta");
  require_view(state, op, "state");
  require(q.rows == v.rows && decay.rows == v.rows && q.cols == std::int64_t{h.n_key_heads} * h.key_dim &&
              v.cols == std::int64_t{h.n_value_heads} * h.value_dim && decay.cols == h.n_value_heads,
          op, "q {}, v {}, decay {} are not {} and {} heads of {} and {}", q, v, decay, h.n_key_heads, h.n_value_heads,
          h.key_dim, h.value_dim);
  require(state.rows == std::int64_t{h.n_value_heads} * h.key_dim && state.cols == h.value_dim, op,
          "state {}, expected [{} x {}, {}]", state, h.n_value_heads, h.key_dim, h.value_dim);
  require(!overlap(y, q) && !overlap(y, k) && !overlap(y, state), op, "y {} overlaps q, k or the state", y);
  if (y.rows > 0) do_delta_rule(y, q, k, v, decay, beta, state, h);
}

void Device::unfold(Tensor y, Tensor x, const Unfold2d& how, bool round_f16) {
  const char* op = "unfold";
  require_view(y, op, "y");
  require_view(x, op, "x");
  require(how.height > 0 && how.width > 0 && how.channels > 0 && how.kernel_h > 0 && how.kernel_w > 0 &&
              how.stride_h > 0 && how.stride_w > 0 && how.pad_h >= 0 && how.pad_w >= 0 &&
              how.height + 2 * how.pad_h >= how.kernel_h && how.width + 2 * how.pad_w >= how.kernel_w,
          op, "{} x {} x {} cut by {} x {} steps {} x {} pads {} x {} is not valid", how.height, how.width,
          how.channels, how.kernel_h, how.kernel_w, how.stride_h, how.stride_w, how.pad_h, how.pad_w);
  require(x.rows == std::int64_t{how.height} * how.width && x.cols == how.channels, op,
          "x is {}, expected [{} x {}, {}]", x, how.height, how.width, how.channels);
  require(y.rows == std::int64_t{how.out_height()} * how.out_width() &&
              y.cols == std::int64_t{how.channels} * how.kernel_h * how.kernel_w,
          op, "y is {}, expected [{} x {}, {} x {} x {}]", y, how.out_height(), how.out_width(), how.channels,
          how.kernel_h, how.kernel_w);
  require(!overlap(y, x), op, "y {} overlaps x {}", y, x);
  do_unfold(y, x, how, round_f16);
}

void Device::average_pool(Tensor y, Tensor x, std::int32_t height, std::int32_t width, std::int32_t s) {
  const char* op = "average_pool";
  require_view(y, op, "y");
  require_view(x, op, "x");
  require(s > 0 && height > 0 && width > 0 && height % s == 0 && width % s == 0 && y.cols == x.cols &&
              x.rows == std::int64_t{height} * width && y.rows == std::int64_t{height / s} * (width / s),
          op, "x {} as {} x {} in cells of {} does not give y {}", x, height, width, s, y);
  require(!overlap(y, x), op, "y {} overlaps x {}", y, x);
  if (y.size() > 0) do_average_pool(y, x, height, width, s);
}

}  // namespace mtmd
