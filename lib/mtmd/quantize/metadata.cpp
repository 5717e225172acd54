#include "mtmd/quantize/metadata.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/error.h"

namespace mtmd::quantize {
namespace {

void set_again(gguf::Writer& w, const char* key, std::uint32_t v) {
  w.remove(key);
  w.set(key, v);
}

void apply(gguf::Writer& w, const Override& o) {
  w.remove(o.key);
  if (const auto* n = std::get_if<std::int64_t>(&o.value)) {
    w.set(o.key, static_cast<std::uint32_t>(std::abs(*n)));  // integers of model files are u32
  } else if (const auto* x = std::get_if<double>(&o.value)) {
    w.set(o.key, static_cast<float>(*x));
  } else if (const auto* b = std::get_if<bool>(&o.value)) {
    w.set(o.key, *b);
  } else {
    w.set(o.key, std::string_view(std::get<std::string>(o.value)));
  }
}

void set_importance(gguf::Writer& w, const ImportanceWeights& i) {
  w.remove("quantize.imatrix.file");
  w.set("quantize.imatrix.file", std::string_view(i.file));
  w.remove("quantize.imatrix.dataset");
  if (!i.dataset.empty()) w.set("quantize.imatrix.dataset", std::string_view(i.dataset));
  set_again(w, "quantize.imatrix.entries_count", static_cast<std::uint32_t>(i.weights.size()));
  w.remove("quantize.imatrix.chunks_count");
  if (i.chunks > 0) w.set("quantize.imatrix.chunks_count", i.chunks);
}

std::string recipe_text(const PlanOptions& o) {
  const RecipeOptions& r = o.recipe;
  std::string s(r.type->name);
  if (r.pure) s += " --pure";
  if (r.leave_output) s += " --leave-output-tensor";
  if (r.output_type) s += fmt::format(" --output-tensor-type {}", name(*r.output_type));
  if (r.embedding_type) s += fmt::format(" --token-embedding-type {}", name(*r.embedding_type));
  for (const auto& p : r.patterns) s += fmt::format(" --tensor-type {}={}", p.text, name(p.type));
  if (!r.assigned.empty()) s += fmt::format(" ({} tensors assigned)", r.assigned.size());
  if (o.best) s += " --best";
  return s;
}

void set_provenance(gguf::Writer& w, const gguf::File& file, const PlanOptions& o) {
  std::vector<std::string> hashes;
  std::string files;
  for (std::size_t i = 0; i < file.paths().size(); ++i) {
    hashes.push_back(hash_placeholder(i));
    files += (i ? ", " : "") + file.paths()[i].filename().string();
  }
  w.set("mtmd.quantize.program", std::string_view(o.program));
  w.set("mtmd.quantize.recipe", std::string_view(recipe_text(o)));
  w.set("mtmd.quantize.source", std::string_view(files));
  w.set("mtmd.quantize.source_sha256", std::span<const std::string>(hashes));
  if (o.importance && !o.importance->empty())
    w.set("mtmd.quantize.imatrix_sha256", std::string_view(o.importance->digest));
}

}  // namespace

std::string hash_placeholder(std::size_t i) { return fmt::format("mtmd-source-hash-{:0>47}", i); }

std::vector<std::pair<std::size_t, std::size_t>> hash_places(std::span<const std::byte> header, std::size_t n_parts) {
  std::vector<std::pair<std::size_t, std::size_t>> places;
  for (std::size_t i = 0; i < n_parts; ++i) {
    const std::string wanted = hash_placeholder(i);
    const auto bytes = std::as_bytes(std::span(wanted));
    const auto found = std::ranges::search(header, bytes);
    if (!found.empty()) places.emplace_back(static_cast<std::size_t>(found.begin() - header.begin()), i);
  }
  return places;
}

void fill_metadata(gguf::Writer& w, const gguf::File& file, const PlanOptions& o, std::int64_t n_layer) {
  const gguf::Metadata& m = file.metadata();
  for (const auto& e : m.entries()) w.set(std::string(e.key), e.value);
  set_again(w, "general.quantization_version", 2);
  // A copy is of the type that its source is.
  const std::optional<std::uint32_t> type = o.recipe.type->copies()
                                                ? m.get<std::uint32_t>("general.file_type")
                                                : static_cast<std::uint32_t>(o.recipe.type->number());
  if (type) set_again(w, "general.file_type", *type);
  for (const char* key : {"split.no", "split.count", "split.tensors.count"}) w.remove(key);
  for (const Override& v : o.overrides) apply(w, v);
  if (o.importance && !o.importance->empty()) set_importance(w, *o.importance);
  if (n_layer >= 0)
    set_again(w, (std::string(m.get_or<std::string_view>("general.architecture", "")) + ".block_count").c_str(),
              static_cast<std::uint32_t>(n_layer));
  if (o.provenance) set_provenance(w, file, o);
}

Override parse_override(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    fail(ErrorCategory::usage, "--override-kv {}: {}; expected KEY=TYPE:VALUE with TYPE int, float, bool or str", text,
         why);
  };
  const auto equals = text.find('='), colon = text.find(':', equals == text.npos ? 0 : equals);
  if (equals == text.npos || equals == 0 || colon == text.npos) bad("incomplete");
  Override o{std::string(text.substr(0, equals)), false};
  const auto type = text.substr(equals + 1, colon - equals - 1);
  const std::string value(text.substr(colon + 1));
  char* end = nullptr;
  errno = 0;
  if (type == "int") {
    o.value = static_cast<std::int64_t>(std::strtoll(value.c_str(), &end, 10));
    const auto n = std::abs(std::get<std::int64_t>(o.value));
    if (value.empty() || *end || errno || n > 0xffffffffLL) bad("not a 32-bit integer");
  } else if (type == "float") {
    o.value = std::strtod(value.c_str(), &end);
    if (value.empty() || *end) bad("not a number");
  } else if (type == "bool") {
    if (value != "true" && value != "false") bad("not true or false");
    o.value = value == "true";
  } else if (type == "str") {
    o.value = value;
  } else {
    bad(fmt::format("unknown type '{}'", type));
  }
  return o;
}

}  // namespace mtmd::quantize
