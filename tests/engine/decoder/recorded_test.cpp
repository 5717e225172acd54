// Every recorded model: the same logits and greedy tokens as the reference, however the prompt is cut, for each type of
// cache.
#include <gtest/gtest.h>

#include "engine/decoder/goldens.h"

namespace mtmd {
namespace {

using conformance::TextRun;

struct Case {
  std::string name;
  TextRun run;
};

/// The larger, quantised models run in fewer ways: what they are about is the weights.
std::vector<Case> cases(bool quantised) {
  std::vector<Case> all = {{"batched", {}}, {"one_by_one", {.pieces = {1}}}};
  if (quantised) return all;
  const std::vector<Case> more = {{"uneven", {.pieces = {1, 7, 2, 30}}},
                                  {"small_ubatch", {.n_ubatch = 5}},
                                  {"f16_cache", {.cache = DType::F16}},
                                  {"f16_cache_one_by_one", {.cache = DType::F16, .pieces = {1}}},
                                  {"q8_0_cache", {.cache = DType::Q8_0, .pieces = {11}}}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

bool heads_fit(const decoder::DecoderSpec& spec, DType cache) {
  const auto layers = decoder::kv_layers(spec);
  return cache != DType::Q8_0 || std::all_of(layers.begin(), layers.end(), [](const kv::LayerShape& l) {
           return l.key_cols % 32 == 0 && l.value_cols % 32 == 0;
         });
}

void check(const std::filesystem::path& path, const std::string& device_name) {
  const gguf::File file = gguf::File::open(conformance::model_of(path).value());
  if (!test::is_supported(file))
    GTEST_SKIP() << file.metadata().require<std::string_view>("general.architecture") << " is not supported";
  const auto golden = conformance::read_text_golden(path);
  const auto device = make_device(device_name, {.threads = 1});
  for (const Case& c : cases(golden.quantised)) {
    SCOPED_TRACE(golden.name + " " + c.name + " on " + device_name);
    decoder::Decoder model(file, *device, {golden.n_ctx, c.run.n_ubatch});
    if (!heads_fit(model.spec(), c.run.cache)) continue;
    const auto got = conformance::answer(model, *device, golden, c.run);
    auto weights = conformance::weight_class(file);
    conformance::Difference d = conformance::compare(golden.logits, got.logits, golden.n_vocab);
    if (golden.has_grid()) {
      const auto image = conformance::compare(golden.embd_logits, got.embd_logits, golden.n_vocab);
      d = {std::max(d.worst, image.worst), std::max(d.rms, image.rms), std::max(d.kl, image.kl)};
    }
    auto gate = conformance::gate(weights, c.run.cache);
    // A rounded cache makes a router near a tie choose another expert, and then a token's logits are others: only the
    // average can be judged.
    const bool may_reroute = model.spec().n_experts > 0 && c.run.cache != DType::F32;
    if (may_reroute) gate = {20.0, c.run.cache == DType::F16 ? 0.1 : 0.5, 5.0};
    // Where layers share keys and values each rounding is met several times, and in the same direction.
    const auto& layers = model.spec().layers;
    const bool shares = std::any_of(layers.begin(), layers.end(), [](const auto& l) { return l.kv_layer >= 0; });
    if (shares && c.run.cache == DType::Q8_0) gate = {2 * gate.worst, 2 * gate.rms, 4 * gate.kl};
    std::printf("%-24s %-22s d %.2e rms %.2e KL %.2e (gate %.0e, %.0e)\n", golden.name.c_str(), c.name.c_str(), d.worst,
                d.rms, d.kl, gate.worst, gate.kl);
    EXPECT_TRUE(gate.passes(d)) << "d " << d.worst << " rms " << d.rms << " KL " << d.kl;
    const bool exact = weights == conformance::WeightClass::f32 && c.run.cache == DType::F32 && !golden.has_grid();
    const auto mismatch = conformance::first_greedy_mismatch(golden, got, exact, d.worst);
    EXPECT_FALSE(mismatch) << "greedy token " << *mismatch;
    if (device_name != "reference" || golden.logits_f32.empty() || c.run.cache != DType::F32) continue;
    const auto exact_d = conformance::compare(golden.logits_f32, got.logits, golden.n_vocab);
    EXPECT_TRUE((conformance::Gate{1e-3, 0, 1e-7}.passes(exact_d)))
        << "float activations: d " << exact_d.worst << " KL " << exact_d.kl;
  }
}

class Recorded : public testing::TestWithParam<std::filesystem::path> {};
TEST_P(Recorded, OnTheReferenceDevice) { check(GetParam(), "reference"); }
TEST_P(Recorded, OnTheCpu) { check(GetParam(), "cpu"); }

/// Goldens of the kit that tests/data lacks and whose model is stored (others are left to the quantiser).
std::vector<std::filesystem::path> rest_of_kit() {
  auto found = test::goldens_in(test::kit());
  std::erase_if(found, [](const std::filesystem::path& p) {
    return !conformance::model_of(p) || std::filesystem::exists(test::data(p.filename().string()));
  });
  return found;
}

TEST(Kit, IsHere) {
  if (!std::filesystem::exists(test::kit()))
    GTEST_SKIP() << test::kit() << " is missing: only the copies in tests/data are checked";
  EXPECT_GE(test::goldens_in(test::kit()).size(), 80u);
}

const auto by_name = [](const auto& c) { return test::case_name(c.param); };
INSTANTIATE_TEST_SUITE_P(Data, Recorded, testing::ValuesIn(test::goldens_in(test::data(""))), by_name);
INSTANTIATE_TEST_SUITE_P(Kit, Recorded, testing::ValuesIn(rest_of_kit()), by_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Recorded);

}  // namespace
}  // namespace mtmd
