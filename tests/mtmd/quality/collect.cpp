// Importance matrices of whole models against llama.cpp's own activations.
#include "mtmd/quality/collect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "engine/base/error.h"
#include "mtmd/quality/corpus.h"
#include "mtmd/session.h"

namespace mtmd::quality {
namespace {

/// Made with libllama (newest release of autumn 2026, f32 cache, no flash attention): its eval callback handed over the
/// right-hand side of every MUL_MAT and MUL_MAT_ID while it read 5 windows of 64 tokens of corpus(); squares added up
/// in float64 by numpy. Sums: the first column of the first matrix, the last of the last, the middle one of the first.
struct Recorded {
  const char* tensor;
  std::int64_t matrices;
  std::vector<float> counts;
  std::vector<double> sums;
  double total;
};
const std::vector<Recorded> kLlama = {
    {"blk.0.attn_k.weight", 1, {320}, {296.504724, 382.86925, 262.090641}, 19981.163},
    {"blk.0.attn_output.weight", 1, {320}, {82.0992307, 36.5003223, 44.1857956}, 4315.50264},
    {"blk.0.attn_q.weight", 1, {320}, {296.504724, 382.86925, 262.090641}, 19981.163},
    {"blk.0.attn_v.weight", 1, {320}, {296.504724, 382.86925, 262.090641}, 19981.163},
    {"blk.0.ffn_down.weight", 1, {320}, {168.208484, 81.3723388, 60.7770657}, 36442.3483},
    {"blk.0.ffn_gate.weight", 1, {320}, {287.730896, 480.892231, 510.379615}, 21817.3395},
    {"blk.0.ffn_up.weight", 1, {320}, {287.730896, 480.892231, 510.379615}, 21817.3395},
    {"blk.1.attn_k.weight", 1, {320}, {275.793686, 353.920347, 277.319798}, 21243.4527},
    {"blk.1.attn_output.weight", 1, {320}, {81.4864472, 120.440126, 101.067847}, 6998.95347},
    {"blk.1.attn_q.weight", 1, {320}, {275.793686, 353.920347, 277.319798}, 21243.4527},
    {"blk.1.attn_v.weight", 1, {320}, {275.793686, 353.920347, 277.319798}, 21243.4527},
    {"blk.1.ffn_down.weight", 1, {320}, {298.590064, 162.90679, 171.773852}, 34253.5056},
    {"blk.1.ffn_gate.weight", 1, {320}, {388.297661, 491.438009, 179.817071}, 19798.782},
    {"blk.1.ffn_up.weight", 1, {320}, {388.297661, 491.438009, 179.817071}, 19798.782},
    {"output.weight", 1, {320}, {367.249523, 384.295877, 322.125107}, 21004.759},
};
const std::vector<Recorded> kMixtral = {
    {"blk.0.attn_k.weight", 1, {320}, {308.387029, 357.425255, 205.608434}, 20035.4905},
    {"blk.0.attn_output.weight", 1, {320}, {107.2598, 53.768654, 22.8198641}, 4581.5624},
    {"blk.0.attn_q.weight", 1, {320}, {308.387029, 357.425255, 205.608434}, 20035.4905},
    {"blk.0.attn_v.weight", 1, {320}, {308.387029, 357.425255, 205.608434}, 20035.4905},
    {"blk.0.ffn_down_exps.weight", 4, {197, 180, 136, 127}, {282.567902, 140.209599, 37.534368}, 35108.1588},
    {"blk.0.ffn_gate_exps.weight", 4, {197, 180, 136, 127}, {216.310114, 180.840906, 219.03368}, 43249.7315},
    {"blk.0.ffn_gate_inp.weight", 1, {320}, {377.981956, 452.474143, 355.20078}, 21624.8657},
    {"blk.0.ffn_up_exps.weight", 4, {197, 180, 136, 127}, {216.310114, 180.840906, 219.03368}, 43249.7315},
    {"blk.1.attn_k.weight", 1, {320}, {352.838407, 455.835898, 234.29782}, 21482.6235},
    {"blk.1.attn_output.weight", 1, {320}, {111.312735, 112.493181, 65.1105445}, 7390.03005},
    {"blk.1.attn_q.weight", 1, {320}, {352.838407, 455.835898, 234.29782}, 21482.6235},
    {"blk.1.attn_v.weight", 1, {320}, {352.838407, 455.835898, 234.29782}, 21482.6235},
    {"blk.1.ffn_down_exps.weight", 4, {179, 133, 182, 146}, {101.146791, 121.231669, 71.01446}, 32152.6126},
    {"blk.1.ffn_gate_exps.weight", 4, {179, 133, 182, 146}, {267.956566, 257.166879, 88.1154907}, 40268.2971},
    {"blk.1.ffn_gate_inp.weight", 1, {320}, {477.994729, 604.791391, 183.040409}, 20134.1486},
    {"blk.1.ffn_up_exps.weight", 4, {179, 133, 182, 146}, {267.956566, 257.166879, 88.1154907}, 40268.2971},
    {"output.weight", 1, {320}, {436.261707, 421.253333, 347.417777}, 20877.5867},
};

std::shared_ptr<const Model> load(const std::string& path) {
  ModelOptions options{.model = path};
  return Model::load(options);
}

class Recordings : public ::testing::TestWithParam<std::pair<const char*, const std::vector<Recorded>*>> {};

TEST_P(Recordings, AreMet) {
  const auto& [name, recorded] = GetParam();
  const auto model = load(std::string(MTMD_TEST_DATA "/text/") + name);
  const Windows windows(corpus(), model->tokenizer(), {.n_ctx = 64, .max = 5});
  ASSERT_EQ(windows.size(), 5);
  for (const bool perplexity : {false, true}) {
    Collector collector(
        model, {.reader = {.n_ctx = 64, .kv_type = DType::F32}, .observe = {.output = true}, .perplexity = perplexity});
    for (int i = 0; i < windows.size(); ++i) collector.read(windows, i);
    const ImportanceMatrix m = collector.matrix();
    EXPECT_EQ(m.entries.size(), recorded->size());
    EXPECT_EQ(m.chunk_count, 5u);
    EXPECT_EQ(m.chunk_size, 64u);
    for (const Recorded& want : *recorded) {
      const Importance* e = m.find(want.tensor);
      ASSERT_NE(e, nullptr) << want.tensor;
      EXPECT_EQ(e->counts, want.counts) << want.tensor;
      const auto cols = static_cast<std::size_t>(e->columns());
      const float found[] = {e->sums.front(), e->sums.back(), e->sums[cols / 2]};
      for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(found[i] / want.sums[i], 1, 3e-5) << want.tensor;
      double total = 0;
      for (const float v : e->sums) total += double{v};
      EXPECT_NEAR(total / want.total, 1, 3e-6) << want.tensor;
    }
    EXPECT_EQ(collector.likelihood().count(), perplexity ? 5 * 31 : 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Recordings,
                         ::testing::Values(std::pair{"llama.gguf", &kLlama}, std::pair{"mixtral.gguf", &kMixtral}),
                         [](const auto& test) { return std::string(test.param.first).substr(0, 5); });

TEST(Collector, BatchesChangeNothingButRounding) {
  const auto model = load(MTMD_TEST_DATA "/text/mixtral.gguf");
  const Windows windows(corpus(), model->tokenizer(), {.n_ctx = 48, .max = 2});
  const auto matrix = [&](ReaderOptions reader) {
    reader.n_ctx = 48;
    reader.kv_type = DType::F32;
    Collector c(model, {.reader = reader, .observe = {}, .perplexity = false});
    for (int i = 0; i < 2; ++i) c.read(windows, i);
    return c.matrix();
  };
  const ImportanceMatrix one = matrix({}), many = matrix({.n_batch = 20, .n_ubatch = 7});
  ASSERT_EQ(one.entries.size(), many.entries.size());
  for (const auto& [name, e] : one.entries) {
    EXPECT_EQ(e.counts, many.entries.at(name).counts) << name;
    for (std::size_t i = 0; i < e.sums.size(); ++i)
      ASSERT_NEAR(e.sums[i], many.entries.at(name).sums[i], 1e-4f * e.sums[i]) << name;
  }
}

TEST(Collector, RunsMeetTheirUnion) {
  const auto model = load(MTMD_TEST_DATA "/text/llama.gguf");
  const Windows windows(corpus(), model->tokenizer(), {.n_ctx = 64, .max = 3});
  const auto of = [&](int begin, int end) {
    Collector c(model, {.reader = {.n_ctx = 64}, .observe = {}, .perplexity = false});
    for (int i = begin; i < end; ++i) c.read(windows, i);
    return c.matrix();
  };
  ImportanceMatrix parts = of(0, 1);
  parts.merge(of(1, 3));
  const ImportanceMatrix whole = of(0, 3);
  EXPECT_EQ(parts.chunk_count, whole.chunk_count);
  for (const auto& [name, e] : whole.entries)
    for (std::size_t i = 0; i < e.sums.size(); ++i)
      ASSERT_NEAR(parts.entries.at(name).sums[i], e.sums[i], 1e-6f * e.sums[i]) << name;
}

image::Image stripes() {
  image::Image im{160, 32, std::vector<std::uint8_t>(160 * 32 * 3, 255)};
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 160; ++x)
      if (x / 5 % 2) std::fill_n(im.rgb.begin() + (y * 160 + x) * 3, 3, std::uint8_t{20});
  return im;
}

/// The prompt's rows, text and picture, all go through every matrix of the decoder; a text of as many tokens gives
/// other sums.
TEST(Collector, SeesPicturesThroughTheEncoder) {
  const auto model = load(MTMD_MODELS "/line-reader.gguf");
  ASSERT_NE(model->projector(), nullptr);
  const Message message{"user", std::string(kMediaMarker) + "OCR"};
  const Prompt prompt =
      Prompt::marked(format_chat(*model, std::span(&message, 1)), {{stripes(), "a", "stripes", false}});
  const Chunks chunks =
      build_chunks(prompt, model->tokenizer(), model->projector(), {.mrope = model->spec().mrope, .limits = {}});
  Collector c(model, {.reader = {.n_ctx = 64}, .observe = {}, .perplexity = true});
  c.read(prompt, {});
  const ImportanceMatrix m = c.matrix();
  const Coverage covered = coverage(m, model->file());
  EXPECT_TRUE(covered.fits());
  EXPECT_TRUE(covered.missing.empty());
  EXPECT_GT(chunks.n_media_tokens, 0);
  for (const auto& [name, e] : m.entries) EXPECT_THAT(e.counts, ::testing::ElementsAre(chunks.n_tokens)) << name;

  // In small pieces the same.
  Collector pieces(model, {.reader = {.n_ctx = 64, .n_ubatch = 5}, .observe = {}, .perplexity = false});
  pieces.read(prompt, {});
  const ImportanceMatrix other = pieces.matrix();
  for (const auto& [name, e] : m.entries)
    for (std::size_t i = 0; i < e.sums.size(); ++i)
      ASSERT_NEAR(other.entries.at(name).sums[i], e.sums[i], 2e-2f * e.sums[i] + 1e-3f) << name;
}

TEST(Collector, PicturesNeedAnEncoder) {
  Collector c(load(MTMD_TEST_DATA "/text/llama.gguf"), {});
  try {
    c.read(Prompt::marked(kMediaMarker, {{stripes(), "a", "stripes", false}}), {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::usage);
  }
}

}  // namespace
}  // namespace mtmd::quality
