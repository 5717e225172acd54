// Projectors that hear, on small files: windows, tokens, batches, damaged files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "encoders/audio/tiny_sound.h"
#include "encoders/trunk/conv1d.h"
#include "engine/base/error.h"
#include "engine/device/null_device.h"

namespace mtmd::encoders {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace testing;  // NOLINT: mtmd::encoders::testing

class SoundType : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Projectors, SoundType, ::testing::ValuesIn(TinySound::types()));

template <class Body>
std::string error_of(ErrorCategory category, Body body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), category);
    return e.what();
  }
  return "";
}

std::string message_of(const TinySound& mmproj) {
  return error_of(ErrorCategory::model, [&] { LoadedSound loaded(mmproj); });
}

void expect_finite(const TinySound& mmproj, const std::string& what) {
  const LoadedSound loaded(mmproj);
  const auto pre = loaded.projector->preprocess(noise(5000));
  for (const float v : loaded.encode(pre.inputs[0])) ASSERT_TRUE(std::isfinite(v)) << what;
}

TEST(Sound, TokensOfAWindow) {
  const auto tokens = [](const char* type) {
    const LoadedSound loaded{TinySound(type)};
    return loaded.projector->n_tokens(loaded.projector->preprocess(noise(16000)).inputs[0]);
  };
  EXPECT_EQ(tokens("ultravox"), 187);  // a group that is not whole is left out
  EXPECT_EQ(tokens("qwen2a"), 750);
  EXPECT_EQ(tokens("voxtral"), 187);
  EXPECT_EQ(tokens("glma"), 377);  // with the rows that begin and end it
  EXPECT_EQ(tokens("musicflamingo"), 750);
  EXPECT_EQ(tokens("meralion"), 215);  // 1500 / 7, rounded up
  EXPECT_EQ(tokens("qwen3a"), 26);     // 101 frames: two blocks of 13
  EXPECT_EQ(tokens("qwen2.5o"), 750);
}

TEST_P(SoundType, WindowsFollowEachOtherToTheEnd) {
  const LoadedSound loaded{TinySound(GetParam())};
  for (const double seconds : {0.01, 29.9, 30.0, 30.1, 61.0, 180.0}) {
    const auto n = static_cast<std::int64_t>(seconds * audio::kRate);
    const auto pre = loaded.projector->preprocess(noise(static_cast<std::size_t>(n)));
    std::int64_t at = 0;
    for (const AudioInput& input : pre.inputs) {
      EXPECT_EQ(input.begin, at) << seconds;
      EXPECT_LE(static_cast<double>(input.end - input.begin), loaded.projector->max_window_seconds() * audio::kRate);
      EXPECT_GE(std::int64_t{input.mel.frames} * 160, input.end - input.begin) << seconds;
      at = input.end;
    }
    EXPECT_EQ(at, n) << seconds;
    int placed = 0;
    for (const Piece& piece : pre.layout) {
      if (piece.input < 0) continue;
      EXPECT_EQ(piece.input, placed++);
    }
    EXPECT_EQ(placed, std::ssize(pre.inputs));
  }
}

/// A change in the very last sample changes the embeddings of the window that it lies in, whatever the length.
TEST_P(SoundType, NoSampleOfTheTailIsLost) {
  const LoadedSound loaded{TinySound(GetParam())};
  for (const double seconds : {29.9, 30.0, 30.1, 61.0, 180.0}) {
    std::vector<float> sound(static_cast<std::size_t>(seconds * audio::kRate), 0.0f), click = sound;
    click.back() = 1.0f;
    const auto a = loaded.projector->preprocess(sound), b = loaded.projector->preprocess(click);
    ASSERT_EQ(a.inputs.size(), b.inputs.size());
    std::size_t last = a.inputs.size() - 1;
    while (a.inputs[last].begin == a.inputs[last].end) --last;  // nothing but the silence behind the recording
    ASSERT_EQ(a.inputs[last].end, std::ssize(sound));
    EXPECT_NE(loaded.encode(a.inputs[last]), loaded.encode(b.inputs[last])) << seconds;
  }
}

