// Sound in prompts, models and sessions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "mtmd/encode.h"
#include "mtmd/media/sound_file.h"
#include "mtmd/session.h"

namespace mtmd {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// Windows of 10 samples of 3 tokens each, whose embedding is the window's first sample; `loses`: forgets the last.
class Ear final : public encoders::AudioProjector {
 public:
  explicit Ear(bool loses = false) : loses_(loses) {}
  std::string_view type() const noexcept override { return "ear"; }
  int text_width() const noexcept override { return 1; }
  encoders::AudioPreprocessed preprocess(std::span<const float> samples) const override {
    encoders::AudioPreprocessed p;
    p.layout.push_back({"<a>"});
    const auto n = std::ssize(samples);
    for (std::int64_t begin = 0; begin < n; begin += 10) {
      const std::int64_t end = std::min<std::int64_t>(n, begin + 10);
      if (loses_ && end == n) break;
      p.layout.push_back({"", static_cast<int>(p.inputs.size())});
      p.inputs.push_back({{1, 1, {samples[static_cast<std::size_t>(begin)]}}, begin, end});
    }
    p.layout.push_back({"</a>"});
    return p;
  }
  int n_tokens(const encoders::AudioInput&) const override { return 3; }
  Tensor encode(std::span<const encoders::AudioInput* const> inputs, Workspace& ws) const override {
    const Tensor y = ws.tensor(3 * std::ssize(inputs), 1);
    for (std::int64_t i = 0; i < y.rows; ++i) *y.row(i) = inputs[static_cast<std::size_t>(i / 3)]->mel.values[0];
    return y;
  }
  double max_window_seconds() const noexcept override { return 10.0 / audio::kRate; }

 private:
  bool loses_;
};

/// A picture of one token, whose embeddings are twice as wide.
class Eye final : public encoders::Projector {
 public:
  std::string_view type() const noexcept override { return "eye"; }
  int text_width() const noexcept override { return 2; }
  int count_tokens(image::Size, const encoders::ImageLimits&) const override { return 1; }
  encoders::Preprocessed preprocess(std::span<const image::Image>, const encoders::ImageLimits&) const override {
    encoders::Preprocessed p;
    p.inputs.push_back({{image::Planes{}}, 1, 1});
    p.layout = {{"", 0}};
    return p;
  }
  int n_tokens(const encoders::Input&) const override { return 1; }
  Tensor encode(std::span<const encoders::Input* const> inputs, Workspace& ws) const override {
    const Tensor y = ws.tensor(std::ssize(inputs), 2);
    std::fill_n(y.data, y.size(), 9.0f);
    return y;
  }
  encoders::PositionKind positions() const noexcept override { return encoders::PositionKind::sequential; }
};

Media recording(std::size_t n) {
  Media m;
  m.id = m.name = "clip";
  m.sound.emplace(n);
  for (std::size_t i = 0; i < n; ++i) (*m.sound)[i] = static_cast<float>(i);
  return m;
}

const Tokenizer& tokenizer() {
  static const auto file = gguf::File::open(MTMD_TEST_DATA "/media/qwen2vl_merger/model.gguf");
  static const auto loaded = Tokenizer::load(file.metadata());
  return *loaded;
}

Chunks chunks_of(const Prompt& prompt, const Encoders& encoders) {
  return build_chunks(prompt, tokenizer(), encoders, {.mrope = true, .add_special = false, .limits = {}});
}

TEST(SoundInPrompts, WindowsAreChunks) {
  const Ear ear;
  Prompt prompt;
  prompt.text("Hear").sound(recording(25)).text("so?");
  const Chunks chunks = chunks_of(prompt, {nullptr, &ear});
  ASSERT_EQ(chunks.list.size(), 5u);  // text and marker, three windows, marker and text
  EXPECT_FALSE(chunks.list[0].is_media());
  int at = chunks.list[0].n_tokens;
  for (int i = 1; i <= 3; ++i) {
    const Chunk& c = chunks.list[static_cast<std::size_t>(i)];
    EXPECT_TRUE(c.is_media() && c.sound);
    EXPECT_EQ(c.input, i - 1);
    EXPECT_EQ(c.n_tokens, 3);
    EXPECT_EQ(c.n_pos, 3);
    const auto positions = c.positions();
    for (int k = 0; k < 3; ++k, ++at) {
      const Position& p = positions[static_cast<std::size_t>(k)];
      EXPECT_TRUE(p.t == at && p.y == at && p.x == at) << i << " " << k;
    }
  }
  EXPECT_EQ(chunks.list[4].pos_start, at);
  EXPECT_EQ(chunks.n_media_tokens, 9);
  ASSERT_EQ(chunks.media.size(), 1u);
  EXPECT_EQ(chunks.media[0].tiles, 3);
  EXPECT_DOUBLE_EQ(chunks.media[0].seconds, 25.0 / audio::kRate);
  EXPECT_DOUBLE_EQ(chunks.media[0].covered_seconds, chunks.media[0].seconds);
}

TEST(SoundInPrompts, LostSamplesAreNoticed) {
  const Ear ear(true);
  Prompt prompt;
  prompt.sound(recording(25));
  try {
    (void)chunks_of(prompt, {nullptr, &ear});
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("20 of 25 samples"));
  }
}

