#include "mtmd/quantize/recipe.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "engine/base/error.h"

namespace mtmd::quantize {
namespace {

using Id = FileType::Id;

enum class Role { embedding, output, attn_q, attn_k, attn_v, attn_qkv, attn_kv_b, attn_output, up, gate, down, other };

Role role_of(std::string_view name) {
  struct Part {
    std::string_view text;
    Role role;
  };
  constexpr std::array kParts = {Part{"attn_qkv.weight", Role::attn_qkv},
                                 Part{"attn_kv_b.weight", Role::attn_kv_b},
                                 Part{"attn_v.weight", Role::attn_v},
                                 Part{"attn_k.weight", Role::attn_k},
                                 Part{"attn_q.weight", Role::attn_q},
                                 Part{"attn_output.weight", Role::attn_output},
                                 Part{"ffn_up", Role::up},
                                 Part{"ffn_gate", Role::gate},
                                 Part{"ffn_down", Role::down}};
  if (name == "output.weight") return Role::output;
  if (name == "token_embd.weight" || name == "per_layer_token_embd.weight") return Role::embedding;
  for (const Part& p : kParts)
    if (name.find(p.text) != name.npos) return p.role;
  return Role::other;
}

bool one_of(Id id, std::initializer_list<Id> ids) { return std::ranges::find(ids, id) != ids.end(); }

/// Layers that deserve more bits: the first and last eighth, and every third in between.
bool more_bits(std::int64_t i, std::int64_t n) { return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2; }

/// The rules for one file type; counts the tensors of each role as they come.
class Rules {
 public:
  Rules(const ModelFacts& model, const RecipeOptions& options, std::int64_t n_attn_v)
      : model_(model), options_(options), id_(options.type->id), base_(options.type->base), n_attn_v_(n_attn_v) {}

  DType choose(const TensorFacts& t, Role role) {
    if (role == Role::output || (role == Role::embedding && !model_.has_output)) return output(t);
    if (id_ == Id::MXFP4_MOE) return t.shape.size() > 2 && t.shape[0] > 1 ? DType::MXFP4 : DType::Q8_0;
    if (role == Role::embedding) return embedding();
    if (one_of(id_, {Id::IQ1_S, Id::IQ1_M, Id::IQ2_XXS, Id::IQ2_XS, Id::IQ2_S, Id::IQ2_M})) return very_few_bits(role);
    switch (role) {
      case Role::attn_v:
      case Role::attn_qkv:  // fused: what holds for v holds for all three
      case Role::attn_kv_b:
        return attn_v();
      case Role::attn_k:
        return eight_experts() ? DType::Q8_0 : attn_q();
      case Role::attn_q:
        return attn_q();
      case Role::attn_output:
        return attn_output();
      case Role::down:
        return ffn_down(t);
      case Role::gate:
        return gate_or_up(t, i_gate_);
      case Role::up:
        return gate_or_up(t, i_up_);
      default:
        return base_;
    }
  }

 private:
  bool is(std::initializer_list<Id> ids) const { return one_of(id_, ids); }
  bool shared_heads() const { return model_.heads_per_kv() >= 4; }
  bool eight_experts() const { return model_.n_expert == 8; }

  /// Tensors of one role are counted; with experts they may be several per layer, and the layer's number counts.
  std::int64_t layer(const TensorFacts& t, std::int64_t& counter) const {
    const std::int64_t i = counter++;
    if (model_.n_expert <= 1) return i;
    std::int64_t n = -1;
    constexpr std::string_view kBlock = "blk.";
    if (t.name.starts_with(kBlock)) {
      const auto rest = t.name.substr(kBlock.size());
      const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), n);
      if (error != std::errc() || end == rest.data() + rest.size() || *end != '.') n = -1;
    }
    if (n < 0 || n >= model_.n_layer)
      fail(ErrorCategory::model, "tensor {}: expected a layer number from 0 to {} in its name (blk.N.)", t.name,
           model_.n_layer - 1);
    return n;
  }

  DType output(const TensorFacts& t) const {
    if (options_.output_type) return *options_.output_type;
    if (t.row() % info(base_).block_size != 0 || is({Id::MXFP4_MOE, Id::MXFP4, Id::NVFP4})) return DType::Q8_0;
    if (is({Id::IQ1_S, Id::IQ1_M, Id::IQ2_XXS, Id::IQ2_XS, Id::IQ2_S, Id::IQ2_M, Id::IQ3_XXS})) return DType::Q5_K;
    return base_ == DType::Q8_0 ? DType::Q8_0 : DType::Q6_K;
  }

  DType embedding() const {
    if (options_.embedding_type) return *options_.embedding_type;
    if (is({Id::IQ1_S, Id::IQ1_M, Id::IQ2_XXS, Id::IQ2_XS})) return DType::Q2_K;
    if (is({Id::IQ2_S, Id::IQ2_M, Id::IQ3_XXS})) return DType::IQ3_S;
    if (is({Id::TQ1_0, Id::TQ2_0, Id::Q2_0})) return DType::Q4_K;
    return is({Id::MXFP4, Id::NVFP4}) ? DType::Q8_0 : base_;
  }

