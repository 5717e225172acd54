// mtmd quantize --target-bpw / --target-size: a type for every tensor from measured errors, instead of a recipe.
#pragma once

#include <CLI/CLI.hpp>

#include <map>
#include <string>
#include <vector>

#include "mtmd-cli/console.h"
#include "mtmd/quantize/plan.h"

namespace mtmd::cli {

struct GoalFlags {
  double bits = 0;   ///< per weight, over all tensors
  std::string size;  ///< of the file
  std::string text, plot, question;
  std::vector<std::string> pictures;
  std::vector<std::string> candidates;
  int n_ctx = 512, chunks = 4;
  std::int64_t sample = 1 << 18;
  bool compare = false;

  void add(CLI::App& app);
  bool given() const noexcept { return bits > 0 || !size.empty(); }
  std::string label() const;  ///< "4.5bpw", "3G": for file names
  bool evaluates() const noexcept { return !text.empty() || !pictures.empty(); }
  /// Throws Error(usage) for flags that make no sense together.
  void check() const;

  struct Choice {
    const quantize::FileType* type = nullptr;         ///< the recipe that is nearest, for name and metadata
    std::map<std::string, DType, std::less<>> types;  ///< by the tensor's name in the result
  };
  /// `options` without a type; its importance weighs the errors. With texts or pictures the model of `input` runs on
  /// them. With
  /// --compare or --plot, the recipes' sizes and divergences are shown beside the choices'.
  Choice choose(Console& console, const gguf::File& file, const std::string& input,
                const quantize::PlanOptions& options, int threads) const;
};

/// "3G", "700M", "1.5GiB": binary units. Throws Error(usage) naming the option.
std::uint64_t byte_size(const std::string& text, std::string_view option);

}  // namespace mtmd::cli
