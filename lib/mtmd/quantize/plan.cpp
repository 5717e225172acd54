#include "mtmd/quantize/plan.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <set>

#include "engine/base/checked.h"
#include "engine/base/error.h"
#include "engine/gguf/writer.h"
#include "engine/quant/quant.h"
#include "mtmd/media/sha256.h"
#include "mtmd/quantize/metadata.h"

namespace mtmd::quantize {
namespace {

constexpr std::string_view kBlock = "blk.";

/// N of "blk.N." at the start of a name, else -1.
std::int64_t layer_of(std::string_view name) {
  std::int64_t n = -1;
  if (!name.starts_with(kBlock)) return -1;
  const auto [end, error] = std::from_chars(name.data() + kBlock.size(), name.data() + name.size(), n);
  return error == std::errc() && end != name.data() + name.size() && *end == '.' ? n : -1;
}

/// Layers that are left get consecutive numbers.
class Pruning {
 public:
  Pruning(const gguf::File& file, std::span<const std::int64_t> pruned) : active_(!pruned.empty()) {
    std::set<std::int64_t> layers;
    for (const gguf::TensorInfo& t : file.tensors())
      if (const auto n = layer_of(t.name); n >= 0) layers.insert(n);
    for (const std::int64_t n : pruned)
      if (layers.erase(n) == 0) fail(ErrorCategory::usage, "--prune-layers: the model has no layer {}", n);
    for (const std::int64_t n : layers) numbers_.emplace(n, std::ssize(numbers_));
  }
  std::int64_t n_layer() const { return active_ ? std::ssize(numbers_) : -1; }
  /// Empty: left out.
  std::string name(std::string_view old) const {
    const std::int64_t n = layer_of(old);
    if (!active_ || n < 0) return std::string(old);
    const auto found = numbers_.find(n);
    if (found == numbers_.end()) return {};
    return fmt::format("{}{}{}", kBlock, found->second, old.substr(old.find('.', kBlock.size())));
  }