  DType very_few_bits(Role role) {
    const bool iq2_sm = is({Id::IQ2_S, Id::IQ2_M});
    switch (role) {
      case Role::attn_v:
      case Role::attn_qkv:
      case Role::attn_kv_b:
        ++i_attn_v_;
        if (shared_heads() || model_.n_expert >= 4) return DType::Q4_K;
        return iq2_sm ? DType::IQ3_S : DType::Q2_K;
      case Role::attn_k:
        return eight_experts() ? DType::Q4_K : base_;
      case Role::down:
        return i_down_++ < model_.n_layer / 8 ? (iq2_sm ? DType::IQ3_S : DType::Q2_K) : base_;
      case Role::attn_output:
        if (eight_experts()) return DType::Q5_K;
        if (is({Id::IQ1_S, Id::IQ1_M})) return DType::IQ2_XXS;
        return iq2_sm ? DType::IQ3_S : base_;
      default:
        return base_;
    }
  }

  DType attn_v_by_type(std::int64_t i) const {
    switch (id_) {
      case Id::Q2_K:
        return shared_heads() ? DType::Q4_K : DType::Q3_K;
      case Id::Q2_K_S:
      case Id::IQ3_XS:
      case Id::IQ3_S:
        return shared_heads() ? DType::Q4_K : base_;
      case Id::IQ3_XXS:
        return shared_heads() ? DType::Q4_K : options_.has_imatrix ? DType::IQ3_XXS : DType::IQ3_S;
      case Id::IQ3_M:
        return DType::Q4_K;
      case Id::Q3_K_M:
        return i < 2 ? DType::Q5_K : DType::Q4_K;
      case Id::Q3_K_L:
        return DType::Q5_K;
      case Id::IQ4_NL:
      case Id::IQ4_XS:
        return shared_heads() ? DType::Q5_K : base_;
      case Id::Q4_K_M:
      case Id::Q5_K_M:
        return more_bits(i, n_attn_v_) ? DType::Q6_K : base_;
      case Id::Q4_K_S:
        return i < 4 ? DType::Q5_K : base_;
      default:
        return base_;
    }
  }

  DType attn_v() {
    DType type = attn_v_by_type(i_attn_v_++);
    // Eighty layers that share their key/value heads: the matrix is small beside the rest.
    const bool seventy_billion =
        model_.n_layer == 80 &&
        (model_.architecture == "qwen2" || (model_.architecture == "llama" && model_.n_head != model_.n_head_kv));
    if (seventy_billion && (type == DType::Q3_K || type == DType::Q4_K)) type = DType::Q5_K;
    return eight_experts() ? DType::Q8_0 : type;
  }

  DType attn_q() const {
    if (id_ == Id::IQ3_XS) return DType::IQ3_XXS;
    return id_ == Id::IQ3_XXS ? DType::IQ2_S : base_;
  }

  DType attn_output() const {
    if (eight_experts())
      return is({Id::Q2_K, Id::IQ3_XS, Id::IQ3_XXS, Id::Q3_K_S, Id::Q3_K_M, Id::IQ4_NL, Id::Q4_K_S, Id::Q4_K_M,
                 Id::IQ3_S, Id::IQ3_M, Id::IQ4_XS})
                 ? DType::Q5_K
                 : base_;
    if (id_ == Id::Q2_K) return DType::Q3_K;
    if (id_ == Id::IQ3_XXS) return DType::IQ3_S;
    if (id_ == Id::Q3_K_L) return DType::Q5_K;
    return is({Id::Q3_K_M, Id::IQ3_M}) ? DType::Q4_K : base_;
  }

  DType ffn_down(const TensorFacts& t) {
    const std::int64_t i = layer(t, i_down_), n = model_.n_layer;
    const bool first_eighth = i < n / 8;
    switch (id_) {
      case Id::Q2_K:
        return DType::Q3_K;
      case Id::Q2_K_S:
        return first_eighth ? DType::Q4_K : base_;
      case Id::IQ3_XXS:
        return options_.has_imatrix ? base_ : first_eighth ? DType::Q4_K : DType::Q3_K;
      case Id::Q3_K_M:
        return i < n / 16 ? DType::Q5_K : DType::Q4_K;
      case Id::IQ3_M:
        return first_eighth || (eight_experts() && more_bits(i, n)) ? DType::Q4_K : base_;
      case Id::Q3_K_L:
        return DType::Q5_K;
      case Id::Q4_K_M:
      case Id::Q5_K_M:
        return more_bits(i, n) ? DType::Q6_K : base_;
      case Id::IQ4_NL:
      case Id::IQ4_XS:
        return first_eighth && !options_.has_imatrix ? DType::Q5_K : base_;
      case Id::Q4_K_S:
        return first_eighth ? DType::Q5_K : base_;
      case Id::Q4_0:
        return first_eighth && options_.has_imatrix ? DType::Q4_1 : base_;
      case Id::Q5_0:
        return first_eighth && options_.has_imatrix ? DType::Q5_1 : base_;
      default:
        return base_;
    }
  }

