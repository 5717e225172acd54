// Architectures without a recorded case in the kit: the logits that llama.cpp gave for small models of a formula, and
// the CPU in every instruction set against the reference device.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "engine/decoder/decoder.h"
#include "engine/decoder/tiny_model.h"
#include "engine/device/cpu/dispatch.h"

namespace mtmd::decoder {
namespace {

using test::TinyCase;

/// Logits of every token of the prompt, fed in pieces of these sizes (the last one repeated).
std::vector<std::vector<float>> answer(const gguf::File& file, Device& device, std::vector<std::size_t> pieces) {
  Decoder model(file, device, {});
  kv::Cache cache(device, model.kv_layers(), {DType::F32, 64, 8});
  const auto ids = test::tiny_prompt();
  std::vector<std::vector<float>> rows;
  for (std::size_t at = 0, p = 0; at < ids.size(); ++p) {
    const std::size_t n = std::min(pieces[std::min(p, pieces.size() - 1)], ids.size() - at);
    Batch b;
    b.add_text(0, std::span(ids).subspan(at, n), static_cast<std::int32_t>(at), true);
    b.want_logits.assign(n, true);
    const Tensor logits = model.forward(b, cache);
    for (std::int64_t r = 0; r < logits.rows; ++r) rows.emplace_back(logits.row(r), logits.row(r) + logits.cols);
    at += n;
  }
  return rows;
}

float worst(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  float d = a.size() == b.size() ? 0.0f : INFINITY;
  for (std::size_t r = 0; r < a.size() && std::isfinite(d); ++r)
    for (std::size_t i = 0; i < a[r].size(); ++i) d = std::max(d, std::abs(a[r][i] - b[r][i]));
  return d;
}

class Tiny : public testing::TestWithParam<const TinyCase*> {
 protected:
  const TinyCase& tiny_ = *GetParam();
  const std::vector<std::byte> bytes_ = tiny_.bytes();
  const gguf::File file_ = gguf::File::from_memory(bytes_, std::string(tiny_.name) + ".gguf");
};

TEST_P(Tiny, AnswersAsRecorded) {
  ASSERT_FALSE(tiny_.rows.empty());
  const auto device = make_device("reference");
  const auto got = answer(file_, *device, {40});
  float difference = 0.0f;
  for (const test::TinyRow& row : tiny_.rows)
    for (std::size_t i = 0; i < 8; ++i)
      difference = std::max(difference, std::abs(row.logits[i] - got[row.position][12 * i]));
  std::printf("%-20s d %.2e (%.0e)\n", std::string(tiny_.name).c_str(), difference, tiny_.tolerance);
  EXPECT_LE(difference, tiny_.tolerance);
}

TEST_P(Tiny, EveryInstructionSetAndEveryCutGivesTheSame) {
  const auto reference = make_device("reference");
  const auto want = answer(file_, *reference, {40});
  EXPECT_LE(worst(want, answer(file_, *reference, {1, 7, 2, 30})), 1e-4f);
  for (const cpu::Kernels& isa : cpu::runnable_kernels()) {
    const auto device = make_device("cpu", {.threads = 2, .isa = std::string(isa.name)});
    for (const auto& pieces : std::vector<std::vector<std::size_t>>{{40}, {1}, {3, 1, 20, 5}})
      EXPECT_LE(worst(want, answer(file_, *device, pieces)), 3e-4f) << isa.name << " in pieces of " << pieces[0];
  }
}

/// For the reference's answers, see tiny_model.h.
TEST(TinyModels, WriteThem) {
  const char* folder = std::getenv("MTMD_WRITE_TINY");
  if (!folder) GTEST_SKIP() << "MTMD_WRITE_TINY names no folder";
  for (const TinyCase* c : test::tiny_cases()) {
    test::TinyModel m(std::string(c->architecture), c->sizes, c->norm_key);
    c->build(m);
    m.writer.write(std::filesystem::path(folder) / (std::string(c->name) + ".gguf"));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Tiny, testing::ValuesIn(test::tiny_cases()),
                         [](const auto& c) { return std::string(c.param->name); });

}  // namespace
}  // namespace mtmd::decoder