TEST(SoundInPrompts, WithoutAnEncoder) {
  const Eye eye;
  Prompt prompt;
  prompt.sound(recording(25));
  try {
    (void)chunks_of(prompt, &eye);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::usage);
    EXPECT_THAT(e.what(), HasSubstr("no audio encoder"));
  }
}

TEST(SoundInPrompts, PicturesAndSoundTogether) {
  const Ear ear;
  const Eye eye;
  Media picture;
  picture.image = {1, 1, {1, 2, 3}}, picture.id = "picture";
  Prompt prompt;
  prompt.sound(recording(15)).image(picture).sound(recording(5));
  const Chunks chunks = chunks_of(prompt, {&eye, &ear});
  EXPECT_EQ(chunks.inputs.size(), 1u);
  EXPECT_EQ(chunks.sounds.size(), 3u);
  const auto device = make_device("cpu");
  Workspace ws(*device);
  std::vector<const Chunk*> wanted;
  for (const Chunk& c : chunks.list)
    if (c.is_media()) wanted.push_back(&c);
  EXPECT_EQ(encode_media(chunks, wanted, {&eye, &ear}, ws),
            (std::vector<float>{0, 0, 0, 0, 0, 0, 10, 0, 10, 0, 10, 0, 9, 9, 0, 0, 0, 0, 0, 0}));
  EXPECT_TRUE(encode_media(chunks, wanted, {&eye, &ear}, ws, [] { return true; }).empty());
}

fs::path kit(const std::string& file) { return fs::path(MTMD_CONFORMANCE "/media") / file; }

std::shared_ptr<const Model> model_of(const std::string& folder, const std::string& mmproj) {
  return Model::load({.model = kit(folder + "/model.gguf"), .mmproj = kit(mmproj + "/mmproj.gguf")});
}

TEST(SoundInSessions, AnswersAsRecorded) {
  if (!fs::exists(kit("voxtral"))) GTEST_SKIP() << kit("voxtral") << " of the conformance kit is not there";
  const auto model = model_of("voxtral", "voxtral");
  EXPECT_EQ(model->projector(), nullptr);
  ASSERT_NE(model->audio_projector(), nullptr);
  const MappedFile file(kit("inputs/long_65s.wav"));
  Media m;
  m.id = m.name = "long_65s.wav";
  m.sound = media::decode_sound(file.bytes(), m.name, {.convention = media::Convention::reference}).samples;
  Prompt prompt;
  prompt.sound(std::move(m)).text("\nWrite it down.");
  Session session(model, {.kv_type = DType::F32});
  GenerateOptions options;
  options.max_tokens = 4, options.sampling.temperature = 0, options.loop_guard = false;
  const auto golden = gguf::File::open(kit("voxtral/long.golden.gguf"));
  auto wanted = golden.metadata().require<std::vector<std::int32_t>>("golden.greedy");
  wanted.resize(4);
  const Generated first = session.generate(prompt, options);
  EXPECT_EQ(first.tokens, wanted);
  EXPECT_EQ(first.n_prompt, 576);
  EXPECT_DOUBLE_EQ(first.media[0].covered_seconds, 65);
  const Generated again = session.generate(prompt, options);  // nothing is heard twice
  EXPECT_EQ(again.tokens, wanted);
  EXPECT_EQ(again.n_cached, 575);
  EXPECT_GT(session.plan(prompt, options).scratch_bytes, 0u);
}

TEST(SoundInModels, BothEncodersOfOneFile) {
  if (!fs::exists(kit("qwen2.5o"))) GTEST_SKIP() << kit("qwen2.5o") << " of the conformance kit is not there";
  const auto model = model_of("qwen2.5o", "qwen2.5o");
  ASSERT_NE(model->projector(), nullptr);
  ASSERT_NE(model->audio_projector(), nullptr);
  EXPECT_EQ(model->projector()->type(), "qwen2.5o");
  EXPECT_EQ(model->audio_projector()->type(), "qwen2.5o");
  EXPECT_FALSE(model->audio_presets().transcribe_prompt.empty());
}

TEST(SoundInModels, AnotherModelsEncoderIsRefused) {
  if (!fs::exists(kit("qwen3a"))) GTEST_SKIP() << kit("qwen3a") << " of the conformance kit is not there";
  try {
    (void)Model::load({.model = MTMD_MODELS "/line-reader.gguf", .mmproj = kit("voxtral/mmproj.gguf")});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::model);
    EXPECT_THAT(e.what(), HasSubstr("belongs to another model"));
  }
}

}  // namespace
}  // namespace mtmd
