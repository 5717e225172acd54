// Which tensor gets which type: the rules behind names like Q4_K_M, as llama-quantize applies them
// (shared/conformance/quant/README.md).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <regex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/gguf.h"
#include "mtmd/quantize/file_type.h"

namespace mtmd::quantize {

/// What the rules ask about a model.
struct ModelFacts {
  std::string architecture;
  std::int64_t n_layer = 0, n_head = 0, n_head_kv = 0;  ///< heads of layer 0
  std::int64_t n_expert = 0;
  bool mmproj = false;     ///< an encoder file (architecture "clip")
  bool has_output = true;  ///< no: the token embedding doubles as output

  /// Query heads per key/value head; 0 when unknown.
  std::int64_t heads_per_kv() const noexcept { return n_head_kv > 0 ? n_head / n_head_kv : 0; }
};

/// Throws Error(model) when general.architecture is missing or a number is out of range.
ModelFacts facts_of(const gguf::File& file);

/// One tensor as the rules see it.
struct TensorFacts {
  std::string_view name;  ///< after pruning
  DType type{};
  std::span<const std::int64_t> shape;  ///< outermost first

  std::int64_t row() const noexcept { return shape.back(); }
};

struct RecipeOptions {
  const FileType* type = nullptr;
  bool pure = false;          ///< the base type everywhere
  bool leave_output = false;  ///< output.weight as it is
  bool has_imatrix = false;
  std::optional<DType> output_type = {}, embedding_type = {};
  struct Pattern {
    std::string text;
    std::regex regex;
    DType type{};
  };
  std::vector<Pattern> patterns = {};  ///< searched in tensor names, the first that is found decides
  /// Exact tensor names with their types, above every rule: what a search over types has found.
  std::map<std::string, DType, std::less<>> assigned = {};
};

/// Throws Error(usage) for a pattern that is no regular expression; `option` is for the message.
RecipeOptions::Pattern make_pattern(std::string_view text, DType type, std::string_view option);

struct Choice {
  enum class Why { kept, recipe, pattern, option, assigned, fallback };
  DType type{};
  Why why = Why::kept;
  std::optional<DType> wanted = {};  ///< fallback: the type whose blocks do not fit the row
};
std::string_view name(Choice::Why why) noexcept;

/// One choice for each tensor. `tensors` in output order (by layer, then by name): some rules count. Throws
/// Error(model) when a tensor of a mixture of experts bears no sensible layer number, Error(usage) for a type that has
/// no stand-in for odd rows.
std::vector<Choice> choose_types(const ModelFacts& model, std::span<const TensorFacts> tensors,
                                 const RecipeOptions& options);

/// Whether llama-quantize would touch this tensor at all.
bool allows_quantization(const TensorFacts& tensor, const ModelFacts& model, bool leave_output);

}  // namespace mtmd::quantize
