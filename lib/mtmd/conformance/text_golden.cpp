#include "mtmd/conformance/text_golden.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include "engine/base/error.h"
#include "engine/gguf/gguf.h"
#include "engine/gguf/weights.h"

namespace mtmd::conformance {
namespace {

constexpr std::string_view kSuffix = ".golden.gguf";

std::vector<float> matrix(gguf::Weights& file, const char* name, std::int64_t rows, std::int64_t cols) {
  const Vector values = file.values(name, {rows, cols});
  return {values.begin(), values.end()};
}

std::size_t best(std::span<const float> row) {
  return static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

std::span<const float> row(const std::vector<float>& m, std::size_t i, std::int64_t cols) {
  return std::span(m).subspan(i * static_cast<std::size_t>(cols), static_cast<std::size_t>(cols));
}

float margin(std::span<const float> logits) {
  const std::size_t winner = best(logits);
  float runner_up = -std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (i != winner) runner_up = std::max(runner_up, logits[i]);
  return logits[winner] - runner_up;
}

void read_grid(TextGolden& g, gguf::Weights& file) {
  const gguf::Metadata& m = file.file().metadata();
  if (!m.has("golden.embd_at")) return;
  g.embd_at = m.require<std::int32_t>("golden.embd_at");
  g.grid_rows = m.require<std::int32_t>("golden.grid_h");
  g.grid_cols = m.require<std::int32_t>("golden.grid_w");
  const gguf::TensorInfo* embd = file.find("embd");
  if (g.embd_at < 0 || g.embd_at > std::ssize(g.tokens) || g.grid_rows < 1 || g.grid_rows > 1024 || g.grid_cols < 1 ||
      g.grid_cols > 1024 || !embd || embd->shape.size() != 2)
    fail(ErrorCategory::failed, "{}: the recorded grid is damaged", m.file());
  g.embd = matrix(file, "embd", g.n_embeddings(), embd->shape[1]);
  g.embd_logits = matrix(file, "embd_logits", g.n_embeddings(), g.n_vocab);
}

/// The recorded values say some things twice.
void check(const TextGolden& g, const std::string& file) {
  float smallest = std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < g.greedy.size() && !g.greedy_logits.empty(); ++i) {
    const auto logits = row(g.greedy_logits, i, g.n_vocab);
    if (static_cast<std::int32_t>(best(logits)) != g.greedy[i])
      fail(ErrorCategory::failed, "{}: golden.greedy[{}] is not the best of its greedy_logits", file, i);
    smallest = std::min(smallest, margin(logits));
  }
  if (!g.greedy_logits.empty() && !(std::abs(smallest - g.min_margin) <= 1e-4f))
    fail(ErrorCategory::failed, "{}: golden.greedy_min_margin is {}, the logits say {}", file, g.min_margin, smallest);
  for (std::int32_t id : g.tokens)
    if (id < 0 || id >= g.n_vocab) fail(ErrorCategory::failed, "{}: golden.tokens holds {}", file, id);
}

}  // namespace

TextGolden read_text_golden(const std::filesystem::path& path) {
  const gguf::File opened = gguf::File::open(path);
  gguf::Weights file(opened);
  const gguf::Metadata& m = opened.metadata();
  TextGolden g;
  g.name = path.filename().string();
  if (g.name.ends_with(kSuffix)) g.name.resize(g.name.size() - kSuffix.size());
  g.prompt = m.require<std::string_view>("golden.prompt");
  g.add_special = m.require<bool>("golden.add_special");
  g.parse_special = m.require<bool>("golden.parse_special");
  g.tokens = m.require<std::vector<std::int32_t>>("golden.tokens");
  g.greedy = m.require<std::vector<std::int32_t>>("golden.greedy");
  g.end_of_generation = m.require<std::vector<std::int32_t>>("golden.eog");
  g.min_margin = m.require<float>("golden.greedy_min_margin");
  g.n_ctx = m.require<std::int32_t>("golden.n_ctx");
  g.quantised = m.has("golden.quant_type");
  const gguf::TensorInfo* logits = opened.find("logits");
  if (!logits || logits->shape.size() != 2 || g.tokens.empty() || g.greedy.empty() || g.n_ctx < 1)
    fail(ErrorCategory::failed, "{}: recorded tokens or logits are missing or damaged", m.file());
  g.n_vocab = static_cast<std::int32_t>(logits->shape[1]);
  g.logits = matrix(file, "logits", std::ssize(g.tokens), g.n_vocab);
  if (file.has("logits_f32")) g.logits_f32 = matrix(file, "logits_f32", std::ssize(g.tokens), g.n_vocab);
  if (file.has("greedy_logits")) g.greedy_logits = matrix(file, "greedy_logits", std::ssize(g.greedy), g.n_vocab);
  read_grid(g, file);
  check(g, m.file());
  return g;
}

std::optional<std::filesystem::path> model_of(const std::filesystem::path& golden) {
  std::string name = golden.filename().string();
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.resize(name.size() - kSuffix.size());
  for (;;) {
    const auto model = golden.parent_path() / (name + ".gguf");
    if (std::filesystem::exists(model)) return model;
    const std::size_t dot = name.rfind('.');
    if (dot == std::string::npos) return std::nullopt;
    name.resize(dot);
  }
}

namespace {

/// The whole prompt, image included, with logits wanted everywhere. Embeddings stay in the golden.
decoder::Batch prompt(const TextGolden& g) {
  decoder::Batch all;
  const std::span tokens(g.tokens);
  if (!g.has_grid()) {
    all.add_text(0, tokens, 0, true);
  } else {
    const std::int32_t t = g.embd_at;
    std::vector<Position> at;
    for (std::int32_t y = 0; y < g.grid_rows; ++y)
      for (std::int32_t x = 0; x < g.grid_cols; ++x) at.push_back({t, t + y, t + x, 0});
    all.add_text(0, tokens.first(t), 0, true);
    all.add_embeddings(0, at, false);
    all.add_text(0, tokens.subspan(t), t + std::max(g.grid_rows, g.grid_cols), true);
  }
  std::fill(all.want_logits.begin(), all.want_logits.end(), true);
  return all;
}

/// Rows [begin, end) of a causal batch.
decoder::Batch piece(const decoder::Batch& all, std::int64_t begin, std::int64_t end, const TextGolden& g) {
  const auto cut = [&](const auto& v) { return std::decay_t<decltype(v)>(v.begin() + begin, v.begin() + end); };
  decoder::Batch b{cut(all.tokens),    cut(all.positions),   cut(all.sequences),
                   cut(all.see_until), cut(all.want_logits), {}};
  for (std::int32_t& until : b.see_until) until -= static_cast<std::int32_t>(begin);
  const std::int64_t before = std::count(all.tokens.begin(), all.tokens.begin() + begin, -1);
  const std::int64_t n = std::count(b.tokens.begin(), b.tokens.end(), -1);
  if (n > 0) {
    const std::int64_t width = std::ssize(g.embd) / g.n_embeddings();
    b.embeddings = Tensor(const_cast<float*>(g.embd.data()) + before * width, n, width);  // only read
  }
  return b;
}

void append(std::vector<float>& to, Tensor rows) {
  for (std::int64_t i = 0; i < rows.rows; ++i) to.insert(to.end(), rows.row(i), rows.row(i) + rows.cols);
}

}  // namespace

TextAnswer answer(decoder::Decoder& model, Device& device, const TextGolden& g, const TextRun& run) {
  const decoder::Batch all = prompt(g);
  const auto n_ctx = static_cast<std::int32_t>(all.rows() + std::ssize(g.greedy) + 1);
  kv::Cache cache(device, model.kv_layers(), {run.cache, n_ctx, 32});
  TextAnswer a;
  std::size_t p = 0;
  for (std::int64_t begin = 0, end = 0; begin < all.rows(); begin = end) {
    end = run.pieces.empty() ? all.rows() : std::min<std::int64_t>(all.rows(), begin + run.pieces[p]);
    if (p + 1 < run.pieces.size()) ++p;
    const decoder::Batch b = piece(all, begin, end, g);
    const Tensor logits = model.forward(b, cache);
    for (std::int64_t i = 0; i < logits.rows; ++i)
      append(b.tokens[i] < 0 ? a.embd_logits : a.logits, logits.rows_at(i, 1));
  }
  // Greedy continuation, one token at a time.
  const std::int32_t vocab = model.spec().n_vocab;
  a.greedy_logits.assign(a.logits.end() - vocab, a.logits.end());
  std::int32_t position = all.positions.back().t + 1;
  decoder::Batch b;
  for (std::size_t i = 0; i < g.greedy.size(); ++i) {
    a.greedy.push_back(static_cast<std::int32_t>(best(row(a.greedy_logits, i, vocab))));
    if (i + 1 == g.greedy.size()) break;
    b.clear();
    b.add_text(0, std::span(&a.greedy.back(), 1), position++, true);
    append(a.greedy_logits, model.forward(b, cache));
  }
  return a;
}

Difference compare(const std::vector<float>& want, const std::vector<float>& got, std::int64_t n_vocab) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (want.size() != got.size() || want.empty()) return {kInfinite, kInfinite, kInfinite};
  const auto log_sum = [](std::span<const float> x) {
    const double top = *std::max_element(x.begin(), x.end());
    double sum = 0;
    for (float v : x) sum += std::exp(v - top);
    return top + std::log(sum);
  };
  Difference d;
  double squares = 0;
  for (std::size_t r = 0; r < want.size() / static_cast<std::size_t>(n_vocab); ++r) {
    const auto w = row(want, r, n_vocab), g = row(got, r, n_vocab);
    const double zw = log_sum(w), zg = log_sum(g);
    double kl = 0;
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double e = std::abs(double{w[i]} - g[i]);
      if (!std::isfinite(e)) return {kInfinite, kInfinite, kInfinite};
      d.worst = std::max(d.worst, e);
      squares += e * e;
      kl += std::exp(w[i] - zw) * ((w[i] - zw) - (g[i] - zg));
    }
    d.kl = std::max(d.kl, kl);
  }
  d.rms = std::sqrt(squares / static_cast<double>(want.size()));
  return d;
}

