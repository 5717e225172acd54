// The language models. Names on the right of a mapping are those of the transformers library.
#include <cmath>
#include <numbers>

#include "engine/base/error.h"
#include "mtmd/convert/family/family.h"

namespace mtmd::convert {
namespace {

constexpr std::int64_t kMost = 1 << 20;  // of anything that is counted here, but words

struct Shape {
  std::int64_t n_embd = 0, n_layers = 0, n_heads = 0, n_kv_heads = 0, head = 0, n_ff = 0, n_vocab = 0;
  std::string prefix;  ///< of the tensors, "model." in the plain case
};

/// "rope_scaling", in newer files "rope_parameters", which then also hold the base.
Config rope_config(const Config& c) {
  return c.has("rope_parameters") ? c.object("rope_parameters") : c.object_or_empty("rope_scaling");
}

std::string rope_type(const Config& rope) { return rope.text_or("rope_type", rope.text_or("type", "default")); }

double rope_base(const Config& c) { return rope_config(c).number_or("rope_theta", c.number_or("rope_theta", 10000.0)); }

/// Facts that all of them have, and the embeddings.
Shape begin(Builder& b, const Source& s) {
  const Config& c = s.text;
  Shape n;
  n.n_embd = c.integer("hidden_size", 1, kMost);
  n.n_layers = c.integer("num_hidden_layers", 1, 4096);
  n.n_heads = c.integer("num_attention_heads", 1, 4096);
  n.n_kv_heads = c.integer_or("num_key_value_heads", 1, n.n_heads, n.n_heads);
  if (!c.has("head_dim") && n.n_embd % n.n_heads != 0) c.reject("num_attention_heads", "a divisor of hidden_size");
  n.head = c.integer_or("head_dim", 2, 8192, n.n_embd / n.n_heads);
  if (n.head % 2 != 0) c.reject("head_dim", "an even number");
  n.n_ff = c.integer("intermediate_size", 1, kMost);
  n.prefix = b.checkpoint.prefix_of(
      {"model.", "model.language_model.", "language_model.model.", "model.text_model.", "language_model."},
      "embed_tokens.weight");
  const StoredTensor& words = b.checkpoint.require(n.prefix + "embed_tokens.weight");
  n.n_vocab = words.shape.empty() ? 0 : words.shape[0];
  if (n.n_vocab < 1 || n.n_vocab > (1 << 24))
    fail(ErrorCategory::model, "{}: '{}' has no rows", b.checkpoint.folder(), words.name);

  b.put("vocab_size", static_cast<std::uint32_t>(n.n_vocab));
  b.put("context_length", static_cast<std::uint32_t>(c.integer("max_position_embeddings", 1, 1 << 30)));
  b.put("embedding_length", static_cast<std::uint32_t>(n.n_embd));
  b.put("block_count", static_cast<std::uint32_t>(n.n_layers));
  b.put("feed_forward_length", static_cast<std::uint32_t>(n.n_ff));
  b.put("attention.head_count", static_cast<std::uint32_t>(n.n_heads));
  b.put("attention.head_count_kv", static_cast<std::uint32_t>(n.n_kv_heads));
  b.put("attention.layer_norm_rms_epsilon", static_cast<float>(c.number_or("rms_norm_eps", 1e-6)));
  if (c.has("head_dim")) {
    b.put("attention.key_length", static_cast<std::uint32_t>(n.head));
    b.put("attention.value_length", static_cast<std::uint32_t>(n.head));
  }
  b.put("rope.dimension_count", static_cast<std::uint32_t>(n.head));
  b.put("rope.freq_base", static_cast<float>(rope_base(c)));
  b.copy("token_embd.weight", words.name, {n.n_vocab, n.n_embd});
  return n;
}

/// The last norm, and the output matrix where it is not the embeddings.
void finish(Builder& b, const Source& s, const Shape& n, bool norms_from_one = false) {
  const Matrix norm = b.read(n.prefix + "norm.weight", {n.n_embd});
  b.add("output_norm.weight", norms_from_one ? plus_one(norm) : norm);
  const bool tied = s.text.flag_or("tie_word_embeddings", s.config.flag_or("tie_word_embeddings", false));
  for (const char* name : {"lm_head.weight", "language_model.lm_head.weight"}) {
    if (!b.checkpoint.has(name)) continue;
    if (tied)
      b.checkpoint.find(name);  // a copy of the embeddings
    else
      b.copy("output.weight", name, {n.n_vocab, n.n_embd});
    return;
  }
  if (!tied) s.config.reject("tie_word_embeddings", "true, as there is no lm_head.weight");
}

/// Divisors of the rotation's frequencies as Llama 3.1 has them: none for short waves, `factor` for long ones.
std::vector<float> llama3_divisors(const Config& rope, double base, std::int64_t n_dims) {
  const double factor = rope.number("factor"), low = rope.number("low_freq_factor"),
               high = rope.number("high_freq_factor");
  const double trained = rope.number("original_max_position_embeddings");
  if (!(factor > 0) || !(low > 0) || !(high > low) || !(trained > 0))
    rope.reject("high_freq_factor", "more than low_freq_factor, all positive");
  std::vector<float> divisors;
  for (std::int64_t i = 0; i < n_dims; i += 2) {
    const double wave = 2 * std::numbers::pi * std::pow(base, static_cast<double>(i) / static_cast<double>(n_dims));
    const double smooth = (trained / wave - low) / (high - low);
    const double divisor = wave < trained / high  ? 1
                           : wave > trained / low ? factor
                                                  : 1 / ((1 - smooth) / factor + smooth);
    divisors.push_back(static_cast<float>(divisor));
  }
  return divisors;
}

void put_rope_scaling(Builder& b, const Config& c, const Shape& n) {
  const Config rope = rope_config(c);
  const std::string type = rope_type(rope);
  if (type == "default" || type == "mrope") return;
  if (type == "llama3") return b.add_exact("rope_freqs.weight", constant(llama3_divisors(rope, rope_base(c), n.head)));
  if (type == "linear" || type == "yarn") {
    b.put("rope.scaling.type", type.c_str());
    b.put("rope.scaling.factor", static_cast<float>(rope.number("factor")));
    if (type == "yarn")
      b.put("rope.scaling.original_context_length",
            static_cast<std::uint32_t>(rope.integer_or("original_max_position_embeddings", 1, 1 << 30,
                                                       c.integer("max_position_embeddings", 1, 1 << 30))));
    return;
  }
  if (type == "dynamic") {
    b.warnings.push_back(
        fmt::format("{}: rope type 'dynamic' is left out: it matters beyond the trained context only", rope.where()));
    return;
  }
  rope.reject("rope_type", "default, linear, yarn, llama3 or longrope");
}

std::string block(std::int64_t i) { return fmt::format("blk.{}.", i); }
std::string layer(const Shape& n, std::int64_t i) { return fmt::format("{}layers.{}.", n.prefix, i); }

/// A projection with heads in the order that GGUF's Llama rotates.
void paired_linear(Builder& b, const std::string& name, const std::string& from, std::int64_t heads, const Shape& n) {
  b.add(name + ".weight", paired_heads(b.read(from + ".weight", {heads * n.head, n.n_embd}), heads));
  if (b.checkpoint.has(from + ".bias"))
    b.add(name + ".bias", paired_heads(b.read(from + ".bias", {heads * n.head}), heads));
}

enum class Rotation { halves, pairs };

void attention(Builder& b, const Shape& n, std::int64_t i, Rotation rotation) {
  const std::string to = block(i), from = layer(n, i) + "self_attn.";
  if (rotation == Rotation::pairs) {
    paired_linear(b, to + "attn_q", from + "q_proj", n.n_heads, n);
    paired_linear(b, to + "attn_k", from + "k_proj", n.n_kv_heads, n);
  } else {
    b.linear(to + "attn_q", from + "q_proj", n.n_heads * n.head, n.n_embd);
    b.linear(to + "attn_k", from + "k_proj", n.n_kv_heads * n.head, n.n_embd);
  }
  b.linear(to + "attn_v", from + "v_proj", n.n_kv_heads * n.head, n.n_embd);
  b.linear(to + "attn_output", from + "o_proj", n.n_embd, n.n_heads * n.head);
}

void feed_forward(Builder& b, const Shape& n, std::int64_t i) {
  const std::string to = block(i), from = layer(n, i) + "mlp.";
  b.linear(to + "ffn_gate", from + "gate_proj", n.n_ff, n.n_embd);
  b.linear(to + "ffn_up", from + "up_proj", n.n_ff, n.n_embd);
  b.linear(to + "ffn_down", from + "down_proj", n.n_embd, n.n_ff);
}

void norms(Builder& b, const Shape& n, std::int64_t i) {
  b.norm(block(i) + "attn_norm", layer(n, i) + "input_layernorm", n.n_embd);
  b.norm(block(i) + "ffn_norm", layer(n, i) + "post_attention_layernorm", n.n_embd);
}

/// Llama's layers and those that differ in the order of heads only.
void plain_layers(Builder& b, const Shape& n, Rotation rotation, bool head_norms = false) {
  for (std::int64_t i = 0; i < n.n_layers; ++i) {
    norms(b, n, i);
    attention(b, n, i, rotation);
    if (head_norms) {
      b.norm(block(i) + "attn_q_norm", layer(n, i) + "self_attn.q_norm", n.head);
      b.norm(block(i) + "attn_k_norm", layer(n, i) + "self_attn.k_norm", n.head);
    }
    feed_forward(b, n, i);
  }
}

void put_sections(Builder& b, const Config& c) {
  auto sections = rope_config(c).integers("mrope_section");
  if (sections.size() != 3) rope_config(c).reject("mrope_section", "three numbers (time, rows, columns)");
  std::vector<std::int32_t> four(sections.begin(), sections.end());
  four.push_back(0);
  b.put("rope.dimension_sections", std::span<const std::int32_t>(four));
}

void no_sliding_window(const Config& c) {
  if (c.flag_or("use_sliding_window", false))
    c.reject("use_sliding_window", "false: windows are not part of this family");
}

}  // namespace

std::int64_t text_width(const Source& s) { return s.text.integer("hidden_size", 1, kMost); }

std::int64_t llama_text(Builder& b, const Source& s) {
  const Shape n = begin(b, s);
  if (s.text.has("sliding_window")) b.warnings.push_back(s.text.where() + ": sliding_window is left out");
  put_rope_scaling(b, s.text, n);
  plain_layers(b, n, Rotation::pairs);
  finish(b, s, n);
  return n.n_vocab;
}

std::int64_t smollm3_text(Builder& b, const Source& s) {
  const Shape n = begin(b, s);
  const auto rotates = s.text.integers("no_rope_layers");  // 1: this layer rotates
  for (std::size_t i = 0; i < rotates.size(); ++i)
    if ((rotates[i] == 0) != (i % 4 == 3))
      s.text.reject("no_rope_layers", "0 for every fourth layer, 1 for the others");
  put_rope_scaling(b, s.text, n);
  plain_layers(b, n, Rotation::pairs);
  finish(b, s, n);
  return n.n_vocab;
}

std::int64_t qwen2_text(Builder& b, const Source& s) {
  no_sliding_window(s.text);
  const Shape n = begin(b, s);
  put_rope_scaling(b, s.text, n);
  plain_layers(b, n, Rotation::halves);
  finish(b, s, n);
  return n.n_vocab;
}

std::int64_t qwen2vl_text(Builder& b, const Source& s) {
  put_sections(b, s.text);
  return qwen2_text(b, s);
}

std::int64_t qwen3_text(Builder& b, const Source& s) {
  no_sliding_window(s.text);
  const Shape n = begin(b, s);
  put_rope_scaling(b, s.text, n);
  plain_layers(b, n, Rotation::halves, true);
  finish(b, s, n);
  return n.n_vocab;
}

std::int64_t qwen3vl_text(Builder& b, const Source& s) {
  put_sections(b, s.text);
  b.put("n_deepstack_layers", static_cast<std::uint32_t>(s.vision.integers("deepstack_visual_indexes").size()));
  return qwen3_text(b, s);
}

std::int64_t gemma3_text(Builder& b, const Source& s) {
  const Config& c = s.text;
  const Shape n = begin(b, s);
  b.put("attention.sliding_window", static_cast<std::uint32_t>(c.integer("sliding_window", 1, 1 << 30)));
  b.put("attention.sliding_window_pattern", static_cast<std::uint32_t>(c.integer("sliding_window_pattern", 1, 4096)));
  b.put("rope.freq_base_swa", static_cast<float>(c.number("rope_local_base_freq")));
  if (c.has("final_logit_softcapping"))
    b.put("final_logit_softcapping", static_cast<float>(c.number("final_logit_softcapping")));
  put_rope_scaling(b, c, n);
  const auto norm = [&](const std::string& to, const std::string& from, std::int64_t size) {
    b.add(to + ".weight", plus_one(b.read(from + ".weight", {size})));
  };
  for (std::int64_t i = 0; i < n.n_layers; ++i) {
    const std::string to = block(i), from = layer(n, i);
    norm(to + "attn_norm", from + "input_layernorm", n.n_embd);
    attention(b, n, i, Rotation::halves);
    norm(to + "attn_q_norm", from + "self_attn.q_norm", n.head);
    norm(to + "attn_k_norm", from + "self_attn.k_norm", n.head);
    norm(to + "post_attention_norm", from + "post_attention_layernorm", n.n_embd);
    norm(to + "ffn_norm", from + "pre_feedforward_layernorm", n.n_embd);
    feed_forward(b, n, i);
    norm(to + "post_ffw_norm", from + "post_feedforward_layernorm", n.n_embd);
  }
  finish(b, s, n, true);
  return n.n_vocab;
}

std::int64_t phi3_text(Builder& b, const Source& s) {
  const Config& c = s.text;
  const Shape n = begin(b, s);
  const auto rotated =
      static_cast<std::int64_t>(static_cast<double>(n.head) * c.number_or("partial_rotary_factor", 1.0));
  b.put("rope.dimension_count", static_cast<std::uint32_t>(rotated));
  const std::int64_t context = c.integer("max_position_embeddings", 1, 1 << 30);
  const std::int64_t trained = c.integer_or("original_max_position_embeddings", 2, 1 << 30, context);
  b.put("rope.scaling.original_context_length", static_cast<std::uint32_t>(trained));
  const Config rope = rope_config(c);
  if (const std::string type = rope_type(rope); type == "longrope" || type == "su") {
    const double scale = static_cast<double>(context) / static_cast<double>(trained);
    const double factor = scale <= 1 ? 1.0 : std::sqrt(1 + std::log(scale) / std::log(static_cast<double>(trained)));
    b.put("rope.scaling.attn_factor", static_cast<float>(factor));
    for (const char* which : {"long", "short"}) {
      const auto values = rope.numbers(fmt::format("{}_factor", which));
      if (std::ssize(values) != rotated / 2)
        rope.reject(fmt::format("{}_factor", which), fmt::format("{} numbers", rotated / 2));
      b.add_exact(fmt::format("rope_factors_{}.weight", which), constant({values.begin(), values.end()}));
    }
  } else {
    put_rope_scaling(b, c, n);
  }
  for (std::int64_t i = 0; i < n.n_layers; ++i) {
    norms(b, n, i);
    b.linear(block(i) + "attn_qkv", layer(n, i) + "self_attn.qkv_proj", (n.n_heads + 2 * n.n_kv_heads) * n.head,
             n.n_embd);
    b.linear(block(i) + "attn_output", layer(n, i) + "self_attn.o_proj", n.n_embd, n.n_heads * n.head);
    b.linear(block(i) + "ffn_up", layer(n, i) + "mlp.gate_up_proj", 2 * n.n_ff, n.n_embd);
    b.linear(block(i) + "ffn_down", layer(n, i) + "mlp.down_proj", n.n_embd, n.n_ff);
  }
  finish(b, s, n);
  return n.n_vocab;
}

}  // namespace mtmd::convert
