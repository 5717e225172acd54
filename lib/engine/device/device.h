// The op surface: everything a forward pass asks of a machine. Ops are eager; a model is plain C++ that calls them in
// the order of its paper. Public functions check shapes once (assert-like: Error(internal)) and call the virtual part,
// which trusts them. Outputs come first. Unless stated otherwise an output may alias an input of the same shape
// exactly, but must not overlap it partially.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tensor/tensor.h"

namespace mtmd {

enum class Activation {
  none,
  relu,
  relu_squared,
  silu,
  gelu_tanh,
  gelu_erf,
  gelu_quick,
  sigmoid,
  /// gpt-oss (arXiv:2508.10925): x sigmoid(1.702 x) of x at most 7; as a gate it also clamps the other factor to -7..7
  /// and adds 1 to it.
  swiglu_clamped
};

/// y = act(w x + bias) (+ y when `accumulate`). bias: [out] or empty.
struct MatmulOptions {
  Vector bias = {};
  Activation activation = Activation::none;
  bool accumulate = false;  ///< add to what y holds (residual connections); added after the activation
};

/// One of several products of the same x: q/k/v share one rounding of the activations.
struct Product {
  Tensor y;  ///< [tokens, w.rows]
  Weight w;  ///< [out, in]
  MatmulOptions options = {};
};

/// A feed-forward block: gate (none: an empty Weight), up [ff, d]; down [out, ff].
struct FeedForward {
  Weight gate = {}, up = {}, down = {};
  Activation activation = Activation::silu;
  Vector gate_bias = {}, up_bias = {};  ///< [ff] or empty
};

/// Keys [begin, end) are visible to a query. Causal: {0, i + 1}; a window of W: {max(0, i + 1 - W), i + 1};
/// full: {0, n}; an image block that sees itself: {.., end of block}.
struct KeyRange {
  std::int32_t begin = 0, end = 0;
};

struct AttentionOptions {
  std::int32_t n_heads = 0,
               n_kv_heads =
                   0;  ///< n_heads is a multiple of n_kv_heads; query head h uses kv head h / (n_heads / n_kv_heads)
  std::int32_t key_dim = 0, value_dim = 0;  ///< per head
  float scale = 1.0f;                       ///< applied to q.k
  float softcap = 0.0f;                     ///< c > 0: scores become c tanh(s / c) before the softmax
  Vector sinks = {};  ///< [n_heads] or empty: one more score per head that takes part in the softmax and has no value
  Precision precision = Precision::f32;  ///< of queries, keys, values and the weights of values
};

/// One layer of a paged KV cache (DESIGN.md section 4). Block b holds `block_tokens` rows: K rows of n_kv_heads *
/// key_dim values at k + b * k_block_bytes, V rows likewise. Rows are stored in `type` (F32, F16, Q8_0), row after row.
struct KvLayer {
  DType type = DType::F32;
  std::byte* k = nullptr;
  std::byte* v = nullptr;
  std::int32_t block_tokens = 0, n_blocks = 0;
  std::int32_t key_cols = 0, value_cols = 0;  ///< n_kv_heads * key_dim, n_kv_heads * value_dim (0: keys only)
};

/// The cache rows of one query's sequence: position i lives in row blocks[i / block_tokens] * block_tokens + i %
/// block_tokens.
struct PagedQuery {
  std::span<const std::int32_t> blocks;  ///< block table of the sequence
  KeyRange range;                        ///< visible positions
};

/// How the values of a head pair up to be rotated.
enum class RopePairs {
  adjacent,  ///< (2i, 2i+1)
  halves,    ///< (i, i + n/2), n = number of rotated values (NeoX)
};

/// Precomputed rotations: cos/sin [tokens, pairs] (any scaling of the magnitude included). Every flavour of RoPE (long
/// factors, YaRN, M-RoPE sections, 2-D vision) is only another way to fill this table, see rope_table.h.
struct RopeTable {
  std::int64_t tokens = 0, pairs = 0;
  std::vector<float> cos, sin;
};

/// Experts of a mixture: the tokens' choices and how much each counts.
struct MoeRouting {
  std::int32_t n_used = 0;               ///< experts per token
  std::span<const std::int32_t> expert;  ///< [tokens, n_used]
  std::span<const float> weight;         ///< [tokens, n_used]
};

/// The gated feed-forward weights of all experts: gate, up [experts, ff, d]; down [experts, d, ff]; or gate and up of
/// each expert behind each other in `gate_up` [experts, 2 ff, d], and `gate` and `up` empty.
struct MoeWeights {
  Weight gate = {}, up = {}, down = {};
  Activation activation = Activation::silu;
  Weight gate_up = {};
  Vector gate_bias = {}, up_bias = {}, down_bias = {};  ///< [experts * ff], [experts * ff], [experts * d] or empty

