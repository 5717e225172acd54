// Session end to end against recorded greedy answers: prompt -> chunks -> encoder -> decoder -> tokens, as users run
// it.
#include <gtest/gtest.h>

#include <algorithm>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/gguf/gguf.h"
#include "mtmd/media/image_file.h"
#include "mtmd/media/sha256.h"
#include "mtmd/session.h"

namespace mtmd {
namespace {

namespace fs = std::filesystem;
const fs::path kMedia = MTMD_TEST_DATA "/media";

Media load(const std::string& name, bool frame) {
  std::ifstream file(kMedia / "inputs" / name, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const auto view = std::as_bytes(std::span(bytes));
  return {media::decode_image(view, name, {.convention = media::Convention::reference}).image, media::sha256_hex(view),
          name, frame};
}

struct Recorded {
  std::string folder, golden;
  int n_ubatch;
};

class SessionAnswers : public testing::TestWithParam<Recorded> {};

TEST_P(SessionAnswers, AsRecorded) {
  const fs::path folder = kMedia / GetParam().folder;
  const gguf::File golden = gguf::File::open(folder / GetParam().golden);
  const auto& facts = golden.metadata();
  std::vector<Media> media;
  const bool frames = facts.get_or("golden.mergeable", false);
  for (const auto name : facts.require<std::vector<std::string_view>>("golden.media_list"))
    media.push_back(load(std::string(name), frames));
  const Prompt prompt = Prompt::marked(facts.require<std::string_view>("golden.prompt"), std::move(media));

  const auto model = Model::load({.model = folder / "model.gguf", .mmproj = folder / "mmproj.gguf"});
  Session session(model, {.n_ubatch = GetParam().n_ubatch, .kv_type = DType::F32});
  GenerateOptions options;
  options.max_tokens = 16;
  options.loop_guard = false;
  const Plan plan = session.plan(prompt, options);
  EXPECT_EQ(plan.n_text_tokens + plan.n_media_tokens, facts.require<std::int32_t>("golden.n_tokens"));
  EXPECT_EQ(plan.n_positions, facts.require<std::int32_t>("golden.n_past"));
  const Generated answer = session.generate(prompt, options);

  const auto want = facts.require<std::vector<std::int32_t>>("golden.greedy");
  const auto margin = facts.require<std::vector<float>>("golden.greedy_margin");
  std::size_t compared = 0;
  for (; compared < answer.tokens.size() && margin[compared] >= 0.2f; ++compared)
    EXPECT_EQ(answer.tokens[compared], want[compared]) << compared;
  // Either a near tie or the end of the answer stopped the comparison.
  const bool ended =
      compared == answer.tokens.size() &&
      (compared == want.size() || model->tokenizer().is_end_of_generation(want[compared]) || margin[compared] < 0.2f);
  EXPECT_TRUE(ended || margin[compared] < 0.2f);
}

std::vector<Recorded> recorded() {
  std::vector<Recorded> all;
  for (const auto& [folder, golden] : {std::pair{"qwen2vl_merger", "two"},
                                       {"qwen2vl_merger", "small"},
                                       {"qwen2vl_merger", "video"},
                                       {"qwen2vl_merger", "strip"},
                                       {"idefics3", "strip"},
                                       {"idefics3", "tall"},
                                       {"gemma3-f16", "photo"},
                                       {"mlp-anyres", "strip"},
                                       {"mlp-anyres", "tiny"}})
    for (const int n_ubatch : {512, 7}) all.push_back({folder, std::string(golden) + ".golden.gguf", n_ubatch});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Media, SessionAnswers, testing::ValuesIn(recorded()), [](const auto& each) {
  const Recorded& r = each.param;
  std::string name = r.folder + "_" + r.golden.substr(0, r.golden.find('.')) + "_" + std::to_string(r.n_ubatch);
  std::ranges::replace(name, '-', '_');
  return name;
});

}  // namespace
}  // namespace mtmd