 private:
  bool active_;
  std::map<std::int64_t, std::int64_t> numbers_;
};

/// By layer, then by name; with keep_split as they lie in the source.
void sort_tensors(std::vector<PlannedTensor>& tensors, bool keep_split) {
  if (keep_split) {
    std::ranges::sort(tensors, {}, [](const PlannedTensor& t) { return std::pair(t.source->file, t.source->offset); });
  } else {
    std::ranges::sort(tensors, {},
                      [](const PlannedTensor& t) { return std::pair(layer_of(t.source->name), t.source->name); });
  }
}

bool needs_importance(const PlannedTensor& t, const FileType& type) {
  if (t.name == "token_embd.weight" || t.name == "per_layer_token_embd.weight" || t.name == "output.weight")
    return false;
  switch (t.choice.type) {
    case DType::IQ2_XXS:
    case DType::IQ2_XS:
    case DType::IQ2_S:
    case DType::IQ3_XXS:
    case DType::IQ1_M:
    case DType::IQ1_S:
      return true;
    case DType::Q2_K:
      return type.id == FileType::Id::Q2_K_S;
    default:
      return false;
  }
}

void check_conversion(const PlannedTensor& t, const PlanOptions& o, const std::string& file) {
  const auto* from = quant::find(t.source->type);
  const auto* to = quant::find(t.choice.type);
  if (!from || !from->decode)
    fail(ErrorCategory::model, "{}: tensor {}: {} cannot be converted", file, t.name, name(t.source->type));
  if (!to || !to->encode) fail(ErrorCategory::usage, "tensor {}: {} cannot be written", t.name, name(t.choice.type));
  if (info(t.source->type).block_size > 1 && !o.allow_requantize)
    fail(
        ErrorCategory::usage,
        "{}: tensor {} is quantised already ({}): quantising twice costs quality. Start from an F16, BF16 or F32 file, "
        "or say --allow-requantize",
        file, t.name, name(t.source->type));
}

/// The weights of `t`, checked.
std::span<const float> importance_of(const PlannedTensor& t, const PlanOptions& o, std::vector<std::string>& missing) {
  if (!o.importance || o.importance->empty()) return {};
  const auto found = o.importance->weights.find(t.source->name);
  if (found == o.importance->weights.end()) {
    missing.push_back(t.name);
    return {};
  }
  const auto& shape = t.source->shape;
  const std::int64_t matrices = t.rows() / t.rows_per_matrix();
  const std::int64_t expected = shape.back() * matrices;
  if (std::ssize(found->second) == expected) return found->second;
  if (t.name == "token_embd.weight") return {};  // not what it is multiplied with when it is looked up
  fail(ErrorCategory::input,
       "{}: {} importance weights for tensor {}, which has {} columns{}: the importance matrix of another model",
       o.importance->file, found->second.size(), t.name, shape.back(),
       matrices > 1 ? fmt::format(" in {} matrices", matrices) : "");
}

void add_importance(Plan& plan, const PlanOptions& o, const std::string& file) {
  std::vector<std::string> missing;
  std::uint64_t n = 0;
  for (PlannedTensor& t : plan.tensors) {
    if (t.copied()) continue;
    t.importance = importance_of(t, o, missing);
    n += !t.importance.empty();
    if (!t.importance.empty() || !needs_importance(t, *plan.type)) continue;
    const std::string why = fmt::format(
        "tensor {}: {} needs an importance matrix{}: --imatrix FILE (see `mtmd imatrix`)", t.name, name(t.choice.type),
        o.importance && !o.importance->empty() ? fmt::format(", {} has nothing for it", o.importance->file) : "");
    if (!o.draft) fail(ErrorCategory::usage, "{}", why);
    if (plan.warnings.empty() || !plan.warnings.back().starts_with("tensor ")) plan.warnings.push_back(why);
  }
  if (!o.importance || o.importance->empty() || plan.n_converted == 0) return;
  if (n == 0)
    fail(ErrorCategory::input,
         "{}: none of its {} entries belongs to a tensor of {}: the importance matrix of another "
         "model",
         o.importance->file, o.importance->weights.size(), file);
  std::erase(missing, "token_embd.weight");
  std::erase(missing, "output.weight");
  if (!missing.empty())
    plan.warnings.push_back(fmt::format("{}: nothing for {} of {} tensors (the first: {})", o.importance->file,
                                        missing.size(), plan.n_converted, missing.front()));
}

void choose(Plan& plan, const ModelFacts& model, const PlanOptions& o, const std::string& file) {
  std::vector<TensorFacts> facts;
  for (const PlannedTensor& t : plan.tensors) facts.push_back({t.name, t.source->type, t.source->shape});
  const std::vector<Choice> choices = choose_types(model, facts, o.recipe);
  for (std::size_t i = 0; i < choices.size(); ++i) {
    PlannedTensor& t = plan.tensors[i];
    t.choice = choices[i];
    t.bytes = row_bytes(t.choice.type, t.source->n_values());
    plan.bytes += t.bytes;
    plan.source_bytes += t.source->data.size();
    plan.n_values += static_cast<std::uint64_t>(t.source->n_values());
    plan.n_fallback += t.choice.why == Choice::Why::fallback;
    if (t.copied()) continue;
    ++plan.n_converted;
    check_conversion(t, o, file);
  }
  if (plan.n_fallback > 0)
    plan.warnings.push_back(
        fmt::format("{} of {} tensors have rows that the blocks of their type do not fit; a type "
                    "with smaller blocks stands in (see --dry-run)",
                    plan.n_fallback, plan.tensors.size()));
}

void lay_out(Plan& plan, const gguf::File& file, const PlanOptions& o, std::int64_t n_layer) {
  const std::size_t n_parts = o.keep_split ? file.paths().size() : 1;
  const std::uint32_t alignment = file.alignment();
  for (std::size_t part = 0; part < n_parts; ++part) {
    gguf::Writer w(alignment);
    if (part == 0) fill_metadata(w, file, o, n_layer);
    if (n_parts > 1) {
      w.set("split.no", static_cast<std::uint16_t>(part));
      w.set("split.count", static_cast<std::uint16_t>(n_parts));
      w.set("split.tensors.count", static_cast<std::int32_t>(plan.tensors.size()));
    }
    std::uint64_t at = 0;
    for (PlannedTensor& t : plan.tensors) {
      t.part = o.keep_split ? t.source->file : 0;
      if (t.part != part) continue;
      w.add_tensor(t.name, t.choice.type, t.source->shape, std::span<const std::byte>());
      t.offset = at;
      at += round_up<std::uint64_t>(t.bytes, alignment);
    }
    plan.parts.push_back({w.header(), 0});
    const std::uint64_t start = plan.parts.back().header.size();
    plan.parts.back().bytes = start + at;
    for (PlannedTensor& t : plan.tensors)
      if (t.part == part) t.offset += start;
  }
}

/// The source's header, the size and age of its files, and everything that shapes the result.
std::string identity_of(const Plan& plan, const gguf::File& file, const PlanOptions& o) {
  media::Sha256 hash;
  const auto add = [&](std::string_view text) { hash.update(std::as_bytes(std::span(text))); };
  for (const Plan::Part& p : plan.parts) hash.update(p.header);
  for (const std::filesystem::path& path : file.paths()) {
    struct stat s {};
    if (::stat(path.c_str(), &s) == 0) add(fmt::format("|{}|{}.{}", s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec));
  }
  for (const gguf::TensorInfo& t : file.tensors()) add(fmt::format("|{}|{}|{}", t.name, t.offset, name(t.type)));
  add(fmt::format("|{}|{}", o.best, o.importance ? o.importance->digest : ""));
  return hash.hex();
}

}  // namespace

std::int64_t PlannedTensor::rows_per_matrix() const noexcept {
  return source->shape.size() > 1 ? source->shape[source->shape.size() - 2] : 1;
}

std::uint64_t Plan::file_bytes() const noexcept {
  return std::accumulate(parts.begin(), parts.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const Part& p) { return sum + p.bytes; });
}