  std::int64_t n_experts() const noexcept { return down.experts; }
  std::int64_t n_ff() const noexcept { return down.cols; }
  Weight gate_of(std::int64_t e) const noexcept {
    return gate_up ? gate_up.expert(e).rows_at(0, n_ff()) : gate.expert(e);
  }
  Weight up_of(std::int64_t e) const noexcept {
    return gate_up ? gate_up.expert(e).rows_at(n_ff(), n_ff()) : up.expert(e);
  }
};

/// Heads of a gated delta rule; value head h uses key head h / (n_value_heads / n_key_heads).
struct DeltaHeads {
  std::int32_t n_key_heads = 0, n_value_heads = 0, key_dim = 0, value_dim = 0;
};

/// How a picture [h * w, c] (c channels interleaved) is cut for a 2-D convolution.
struct Unfold2d {
  std::int32_t height = 0, width = 0, channels = 0;
  std::int32_t kernel_h = 0, kernel_w = 0, stride_h = 0, stride_w = 0, pad_h = 0, pad_w = 0;
  std::int32_t out_height() const noexcept { return (height + 2 * pad_h - kernel_h) / stride_h + 1; }
  std::int32_t out_width() const noexcept { return (width + 2 * pad_w - kernel_w) / stride_w + 1; }
};

struct DeviceInfo {
  std::string name;         ///< "cpu", "reference"
  std::string description;  ///< processor, instruction set
  int threads = 1;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceInfo info() const = 0;

  // --- memory -------------------------------------------------------------------------------------------------------
  /// Zero-initialised device memory, 64-byte aligned; freed with the returned owner.
  virtual std::shared_ptr<std::byte[]> allocate(std::size_t bytes) = 0;

  // --- matrix products
  // ------------------------------------------------------------------------------------------------
  /// y [n, w.rows] = act(w x + bias) (+ y); x: [n, w.cols]. y must not overlap x.
  void matmul(Tensor y, const Weight& w, Tensor x, const MatmulOptions& options = {});
  void matmul(std::span<const Product> products, Tensor x);
  void matmul(std::initializer_list<Product> products, Tensor x) {
    matmul(std::span(products.begin(), products.size()), x);
  }
  /// y [n, ff] = act(gate x + gate_bias) * (up x + up_bias)
  void gated(Tensor y, const Weight& gate, const Weight& up, Tensor x, Activation act, Vector gate_bias = {},
             Vector up_bias = {});
  /// y [n, out] = down h, with the options of that product, where h = act(gate x + gate_bias) * (up x + up_bias), or
  /// act(up x + up_bias) without a gate. hidden: [n, ff], memory for h; what is in it afterwards is not specified. y
  /// may be x.
  void feed_forward(Tensor y, const FeedForward& w, Tensor x, Tensor hidden, const MatmulOptions& options = {});
  /// y [n, d] += sum over chosen experts e of weight_e * down_e(act(gate_e x) * up_e x), each product with its bias
  void moe(Tensor y, const MoeWeights& w, const MoeRouting& routing, Tensor x);