TEST_P(SoundType, ABatchIsItsWindows) {
  const LoadedSound loaded{TinySound(GetParam())};
  std::vector<AudioInput> inputs;
  for (std::uint32_t seed = 1; seed <= 3; ++seed)
    inputs.push_back(loaded.projector->preprocess(noise(20000, seed)).inputs[0]);
  std::vector<const AudioInput*> all;
  std::vector<float> one_by_one;
  for (const AudioInput& input : inputs) {
    all.push_back(&input);
    const auto own = loaded.encode(input);
    one_by_one.insert(one_by_one.end(), own.begin(), own.end());
  }
  const auto together = loaded.encode(all);
  ASSERT_EQ(together.size(), one_by_one.size());
  for (std::size_t i = 0; i < together.size(); ++i) ASSERT_NEAR(together[i], one_by_one[i], 1e-4) << i;
}

/// Scratch memory does not grow with the batch, only the embeddings do.
TEST_P(SoundType, BatchesOfAnySizeNeedBoundedMemory) {
  const auto bytes = TinySound(GetParam()).bytes();
  const auto file = gguf::File::from_memory(bytes, "tiny.gguf");
  const auto device = make_null_device();
  const auto projector = load_audio_projector(file, *device);
  const AudioInput input = projector->preprocess(noise(100000)).inputs[0];
  const auto scratch = [&](std::size_t n) {
    const std::vector<const AudioInput*> all(n, &input);
    Workspace ws(*device);
    const Tensor y = projector->encode(all, ws);
    return static_cast<double>(ws.peak_bytes()) - 4.0 * static_cast<double>(y.size());
  };
  const double most = scratch(1000);
  EXPECT_LE(scratch(3000), 1.1 * most);
  EXPECT_LT(most, 2e9);
}

TEST_P(SoundType, FastDeviceAgreesWithPlainLoops) {
  const TinySound mmproj(GetParam());
  const LoadedSound fast(mmproj), plain(mmproj, "reference");
  const auto input = fast.projector->preprocess(noise(12345)).inputs[0];
  const auto a = fast.encode(input), b = plain.encode(input);
  ASSERT_EQ(a.size(), b.size());
  double error = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) error += std::pow(a[i] - b[i], 2), size += std::pow(b[i], 2);
  EXPECT_LT(std::sqrt(error / size), 2e-4);
}

TEST(Sound, OddRecordingsAreErrors) {
  const LoadedSound loaded{TinySound("qwen2a")};
  const auto message = [&](std::vector<float> samples) {
    return error_of(ErrorCategory::input, [&] { (void)loaded.projector->preprocess(samples); });
  };
  EXPECT_THAT(message({}), HasSubstr("without samples"));
  EXPECT_THAT(message({0, 0, std::numeric_limits<float>::quiet_NaN()}), HasSubstr("sample 2"));
  EXPECT_THAT(message({std::numeric_limits<float>::infinity()}), HasSubstr("inf"));
  EXPECT_EQ(message({0.5f}), "");
}

TEST(Sound, InputsOfOtherShapeAreRefused) {
  const LoadedSound loaded{TinySound("qwen3a")};
  const auto a = loaded.projector->preprocess(noise(8000)).inputs[0];
  auto b = loaded.projector->preprocess(noise(48000)).inputs[0];
  const std::array<const AudioInput*, 2> both = {&a, &b};
  EXPECT_THAT(error_of(ErrorCategory::internal, [&] { (void)loaded.encode(both); }), HasSubstr("differ in shape"));
  b.mel.bands = 3, b.mel.values.resize(static_cast<std::size_t>(3 * b.mel.frames));
  EXPECT_THAT(error_of(ErrorCategory::internal, [&] { (void)loaded.encode(b); }), HasSubstr("3 bands"));
}