WeightClass weight_class(const gguf::File& model) {
  const bool gelu = model.metadata().get_or<std::string_view>("general.architecture", "").starts_with("gemma");
  WeightClass worst = gelu ? WeightClass::gelu_table : WeightClass::f32;
  for (const gguf::TensorInfo& t : model.tensors()) {
    if (t.shape.size() < 2 || t.type == DType::F32 || t.type == DType::F64) continue;
    worst = std::max(worst, t.type == DType::F16    ? WeightClass::f16
                            : t.type == DType::BF16 ? WeightClass::bf16
                                                    : WeightClass::quantised);
  }
  return worst;
}

Gate gate(WeightClass weights, DType cache) {
  Gate g{};
  switch (weights) {
    case WeightClass::f32:
      g = {1e-3, 0, 1e-7};
      break;
    case WeightClass::gelu_table:
      g = {0.15, 0, 1e-3};
      break;
    case WeightClass::f16:
      g = {0.1, 0, 5e-4};
      break;
    case WeightClass::bf16:
      g = {0.5, 0, 1e-2};
      break;
    case WeightClass::quantised:
      g = {1.0, 0.2, 0.05};
      break;
  }
  // The error of the cache comes on top of that of the weights. q8_0 keeps 7 bits below a block's largest value where
  // f16 keeps 11 below each value: some ten times coarser, about what quantised weights cost.
  switch (cache) {
    case DType::F16:
      return {std::max(g.worst, 0.2), g.rms, std::max(g.kl, 3e-3)};
    case DType::Q8_0:
      return {2.0, 0.2, 0.1};
    default:
      return g;
  }
}

std::optional<std::size_t> first_greedy_mismatch(const TextGolden& g, const TextAnswer& got, bool exact,
                                                 double difference) {
  for (std::size_t i = 0; i < g.greedy.size(); ++i) {
    if (!exact) {
      // Where they were not recorded our own logits say as much about the step, being no further than `difference`
      // away.
      const float lead = margin(row(g.greedy_logits.empty() ? got.greedy_logits : g.greedy_logits, i, g.n_vocab));
      if (lead < 2 * difference) return std::nullopt;
    }
    if (i >= got.greedy.size() || got.greedy[i] != g.greedy[i]) return i;
  }
  return std::nullopt;
}

}  // namespace mtmd::conformance