  // --- rows
  // -----------------------------------------------------------------------------------------------------------
  /// y [n, cols] = rows `ids` of w, decoded to f32. Ids are checked.
  void get_rows(Tensor y, const Weight& w, std::span<const std::int32_t> ids);
  /// y = x / rms(x) * w per row (arXiv:1910.07467); w: [cols] or empty
  void rms_norm(Tensor y, Tensor x, Vector w, float eps);
  /// y = (x - mean) / sqrt(var + eps) * w + b per row; w, b: [cols] or empty
  void layer_norm(Tensor y, Tensor x, Vector w, Vector b, float eps);
  void add(Tensor y, Tensor a, Tensor b);        ///< y = a + b; b may have one row, added to every row of a
  void multiply(Tensor y, Tensor a, Tensor b);   ///< y = a * b elementwise; b may have one row
  void scale(Tensor y, Tensor x, float factor);  ///< y = x * factor
  void activate(Tensor y, Tensor x, Activation act);
  void softcap(Tensor y, Tensor x, float cap);  ///< y = cap * tanh(x / cap)
  void clamp(Tensor y, Tensor x, float low, float high);
  void copy(Tensor y, Tensor x);

  // --- attention
  // ------------------------------------------------------------------------------------------------------
  /// Rotates, in place, the first 2 * table.pairs values of every head of x: [tokens, heads * head_dim].
  void rope(Tensor x, std::int32_t head_dim, const RopeTable& table, RopePairs pairs);
  /// y [nq, heads * value_dim] = softmax(scale q k^T) v; q: [nq, heads * key_dim], k, v: [nk, kv_heads * ...];
  /// ranges: one per query. A query that sees nothing gets zeros. Memory stays linear in nq + nk.
  void attention(Tensor y, Tensor q, Tensor k, Tensor v, std::span<const KeyRange> ranges,
                 const AttentionOptions& options);
  /// The same over a paged cache.
  void attention(Tensor y, Tensor q, const KvLayer& kv, std::span<const PagedQuery> queries,
                 const AttentionOptions& options);
  /// Stores row i of k and v in cache row `rows[i]`, rounding to the cache's type.
  /// A cache without values (value_cols 0) takes a v of no columns.
  void kv_store(const KvLayer& kv, Tensor k, Tensor v, std::span<const std::int64_t> rows);

  // --- recurrences
  // ----------------------------------------------------------------------------------------------------
  /// Causal depthwise convolution over the keys of a paged cache: y[i][c] = sum over j < taps of kernel[c * taps + j] *
  /// key[end - taps + j][c], [begin, end) the range of query i; keys before its begin count as zero. y: [queries,
  /// key_cols], kernel: [key_cols, taps].
  void causal_conv(Tensor y, const KvLayer& kv, std::span<const PagedQuery> queries, Vector kernel);
  /// Gated delta rule (arXiv:2412.06464), token by token and per value head, S [key_dim, value_dim] of the head:
  /// S *= decay; S += k (beta (v - S^T k))^T; y = S^T q. q, k: [n, key heads * key_dim]; y, v: [n, value heads *
  /// value_dim]; decay, beta: [n, value heads]; state: [value heads * key_dim, value_dim], read and written.
  void delta_rule(Tensor y, Tensor q, Tensor k, Tensor v, Tensor decay, Tensor beta, Tensor state,
                  const DeltaHeads& heads);

  // --- pictures
  // -------------------------------------------------------------------------------------------------------
  /// im2col: y [out_h * out_w, channels * kernel_h * kernel_w] in a convolution kernel's order (channel, row, column);
  /// x: [height * width, channels]. Zero padding. `round_f16`: values are rounded to half precision on the way (the
  /// reference's convolutions).
  void unfold(Tensor y, Tensor x, const Unfold2d& how, bool round_f16);
  /// Average over s x s cells: x [h * w, c] -> y [(h/s) * (w/s), c]; h, w multiples of s.
  void average_pool(Tensor y, Tensor x, std::int32_t height, std::int32_t width, std::int32_t s);