ImportanceWeights importance_weights(const quality::ImportanceMatrix& matrix, const std::filesystem::path& file,
                                     std::span<const std::string> include, std::span<const std::string> exclude) {
  ImportanceWeights w;
  w.file = file.string();
  w.dataset = matrix.datasets.empty() ? "" : matrix.datasets.front();
  w.chunks = matrix.chunk_count;
  media::Sha256 hash;
  for (const auto& [name, entry] : matrix.entries) {
    const auto in_name = [&](const std::string& part) { return name.find(part) != name.npos; };
    if (!include.empty() && std::ranges::none_of(include, in_name)) continue;
    if (std::ranges::any_of(exclude, in_name)) continue;
    const auto& values = w.weights.emplace(name, entry.weights()).first->second;
    hash.update(std::as_bytes(std::span(name)));
    hash.update(std::as_bytes(std::span(values)));
  }
  if (w.weights.empty())
    fail(ErrorCategory::usage, "{}: --include-weights and --exclude-weights leave none of its {} entries", w.file,
         matrix.entries.size());
  w.digest = hash.hex();
  return w;
}

Plan make_plan(const gguf::File& file, const PlanOptions& o) {
  const ModelFacts model = facts_of(file);
  const std::string name = file.metadata().file();
  const Pruning pruning(file, o.prune_layers);
  Plan plan;
  plan.type = o.recipe.type;
  plan.best = o.best;
  for (const gguf::TensorInfo& t : file.tensors()) {
    std::string kept = pruning.name(t.name);
    if (!kept.empty()) plan.tensors.push_back({&t, std::move(kept), {}, {}, 0, 0, 0});
  }
  if (plan.tensors.empty()) fail(ErrorCategory::model, "{}: it has no tensors to quantise", name);
  sort_tensors(plan.tensors, o.keep_split && file.paths().size() > 1);
  PlanOptions options = o;
  options.recipe.has_imatrix = o.importance && !o.importance->empty();
  choose(plan, model, options, name);
  add_importance(plan, options, name);
  lay_out(plan, file, options, pruning.n_layer());
  plan.identity = identity_of(plan, file, options);
  return plan;
}

}  // namespace mtmd::quantize
