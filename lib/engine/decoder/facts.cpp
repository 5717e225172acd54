#include "engine/decoder/facts.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"

namespace mtmd::decoder {
namespace {

std::int32_t vocabulary(const Facts& f) {
  if (const gguf::Value* tokens = f.file().metadata().find("tokenizer.ggml.tokens")) {
    if (tokens->is_array() && tokens->size() >= 1 && tokens->size() <= kMaxVocab)
      return static_cast<std::int32_t>(tokens->size());
    fail(ErrorCategory::model, "{}: tokenizer.ggml.tokens has {} entries, expected 1 to {}", f.file().metadata().file(),
         tokens->size(), kMaxVocab);
  }
  return f.integer("vocab_size", 1, kMaxVocab);
}

std::int32_t head_size(const Facts& f, const DecoderSpec& s, std::string_view key, std::int32_t n_heads) {
  if (f.has(key)) return f.integer(key, 1, kMaxHeadDim);
  if (s.n_embd % n_heads != 0)
    f.reject("attention.head_count", fmt::format("{}", n_heads),
             fmt::format("a divisor of embedding_length {}", s.n_embd));
  return std::min(s.n_embd / n_heads, kMaxHeadDim);
}

void shape_layers(const Facts& f, DecoderSpec& s, std::int32_t fewest_kv_heads) {
  const auto heads = f.per_layer("attention.head_count", s.n_layers, 1, kMaxHeads);
  const auto kv_heads = f.per_layer_or("attention.head_count_kv", s.n_layers, fewest_kv_heads, kMaxHeads, heads);
  const auto ff = f.per_layer("feed_forward_length", s.n_layers, 1, kMaxWidth);
  s.layers.resize(s.n_layers);
  for (std::int32_t i = 0; i < s.n_layers; ++i) {
    LayerSpec& layer = s.layers[i];
    layer.n_heads = heads[i];
    layer.n_kv_heads = kv_heads[i];
    if (kv_heads[i] > 0 && heads[i] % kv_heads[i] != 0)
      f.reject("attention.head_count_kv", fmt::format("{}", kv_heads[i]),
               fmt::format("a divisor of head_count {}", heads[i]));
    layer.key_dim = head_size(f, s, "attention.key_length", heads[0]);
    layer.value_dim = head_size(f, s, "attention.value_length", heads[0]);
    layer.n_ff = ff[i];
  }
}

/// YaRN's attention factor (arXiv:2309.00071, section 3.4): 0.1 m ln(s) + 1.
float yarn_magnitude(float factor, float m) { return factor <= 1.0f ? 1.0f : 0.1f * m * std::log(factor) + 1.0f; }

}  // namespace

Facts::Facts(const gguf::File& file, std::int32_t n_ctx)
    : file_(file), architecture_(file.metadata().require<std::string_view>("general.architecture")), n_ctx_(n_ctx) {
  if (n_ctx < 0) fail(ErrorCategory::usage, "a context of {} tokens, expected 0 (the model's own) or more", n_ctx);
  if (n_ctx_ == 0) n_ctx_ = integer("context_length", 1, kMaxContext);
}

void Facts::reject(std::string_view key, const std::string& found, const std::string& expected) const {
  fail(ErrorCategory::model, "{}: {} is {}, expected {}", metadata().file(), full(key), found, expected);
}

std::int32_t Facts::in_range(std::string_view key, std::int64_t value, std::int32_t low, std::int32_t high) const {
  if (value < low || value > high) reject(key, fmt::format("{}", value), fmt::format("{} to {}", low, high));
  return static_cast<std::int32_t>(value);
}

std::int32_t Facts::integer(std::string_view key, std::int32_t low, std::int32_t high) const {
  return in_range(key, metadata().require<std::int64_t>(full(key)), low, high);
}

std::int32_t Facts::integer_or(std::string_view key, std::int32_t low, std::int32_t high,
                               std::int32_t otherwise) const {
  return has(key) ? integer(key, low, high) : otherwise;
}

std::int32_t Facts::even(std::string_view key, std::int32_t high, std::int32_t otherwise) const {
  const std::int32_t n = integer_or(key, 2, high, otherwise);
  if (n % 2 != 0) reject(key, fmt::format("{}", n), "an even number");
  return n;
}

float Facts::number(std::string_view key, float low, float high) const {
  const double value = metadata().require<double>(full(key));
  if (!(value >= low && value <= high)) reject(key, fmt::format("{}", value), fmt::format("{} to {}", low, high));
  return static_cast<float>(value);
}

float Facts::number_or(std::string_view key, float low, float high, float otherwise) const {
  return has(key) ? number(key, low, high) : otherwise;
}

std::string Facts::text_or(std::string_view key, std::string_view otherwise) const {
  return std::string(metadata().get_or<std::string_view>(full(key), otherwise));
}

std::vector<std::int32_t> Facts::list_or(std::string_view key, std::int32_t low, std::int32_t high,
                                         std::vector<std::int32_t> otherwise) const {
  const auto list = metadata().get<std::vector<std::int32_t>>(full(key));
  if (!list) return otherwise;
  for (std::int32_t value : *list) in_range(key, value, low, high);
  return *list;
}

std::vector<std::int32_t> Facts::per_layer(std::string_view key, std::int32_t n, std::int32_t low,
                                           std::int32_t high) const {
  auto list = metadata().require<std::vector<std::int32_t>>(full(key));
  for (std::int32_t value : list) in_range(key, value, low, high);
  if (list.size() == 1) list.resize(n, list[0]);
  if (std::ssize(list) < n) reject(key, fmt::format("{} values", list.size()), fmt::format("one per layer ({})", n));
  list.resize(n);
  return list;
}

std::vector<std::int32_t> Facts::per_layer_or(std::string_view key, std::int32_t n, std::int32_t low, std::int32_t high,
                                              std::vector<std::int32_t> otherwise) const {
  return has(key) ? per_layer(key, n, low, high) : otherwise;
}

std::vector<bool> Facts::flags(std::string_view key, std::int32_t n) const {
  auto list = metadata().require<std::vector<bool>>(full(key));
  if (std::ssize(list) < n) reject(key, fmt::format("{} values", list.size()), fmt::format("one per layer ({})", n));
  list.resize(n);
  return list;
}

DecoderSpec transformer(const Facts& f, RopePairs pairs, NormKind norm, std::int32_t fewest_kv_heads) {
  DecoderSpec s;
  s.architecture = f.architecture();
  s.n_vocab = vocabulary(f);
  s.n_ctx_train = f.integer("context_length", 1, kMaxContext);
  s.n_embd = f.integer("embedding_length", 1, kMaxWidth);
  s.n_ctx = f.n_ctx();
  s.n_layers = f.integer("block_count", 1, kMaxLayers);
  s.n_predict_layers = f.integer_or("nextn_predict_layers", 0, s.n_layers - 1, 0);
  s.n_layers -= s.n_predict_layers;
  s.norm = norm;
  s.norm_eps =
      f.number(norm == NormKind::rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon", 0.0f, 1.0f);
  s.tied_output = f.file().find("output.weight") == nullptr;
  shape_layers(f, s, fewest_kv_heads);
  s.ropes = {rope(f, s, pairs)};
  return s;
}

RopeSpec rope(const Facts& f, const DecoderSpec& s, RopePairs pairs) {
  RopeSpec r;
  r.pairs = pairs;
  const std::int32_t key_dim = s.layers[0].key_dim;
  r.n_dims = f.even("rope.dimension_count", key_dim, key_dim);
  r.base = f.number_or("rope.freq_base", 1e-3f, 1e12f, 10000.0f);
  const std::string type = f.text_or("rope.scaling.type", "linear");
  if (type != "none" && type != "linear" && type != "yarn" && type != "longrope")
    f.reject("rope.scaling.type", "'" + type + "'", "none, linear, yarn or longrope");
  r.magnitude = f.number_or("rope.scaling.attn_factor", 1e-6f, 1e6f, 1.0f);
  r.original_context = f.integer_or("rope.scaling.original_context_length", 1, kMaxContext, s.n_ctx_train);
  // A factor of 0 means none; rope.scale_linear is the older name of the key.
  const float factor =
      f.number_or("rope.scaling.factor", 0.0f, 1e6f, f.number_or("rope.scale_linear", 0.0f, 1e6f, 0.0f));
  if (type == "none" || factor == 0.0f) return r;
  r.frequency_scale = 1.0f / factor;
  if (type != "yarn") return r;
  r.yarn_ext_factor = f.number_or("rope.scaling.yarn_ext_factor", 0.0f, 1e3f, 1.0f);
  r.yarn_beta_fast = f.number_or("rope.scaling.yarn_beta_fast", 1e-3f, 1e6f, 32.0f);
  r.yarn_beta_slow = f.number_or("rope.scaling.yarn_beta_slow", 1e-3f, 1e6f, 1.0f);
  // DeepSeek's variant: the ratio of two attention factors, the second with its own multiplier.
  const float multiplier = f.number_or("rope.scaling.yarn_log_multiplier", 0.0f, 1e3f, 0.0f);
  r.magnitude *= yarn_magnitude(factor, 1.0f) / (multiplier == 0.0f ? 1.0f : yarn_magnitude(factor, multiplier));
  return r;
}

RopeSpec unscaled(const RopeSpec& rope, float base) {
  RopeSpec r;
  r.pairs = rope.pairs;
  r.n_dims = rope.n_dims;
  r.base = base;
  return r;
}

void multimodal(const Facts& f, DecoderSpec& s, RopeSpec& rope) {
  const char* key = "rope.dimension_sections";
  const auto sections = f.list_or(key, 0, kMaxHeadDim, {});
  if (sections.size() < 3 || sections.size() > 4)
    f.reject(key, fmt::format("{} values", sections.size()), "three or four");
  std::copy(sections.begin(), sections.end(), rope.sections.begin());
  std::int32_t sum = 0;
  for (std::int32_t n : sections) sum += n;
  if (sum != rope.n_dims / 2)
    f.reject(key, fmt::format("{} pairs", sum), fmt::format("rope.dimension_count / 2 = {} together", rope.n_dims / 2));
  s.mrope = true;
}

void windows(const Facts& f, DecoderSpec& s, std::int32_t period, bool dense_first) {
  const std::int32_t window = f.integer_or("attention.sliding_window", 1, INT32_MAX, 0);
  for (std::int32_t i = 0; i < s.n_layers; ++i)
    s.layers[i].window = i % period == (dense_first ? 0 : period - 1) ? 0 : window;
}

void mixture(const Facts& f, DecoderSpec& s, std::string_view ff_key) {
  s.n_experts = f.integer_or("expert_count", 0, kMaxExperts, 0);
  if (s.n_experts == 0) return;
  s.n_experts_used = f.integer("expert_used_count", 1, s.n_experts);
  const auto ff = f.per_layer(f.has(ff_key) ? ff_key : "feed_forward_length", s.n_layers, 1, kMaxWidth);
  const std::int32_t n_dense = f.integer_or("leading_dense_block_count", 0, s.n_layers, 0);
  for (std::int32_t i = n_dense; i < s.n_layers; ++i) {
    s.layers[i].moe = true;
    s.layers[i].n_ff = ff[i];
  }
  constexpr Gating kGating[] = {Gating::softmax, Gating::sigmoid, Gating::chosen_softmax};
  if (const std::int32_t gating = f.integer_or("expert_gating_func", 0, 3, 0)) s.gating = kGating[gating - 1];
  s.normalised_experts = f.flag_or("expert_weights_norm", s.normalised_experts);
  s.expert_scale = f.number_or("expert_weights_scale", 0.0f, 1e6f, s.expert_scale);
  if (s.expert_scale == 0.0f) s.expert_scale = 1.0f;  // how some files say that there is none
  const std::int32_t n_shared = f.integer_or("expert_shared_count", 0, kMaxExperts, 0);
  if (f.has("expert_shared_feed_forward_length"))
    s.n_ff_shared = f.integer("expert_shared_feed_forward_length", 0, kMaxWidth);
  else if (n_shared > 0 && n_dense < s.n_layers)
    s.n_ff_shared = static_cast<std::int32_t>(std::min(std::int64_t{n_shared} * ff[n_dense], std::int64_t{kMaxWidth}));
  s.n_expert_groups = f.integer_or("expert_group_count", 0, s.n_experts, 0);
  if (s.n_expert_groups <= 1) return;
  if (s.n_experts % s.n_expert_groups != 0)
    f.reject("expert_group_count", fmt::format("{}", s.n_expert_groups),
             fmt::format("a divisor of expert_count {}", s.n_experts));
  s.n_expert_groups_used = f.integer("expert_group_used_count", 1, s.n_expert_groups);
  const std::int32_t within = s.n_experts / s.n_expert_groups * s.n_expert_groups_used;
  if (within < s.n_experts_used)
    f.reject("expert_group_used_count", fmt::format("{}", s.n_expert_groups_used),
             fmt::format("groups that hold the {} experts used", s.n_experts_used));
}

}  // namespace mtmd::decoder