 protected:
  virtual void do_matmul(std::span<const Product> products, Tensor x) = 0;
  virtual void do_gated(Tensor y, const Weight& gate, const Weight& up, Tensor x, Activation act, Vector gate_bias,
                        Vector up_bias) = 0;
  /// Two products through `hidden`, unless overridden.
  virtual void do_feed_forward(Tensor y, const FeedForward& w, Tensor x, Tensor hidden, const MatmulOptions& options);
  virtual void do_moe(Tensor y, const MoeWeights& w, const MoeRouting& routing, Tensor x) = 0;
  virtual void do_get_rows(Tensor y, const Weight& w, std::span<const std::int32_t> ids) = 0;
  virtual void do_rms_norm(Tensor y, Tensor x, Vector w, float eps) = 0;
  virtual void do_layer_norm(Tensor y, Tensor x, Vector w, Vector b, float eps) = 0;
  virtual void do_add(Tensor y, Tensor a, Tensor b) = 0;
  virtual void do_multiply(Tensor y, Tensor a, Tensor b) = 0;
  virtual void do_scale(Tensor y, Tensor x, float factor) = 0;
  virtual void do_activate(Tensor y, Tensor x, Activation act) = 0;
  virtual void do_softcap(Tensor y, Tensor x, float cap) = 0;
  virtual void do_clamp(Tensor y, Tensor x, float low, float high) = 0;
  virtual void do_copy(Tensor y, Tensor x) = 0;
  virtual void do_rope(Tensor x, std::int32_t head_dim, const RopeTable& table, RopePairs pairs) = 0;
  virtual void do_attention(Tensor y, Tensor q, Tensor k, Tensor v, std::span<const KeyRange> ranges,
                            const AttentionOptions& options) = 0;
  virtual void do_attention(Tensor y, Tensor q, const KvLayer& kv, std::span<const PagedQuery> queries,
                            const AttentionOptions& options) = 0;
  virtual void do_kv_store(const KvLayer& kv, Tensor k, Tensor v, std::span<const std::int64_t> rows) = 0;
  virtual void do_causal_conv(Tensor y, const KvLayer& kv, std::span<const PagedQuery> queries, Vector kernel) = 0;
  virtual void do_delta_rule(Tensor y, Tensor q, Tensor k, Tensor v, Tensor decay, Tensor beta, Tensor state,
                             const DeltaHeads& heads) = 0;
  virtual void do_unfold(Tensor y, Tensor x, const Unfold2d& how, bool round_f16) = 0;
  virtual void do_average_pool(Tensor y, Tensor x, std::int32_t height, std::int32_t width, std::int32_t s) = 0;
};

struct DeviceOptions {
  int threads = 0;       ///< 0: one per physical core
  std::string isa = {};  ///< force an instruction set ("base", "avx2", "avx512", "amx"); empty: MTMD_ISA, else the best
};

/// "cpu" (the fast one) or "reference" (plain loops in f32, accumulating in double; the oracle). Throws Error(device).
std::unique_ptr<Device> make_device(std::string_view name, const DeviceOptions& options = {});

/// Scratch tensors of one forward pass: a bump arena over device memory that grows only between passes.
class Workspace {
 public:
  explicit Workspace(Device& device) : device_(device) {}
  /// Uninitialised [rows, cols]; valid until the enclosing Scope ends (or reset()).
  Tensor tensor(std::int64_t rows, std::int64_t cols);
  void reset() noexcept;
  /// Empties it and makes room for this much in one stretch, so that it need not grow in the middle of a pass.
  void reserve(std::size_t bytes);
  std::size_t peak_bytes() const noexcept { return peak_; }

  /// Gives back, at its end, whatever was taken since its start (one per layer).
  class Scope {
   public:
    explicit Scope(Workspace& ws) noexcept : ws_(ws), chunk_(ws.chunk_), used_(ws.used_) {}
    ~Scope() { ws_.chunk_ = chunk_, ws_.used_ = used_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Workspace& ws_;
    std::size_t chunk_, used_;
  };

 private:
  struct Chunk {
    std::shared_ptr<std::byte[]> memory;
    std::size_t bytes = 0;
  };
  Device& device_;
  std::vector<Chunk> chunks_;
  std::size_t chunk_ = 0, used_ = 0, peak_ = 0;
};

}  // namespace mtmd