TEST(Sound, TheFileSaysWhatItHolds) {
  TinySound deaf("qwen2a");
  deaf.writer().set("clip.has_audio_encoder", false);
  EXPECT_THAT(message_of(deaf), AllOf(HasSubstr("tiny.gguf"), HasSubstr("cannot hear")));
  TinySound unknown("qwen2a");
  unknown.writer().set("clip.projector_type", "qwen9a");
  EXPECT_THAT(message_of(unknown), AllOf(HasSubstr("'qwen9a'"), HasSubstr("ultravox")));
  TinySound named("qwen2a");  // the key of files with two types wins
  named.writer().set("clip.projector_type", "mlp");
  named.writer().set("clip.audio.projector_type", "qwen2a");
  EXPECT_EQ(message_of(named), "");
  TinySound own_prompt("voxtral");
  own_prompt.writer().set("mtmd.transcribe_prompt", "Write.");
  EXPECT_EQ(LoadedSound(own_prompt).projector->presets().transcribe_prompt, "Write.");
}

TEST_P(SoundType, IntegerKeysAreChecked) {
  const std::vector<std::string> keys = TinySound(GetParam()).integer_keys();
  for (const std::string& key : keys) {
    for (const std::int32_t value : {std::numeric_limits<std::int32_t>::min(), -1, 0, 1 << 30}) {
      TinySound mmproj(GetParam());
      mmproj.writer().set(key, value);
      EXPECT_THAT(message_of(mmproj), AllOf(HasSubstr("tiny.gguf"), HasSubstr(key), HasSubstr(std::to_string(value))));
    }
  }
}

TEST_P(SoundType, MissingTensorsAreNamed) {
  const std::vector<std::string> tensors = TinySound(GetParam()).tensors();
  for (const std::string& tensor : tensors) {
    const TinySound mmproj(GetParam(), {.missing = tensor});
    const std::string message = message_of(mmproj);
    if (message.empty()) {
      EXPECT_TRUE(tensor.ends_with(".bias") || tensor == "a.post_ln.weight") << tensor << " may be missing";
      expect_finite(mmproj, tensor);
    } else {
      EXPECT_THAT(message, AllOf(HasSubstr("tiny.gguf"), HasSubstr(tensor)));
    }
  }
}

TEST_P(SoundType, TensorsOfAnotherShapeAreErrors) {
  int n_refused = 0;
  const std::vector<std::string> tensors = TinySound(GetParam()).tensors();
  for (const std::string& tensor : tensors) {
    const TinySound mmproj(GetParam(), {.enlarged = tensor});
    const std::string message = message_of(mmproj);
    n_refused += !message.empty();
    if (message.empty()) {
      expect_finite(mmproj, tensor);  // positions nobody needs, or a width that the file may choose
    } else {
      EXPECT_THAT(message, HasSubstr("tiny.gguf"));
    }
  }
  EXPECT_GE(n_refused, static_cast<int>(tensors.size()) * 3 / 4);
}

TEST(Conv1d, IsTheDefinition) {
  TinySound mmproj("qwen2a");
  const auto bytes = mmproj.bytes();
  const auto file = gguf::File::from_memory(bytes, "tiny.gguf");
  const auto device = make_device("cpu");
  gguf::Weights weights(file);
  const Conv1d conv(weights, *device, "a.conv1d.2", 16, 16, 2);
  const Vector kernel = weights.values("a.conv1d.2.weight", {16, 16, 3}), bias = weights.vector("a.conv1d.2.bias", 16);
  Workspace ws(*device);
  const Tensor x = ws.tensor(7, 16), y = ws.tensor(conv.length(7), 16);
  ASSERT_EQ(y.rows, 4);
  const auto values = noise(7 * 16);
  std::copy(values.begin(), values.end(), x.data);
  conv.run(ws, y, x, Activation::none);
  for (std::int64_t t = 0; t < y.rows; ++t) {
    for (std::int64_t o = 0; o < 16; ++o) {
      double sum = bias[static_cast<std::size_t>(o)];
      for (std::int64_t i = 0; i < 16; ++i)
        for (std::int64_t k = 0; k < 3; ++k)
          if (const std::int64_t at = 2 * t + k - 1; at >= 0 && at < 7)
            sum += static_cast<double>(x.row(at)[i]) * kernel[static_cast<std::size_t>((o * 16 + i) * 3 + k)];
      EXPECT_NEAR(y.row(t)[o], sum, 3e-3) << t << " " << o;  // inputs and kernel are rounded to f16
    }
  }
}

}  // namespace
}  // namespace mtmd::encoders