  DType gate_or_up(const TensorFacts& t, std::int64_t& counter) {
    const std::int64_t i = layer(t, counter), n = model_.n_layer;
    return id_ == Id::IQ3_XS && i >= n / 8 && i < 7 * n / 8 ? DType::IQ3_XXS : base_;
  }

  const ModelFacts& model_;
  const RecipeOptions& options_;
  const Id id_;
  const DType base_;
  const std::int64_t n_attn_v_;
  std::int64_t i_attn_v_ = 0, i_down_ = 0, i_gate_ = 0, i_up_ = 0;
};

bool is_block_type(DType type) { return info(type).block_size > 1; }

/// The nearest type with smaller blocks.
DType stand_in(DType type, const TensorFacts& t) {
  switch (type) {
    case DType::IQ1_S:
    case DType::IQ1_M:
    case DType::IQ2_XXS:
    case DType::IQ2_XS:
    case DType::IQ2_S:
    case DType::IQ3_XXS:
    case DType::IQ3_S:
    case DType::IQ4_XS:
      return DType::IQ4_NL;
    case DType::Q2_0:
    case DType::Q2_K:
    case DType::Q3_K:
    case DType::TQ1_0:
    case DType::TQ2_0:
      return DType::Q4_0;
    case DType::Q4_K:
      return DType::Q5_0;
    case DType::Q5_K:
      return DType::Q5_1;
    case DType::Q6_K:
      return DType::Q8_0;
    case DType::NVFP4:
      return DType::MXFP4;
    default:
      if (info(type).block_size > 32)
        fail(ErrorCategory::usage, "tensor {}: rows of {} values do not fit the blocks of {}, which has no stand-in",
             t.name, t.row(), mtmd::name(type));
      return type;
  }
}

Choice fitted(Choice c, const TensorFacts& t) {
  const auto fits = [&](DType type) { return t.row() % info(type).block_size == 0; };
  if (fits(c.type)) return c;
  const DType other = stand_in(c.type, t);
  return {fits(other) ? other : DType::F16, Choice::Why::fallback, c.type};
}

const RecipeOptions::Pattern* matching(const RecipeOptions& options, std::string_view name) {
  for (const RecipeOptions::Pattern& p : options.patterns)
    if (std::regex_search(name.begin(), name.end(), p.regex)) return &p;
  return nullptr;
}

Choice choose_one(const TensorFacts& t, Role role, Rules& rules, const ModelFacts& model, const RecipeOptions& o) {
  if (o.type->copies() || !allows_quantization(t, model, o.leave_output)) return {t.type, Choice::Why::kept, {}};
  if (const auto own = o.assigned.find(t.name); own != o.assigned.end())
    return fitted({own->second, Choice::Why::assigned, {}}, t);
  const RecipeOptions::Pattern* pattern = matching(o, t.name);
  // A model may have two embeddings; only the second can be told apart by a pattern.
  if (role == Role::embedding && o.embedding_type && !(pattern && t.name == "per_layer_token_embd.weight"))
    return fitted({*o.embedding_type, Choice::Why::option, {}}, t);
  if (role == Role::output && o.output_type) return fitted({*o.output_type, Choice::Why::option, {}}, t);
  if (!is_block_type(o.type->base)) return {o.type->base, Choice::Why::recipe, {}};
  if (pattern) return fitted({pattern->type, Choice::Why::pattern, {}}, t);
  return fitted({o.pure ? o.type->base : rules.choose(t, role), Choice::Why::recipe, {}}, t);
}

}  // namespace

std::string_view name(Choice::Why why) noexcept {
  constexpr std::array<std::string_view, 6> kNames = {"kept", "recipe", "pattern", "option", "assigned", "fallback"};
  return kNames[static_cast<std::size_t>(why)];
}

RecipeOptions::Pattern make_pattern(std::string_view text, DType type, std::string_view option) {
  try {
    return {std::string(text), std::regex(text.begin(), text.end()), type};
  } catch (const std::regex_error& e) {
    fail(ErrorCategory::usage, "{} '{}': not a regular expression: {}", option, text, e.what());
  }
}

std::vector<Choice> choose_types(const ModelFacts& model, std::span<const TensorFacts> tensors,
                                 const RecipeOptions& options) {
  std::vector<Role> roles;
  std::int64_t n_attn_v = 0;
  for (const TensorFacts& t : tensors) {
    roles.push_back(role_of(t.name));
    n_attn_v += roles.back() == Role::attn_v || roles.back() == Role::attn_qkv || roles.back() == Role::attn_kv_b;
  }
  Rules rules(model, options, n_attn_v);
  std::vector<Choice> choices;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    choices.push_back(choose_one(tensors[i], roles[i], rules, model, options));
  return choices;
}

}  // namespace mtmd::quantize
