#include "quantize/quantize_flags.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "engine/base/error.h"
#include "mtmd-cli/flags.h"
#include "mtmd-cli/inputs.h"

namespace mtmd::cli {
namespace fs = std::filesystem;
using quantize::FileType;

namespace {

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(at, begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::optional<int> whole_number(std::string_view text) {
  int n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  return error == std::errc() && end == text.data() + text.size() && n >= 0 ? std::optional(n) : std::nullopt;
}

bool is_type_list(std::string_view word) {
  return std::ranges::all_of(split(word, ','), [](const std::string& t) { return quantize::find_file_type(t); });
}

std::vector<const FileType*> types_of(std::string_view word) {
  std::vector<const FileType*> types;
  for (const std::string& t : split(word, ',')) {
    const FileType* type = &quantize::file_type(t);
    if (std::ranges::find(types, type) == types.end()) types.push_back(type);
  }
  return types;
}

/// REGEX=TYPE
quantize::RecipeOptions::Pattern pattern_of(const std::string& text, std::string_view option) {
  const std::size_t equals = text.rfind('=');
  if (equals == text.npos || equals == 0 || equals + 1 == text.size())
    fail(ErrorCategory::usage, "{} {}: expected REGEX=TYPE", option, text);
  const DType type = quantize::tensor_type(text.substr(equals + 1), option);
  return quantize::make_pattern(text.substr(0, equals), type, option);
}

std::string with_type(std::string name, std::string_view type) {
  constexpr std::string_view kSlot = "{type}";
  if (const auto at = name.find(kSlot); at != name.npos) return name.replace(at, kSlot.size(), type);
  const std::string_view end = name.ends_with(".gguf") ? ".gguf" : "";
  name.resize(name.size() - end.size());
  return fmt::format("{}-{}{}", name, type, end);
}

/// "model.f16.gguf" and "model-BF16-00001-of-00003.gguf" are "model".
std::string plain_stem(const std::string& input) {
  std::string stem = fs::path(input).stem().string();
  if (const auto at = stem.rfind("-of-"); at != stem.npos && at >= 6 && stem.size() == at + 9) stem.resize(at - 6);
  const auto at = stem.find_last_of(".-");
  if (at != stem.npos && at > 0 && !whole_number(stem.substr(at + 1)) && quantize::find_file_type(stem.substr(at + 1)))
    stem.resize(at);
  return stem;
}

}  // namespace

void QuantizeFlags::add(CLI::App& app) {
  app.add_option("words", words, "IN [OUT] TYPE[,TYPE…] [THREADS]")->type_name("");
  app.add_option("--out-dir", out_dir, "results go here, named after input and type")->type_name("DIR");
  app.add_option("--files-from", files_from, "inputs from a list, one a line (-: stdin)")->type_name("FILE");
  app.add_flag("-0,--null", null_separated, "the list is separated by NUL bytes");
  app.add_option("-t,--threads", threads, "threads (default: one per core)")->check(CLI::Range(0, 4096));
  app.add_option("--imatrix", imatrix, "importance matrix, GGUF or .dat (see `mtmd imatrix`)")->type_name("FILE");
  const auto list = [&](const char* flag, std::vector<std::string>& to, const char* what, const char* type) {
    app.add_option(flag, to, what)->type_name(type)->allow_extra_args(false);
  };
  list("--include-weights", include, "use only importance of tensors with this in their name", "TEXT");
  list("--exclude-weights", exclude, "do not use importance of tensors with this in their name", "TEXT");
  app.add_flag("--pure", pure, "the one type for all tensors, no mixture");
  app.add_flag("--leave-output-tensor", leave_output, "output.weight stays as it is");
  app.add_option("--output-tensor-type", output_type, "of output.weight")->type_name("TYPE");
  app.add_option("--token-embedding-type", embedding_type, "of the token embedding")->type_name("TYPE");
  list("--tensor-type,--tt", tensor_types, "tensors whose name the expression finds (repeatable)", "REGEX=TYPE");
  app.add_option("--tensor-type-file", tensor_type_file, "a list of REGEX=TYPE")->type_name("FILE");
  app.add_option("--prune-layers", prune, "leave these layers out, the rest moves up")->type_name("N,N,…");
  app.add_flag("--keep-split", keep_split, "as many parts as the input has");
  list("--override-kv", overrides, "set metadata (int, float, bool, str)", "KEY=TYPE:VALUE");
  app.add_flag("--allow-requantize", allow_requantize, "quantise what is quantised already (costs quality)");
  app.add_flag("--best", best, "search longer for smaller errors");
  app.add_option("--max-memory", max_memory, "for buffers, e.g. 512M or 2G")->type_name("SIZE");
  app.add_flag("--no-provenance", no_provenance, "no hash of the source and no recipe in the metadata");
  app.add_flag("--no-check", no_check, "mmproj files: do not try the result on a picture");
  app.add_flag("--dry-run", dry_run, "show types and sizes, write nothing");
  app.add_flag("--json", json, "the plan (--dry-run) or what was done, as JSON");
  app.add_flag("--force", force, "replace results that exist");
  app.add_flag("--resume", resume, "go on where a killed run stopped");
  app.add_flag("--skip-existing", skip_existing, "leave out what exists");
  goal.add(app);
}

QuantizeRequest QuantizeFlags::request() const {
  QuantizeRequest r;
  r.threads = threads;
  std::vector<std::string> rest = words;
  // A number behind a type is the number of threads; on its own it is a type.
  if (rest.size() >= 2 && whole_number(rest.back()) && is_type_list(rest[rest.size() - 2]) &&
      (rest.size() > 2 || !files_from.empty())) {
    r.threads = *whole_number(rest.back());
    rest.pop_back();
  }
  goal.check();
  if (goal.given() && !rest.empty() && is_type_list(rest.back()))
    fail(ErrorCategory::usage, "{}: --target-bpw and --target-size choose the types; give IN and OUT only",
         rest.back());
  if (!goal.given() && (rest.empty() || (rest.size() == 1 && files_from.empty())))
    fail(ErrorCategory::usage, "expected IN [OUT] TYPE[,TYPE…] [THREADS], e.g. model.gguf out.gguf Q4_K_M");
  if (!goal.given()) {
    r.types = types_of(rest.back());
    rest.pop_back();
  }
  const bool many = !out_dir.empty() || !files_from.empty();
  if (!many && rest.size() == 2) {
    r.output = rest.back();
    rest.pop_back();
  } else if (!many && rest.size() > 2) {
    fail(ErrorCategory::usage, "several inputs need --out-dir ({} and {} further)", rest[0], rest.size() - 1);
  }
  InputFlags inputs;
  inputs.files = rest;
  inputs.files_from = files_from;
  inputs.null_separated = null_separated;
  for (const InputFlags::Item& item : inputs.get()) r.inputs.push_back(item.path);
  if (std::ranges::count(r.inputs, "-") > 0) fail(ErrorCategory::usage, "models cannot be read from stdin");
  if (!many && r.inputs.size() > 1) fail(ErrorCategory::usage, "{} inputs need --out-dir", r.inputs.size());
  return r;
}

quantize::PlanOptions QuantizeFlags::plan_options() const {
  quantize::PlanOptions o;
  o.recipe.pure = pure;
  o.recipe.leave_output = leave_output;
  if (!output_type.empty()) o.recipe.output_type = quantize::tensor_type(output_type, "--output-tensor-type");
  if (!embedding_type.empty())
    o.recipe.embedding_type = quantize::tensor_type(embedding_type, "--token-embedding-type");
  for (const std::string& t : tensor_types) o.recipe.patterns.push_back(pattern_of(t, "--tensor-type"));
  if (!tensor_type_file.empty()) {
    std::istringstream lines(read_bytes(tensor_type_file));
    for (std::string word; lines >> word;)
      o.recipe.patterns.push_back(pattern_of(word, fmt::format("--tensor-type-file {}:", tensor_type_file)));
  }
  for (const std::string& v : overrides) o.overrides.push_back(quantize::parse_override(v));
  if (!prune.empty())
    for (const std::string& n : split(prune, ',')) {
      const auto layer = whole_number(n);
      if (!layer) fail(ErrorCategory::usage, "--prune-layers {}: expected numbers, e.g. 20,21,22", prune);
      o.prune_layers.push_back(*layer);
    }
  std::ranges::sort(o.prune_layers);
  o.prune_layers.erase(std::ranges::unique(o.prune_layers).begin(), o.prune_layers.end());
  o.allow_requantize = allow_requantize;
  o.keep_split = keep_split;
  o.best = best;
  o.draft = dry_run;
  o.provenance = !no_provenance;
  o.program = "mtmd " MTMD_VERSION;
  return o;
}

std::uint64_t QuantizeFlags::memory_limit() const {
  if (max_memory.empty()) return 0;
  std::uint64_t n = 0;
  const char* end = max_memory.data() + max_memory.size();
  const auto [p, error] = std::from_chars(max_memory.data(), end, n);
  std::string unit(p, end);
  for (char& c : unit) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (unit.ends_with("IB")) unit.resize(unit.size() - 2);
  if (unit.ends_with("B")) unit.resize(unit.size() - 1);
  const int shift = unit.empty() ? 0 : unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : unit == "T" ? 40 : -1;
  if (error != std::errc() || shift < 0 || n == 0 || n > (~std::uint64_t{0} >> shift))
    fail(ErrorCategory::usage, "--max-memory {}: expected a size such as 512M or 2G", max_memory);
  return n << shift;
}

quantize::ImportanceWeights QuantizeFlags::importance() const {
  if (!include.empty() && !exclude.empty())
    fail(ErrorCategory::usage, "--include-weights and --exclude-weights: give one of them");
  if (imatrix.empty()) {
    if (!include.empty() || !exclude.empty())
      fail(ErrorCategory::usage, "--include-weights and --exclude-weights need --imatrix");
    return {};
  }
  return quantize::importance_weights(quality::read_imatrix(imatrix), imatrix, include, exclude);
}

fs::path QuantizeFlags::target(const QuantizeRequest& r, const std::string& input, const FileType& t) const {
  const std::string kind = goal.given() ? goal.label() : std::string(t.name);
  if (!out_dir.empty()) return fs::path(out_dir) / fmt::format("{}-{}.gguf", plain_stem(input), kind);
  const fs::path folder = fs::path(input).parent_path();
  if (!files_from.empty()) return folder / fmt::format("{}-{}.gguf", plain_stem(input), kind);
  if (r.output.empty()) return folder / fmt::format("ggml-model-{}.gguf", kind);
  std::error_code ignored;
  if (fs::is_directory(r.output, ignored))
    return fs::path(r.output) / fmt::format("{}-{}.gguf", plain_stem(input), kind);
  const bool one = r.types.size() <= 1 && r.output.find("{type}") == r.output.npos;
  return one ? r.output : with_type(r.output, kind);
}

}  // namespace mtmd::cli
