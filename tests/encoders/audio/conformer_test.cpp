// Conformers: their attention and convolutions against the definition, their embeddings against the recorded ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "encoders/projector/audio_projector.h"
#include "encoders/trunk/depthwise.h"
#include "encoders/trunk/relative.h"
#include "engine/base/error.h"
#include "engine/gguf/gguf.h"
#include "engine/gguf/writer.h"

namespace mtmd::encoders {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::vector<float> noise(std::size_t n, std::uint32_t seed) {
  std::vector<float> v(n);
  for (float& x : v) {
    seed = seed * 1664525 + 1013904223;
    x = static_cast<float>(static_cast<std::int32_t>(seed)) / 2147483648.0f;
  }
  return v;
}

Tensor noise(Workspace& ws, std::int64_t rows, std::int64_t cols, std::uint32_t seed) {
  const Tensor x = ws.tensor(rows, cols);
  const auto values = noise(static_cast<std::size_t>(rows * cols), seed);
  std::copy(values.begin(), values.end(), x.data);
  return x;
}

struct Qkv {
  Tensor q, k, v, y;
  Qkv(Workspace& ws, std::int64_t rows, std::int64_t cols)
      : q(noise(ws, rows, cols, 1)),
        k(noise(ws, rows, cols, 2)),
        v(noise(ws, rows, cols, 3)),
        y(ws.tensor(rows, cols)) {}
};

/// score(i, j, head) of what `ranges` lets i see; the whole in double.
template <class Score>
void expect_attention(const Qkv& t, const RelativeHeads& heads, std::span<const KeyRange> ranges, Score score) {
  const std::int64_t d = heads.head_dim;
  for (std::int64_t i = 0; i < t.q.rows; ++i) {
    for (std::int64_t head = 0; head < heads.n_heads; ++head) {
      std::vector<double> sum(static_cast<std::size_t>(d));
      double total = 0;
      const KeyRange range = ranges[static_cast<std::size_t>(i)];
      for (std::int64_t j = range.begin; j < range.end; ++j) {
        double s = heads.scale * score(i, j, head);
        if (heads.softcap > 0) s = heads.softcap * std::tanh(s / heads.softcap);
        total += s = std::exp(s);
        for (std::int64_t c = 0; c < d; ++c) sum[static_cast<std::size_t>(c)] += s * double{t.v.row(j)[head * d + c]};
      }
      for (std::int64_t c = 0; c < d; ++c)
        ASSERT_NEAR(t.y.row(i)[head * d + c], sum[static_cast<std::size_t>(c)] / total, 2e-5) << i << " " << head;
    }
  }
}

TEST(RelativeAttention, OfBlocksWithOneTableForAllHeads) {
  constexpr int kPeriod = 5, kRows = 13, kDim = 4;
  const RelativeHeads heads{2, kDim, 0.5f};
  const auto device = make_device("cpu");
  Workspace ws(*device);
  const Qkv t(ws, kRows, 2 * kDim);
  const std::vector<float> line = noise((2 * kPeriod - 1) * kDim, 7);
  std::vector<KeyRange> ranges;
  for (int i = 0; i < kRows; ++i)
    ranges.push_back({i / kPeriod * kPeriod, std::min(kRows, (i / kPeriod + 1) * kPeriod)});
  NearDistances(*device, line, kPeriod, heads).attend(ws, t.y, t.q, t.k, t.v, ranges);
  expect_attention(t, heads, ranges, [&](std::int64_t i, std::int64_t j, std::int64_t head) {
    double s = 0;
    for (int c = 0; c < kDim; ++c)
      s += double{t.q.row(i)[head * kDim + c]} *
           (double{t.k.row(j)[head * kDim + c]} + line[static_cast<std::size_t>((kPeriod - 1 - (i - j)) * kDim + c)]);
    return s;
  });
}

TEST(RelativeAttention, OfTheRowsBeforeWithATablePerHead) {
  constexpr int kPeriod = 4, kRows = 11, kDim = 3, kLine = 2 * kPeriod - 1;
  const RelativeHeads heads{2, kDim, 1.0f, 2.0f};
  const auto device = make_device("cpu");
  Workspace ws(*device);
  const Qkv t(ws, kRows, 2 * kDim);
  const std::vector<float> table = noise(2 * kPeriod * kDim, 7);  // [head][distance]
  const auto at = [&](std::int64_t head, std::int64_t distance, int c) {
    return table[static_cast<std::size_t>((head * kPeriod + distance) * kDim + c)];
  };
  std::vector<float> lines;
  for (int head = 0; head < 2; ++head)
    for (int r = 0; r < kLine; ++r)
      for (int c = 0; c < kDim; ++c) lines.push_back(at(head, (2 * kPeriod - 1 - r) % kPeriod, c));
  std::vector<KeyRange> ranges;
  for (int i = 0; i < kRows; ++i) ranges.push_back({std::max(0, i + 1 - kPeriod), i + 1});
  NearDistances(*device, lines, kPeriod, heads).attend(ws, t.y, t.q, t.k, t.v, ranges);
  expect_attention(t, heads, ranges, [&](std::int64_t i, std::int64_t j, std::int64_t head) {
    double s = 0;
    for (int c = 0; c < kDim; ++c)
      s += double{t.q.row(i)[head * kDim + c]} * (double{t.k.row(j)[head * kDim + c]} + at(head, i - j, c));
    return s;
  });
}

TEST(RelativeAttention, OfSinusoids) {
  constexpr int kDim = 4, kRows = 40, kFeatures = SinusoidDistances::kFeatures;
  const RelativeHeads heads{2, kDim, 0.5f};
  const std::vector<float> u = noise(2 * kDim, 4), v = noise(2 * kDim, 5), map = noise(2 * kDim * kFeatures, 6);
  gguf::Writer writer;
  writer.set("general.architecture", "clip");
  writer.add_tensor("b.pos_bias_u", DType::F32, {2, kDim}, std::as_bytes(std::span(u)));
  writer.add_tensor("b.pos_bias_v", DType::F32, {2, kDim}, std::as_bytes(std::span(v)));
  writer.add_tensor("b.linear_pos.weight", DType::F32, {2 * kDim, kFeatures}, std::as_bytes(std::span(map)));
  const std::vector<std::byte> bytes = writer.to_memory();
  const gguf::File file = gguf::File::from_memory(bytes, "relative.gguf");
  gguf::Weights weights(file);
  const auto device = make_device("cpu");
  Workspace ws(*device);
  const Qkv t(ws, kRows, 2 * kDim);
  SinusoidDistances(weights, *device, "b.", heads).attend(ws, t.y, t.q, t.k, t.v);
  const std::vector<KeyRange> ranges(kRows, {0, kRows});
  expect_attention(t, heads, ranges, [&](std::int64_t i, std::int64_t j, std::int64_t head) {
    double s = 0;
    for (int c = 0; c < kDim; ++c) {
      const auto row = static_cast<std::size_t>(head * kDim + c);
      double distance = 0;
      for (int f = 0; f < kFeatures; ++f) {
        const double angle = static_cast<double>(i - j) * std::pow(10000.0, -(f / 2 * 2) / double{kFeatures});
        distance += double{map[row * kFeatures + static_cast<std::size_t>(f)]} *
                    (f % 2 == 0 ? std::sin(angle) : std::cos(angle));
      }
      const double q = t.q.row(i)[row];
      s += (q + u[row]) * double{t.k.row(j)[row]} + (q + v[row]) * distance;
    }
    return s;
  });
}

TEST(DepthwiseConvolution, EqualsTheSumOverItsKernel) {
  constexpr int kRows = 6, kColumns = 5, kChannels = 3;
  const std::vector<float> kernel = noise(kChannels * 9, 1), bias = noise(kChannels, 2);
  const auto device = make_device("cpu");
  Workspace ws(*device);
  const Tensor x = noise(ws, kRows * kColumns, kChannels, 3), y = ws.tensor(3 * 3, kChannels);
  const Depthwise conv(
      kernel, bias, {.channels = kChannels, .kernel_h = 3, .kernel_w = 3, .stride = 2, .before_h = 1, .before_w = 1});
  conv.run(y, 3, x, kRows, kColumns);
  for (int i = 0; i < 9 * kChannels; ++i) {
    const int c = i % kChannels, row = i / kChannels / 3, column = i / kChannels % 3;
    double want = bias[static_cast<std::size_t>(c)];
    for (int k = 0; k < 9; ++k) {
      const int at_y = 2 * row + k / 3 - 1, at_x = 2 * column + k % 3 - 1;
      if (at_y >= 0 && at_x >= 0 && at_y < kRows && at_x < kColumns)
        want += double{kernel[static_cast<std::size_t>(c * 9 + k)]} * x.row(at_y * kColumns + at_x)[c];
    }
    EXPECT_NEAR(y.row(row * 3 + column)[c], want, 1e-6);
  }
}

const fs::path kMedia = fs::path(MTMD_CONFORMANCE) / "media";

std::vector<float> floats(const gguf::File& file, const std::string& name) {
  const gguf::TensorInfo* t = file.find(name);
  if (t == nullptr) throw std::runtime_error("no tensor " + name);
  std::vector<float> values(static_cast<std::size_t>(t->n_values()));
  std::memcpy(values.data(), t->data.data(), t->data.size());
  return values;
}

/// An input of 16 bits, one channel, 16 kHz, with a header of 44 bytes.
std::vector<float> sound_of(const char* name) {
  std::ifstream in(kMedia / "inputs" / name, std::ios::binary);
  const std::string all((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  std::vector<float> samples;
  for (std::size_t i = 44; i + 1 < all.size(); i += 2) {
    std::int16_t value = 0;
    std::memcpy(&value, all.data() + i, 2);
    samples.push_back(static_cast<float>(value) / 32768.0f);
  }
  return samples;
}
std::vector<float> speech() { return floats(gguf::File::open(kMedia / "decode.golden.gguf"), "pcm.speech.wav"); }

class Recorded : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const fs::path path = kMedia / GetParam() / "mmproj.gguf";
    if (!fs::exists(path)) GTEST_SKIP() << path << " of the conformance kit is not there";
    file_ = std::make_unique<gguf::File>(gguf::File::open(path));
    projector_ = load_audio_projector(*file_, *device_);
  }
  std::vector<float> encode(std::span<const AudioInput* const> inputs) const {
    Workspace ws(*device_);
    const Tensor y = projector_->encode(inputs, ws);
    EXPECT_EQ(y.rows, std::ssize(inputs) * projector_->n_tokens(*inputs.front()));
    return {y.data, y.data + y.size()};
  }
  std::vector<float> encode(std::span<const float> samples) const {
    const AudioPreprocessed sound = projector_->preprocess(samples);
    EXPECT_EQ(sound.inputs.size(), 1u);
    const AudioInput* input = sound.inputs.data();
    return encode(std::span(&input, 1));
  }
  void compare(const char* name, std::span<const float> samples) const {
    projector_->follow_reference();
    const fs::path path = kMedia / GetParam() / (std::string(name) + ".golden.gguf");
    if (!fs::exists(path)) return;
    const std::vector<float> got = encode(samples), want = floats(gguf::File::open(path), "embd.0");
    ASSERT_EQ(got.size(), want.size());
    const auto width = static_cast<std::size_t>(projector_->text_width());
    double error = 0, size = 0, turned = 0;
    for (std::size_t row = 0; row < want.size(); row += width) {
      double a = 0, b = 0, ab = 0;
      for (std::size_t i = row; i < row + width; ++i) {
        error += std::pow(got[i] - want[i], 2);
        a += double{got[i]} * got[i], b += double{want[i]} * want[i], ab += double{got[i]} * want[i];
      }
      size += b, turned = std::max(turned, 1 - ab / std::sqrt(a * b));
    }
    std::printf("%-16s %-8s L2 %.1e  1-cos %.1e\n", GetParam(), name, std::sqrt(error / size), turned);
    EXPECT_LE(std::sqrt(error / size), 2e-3);
    EXPECT_LE(turned, 1e-5);
  }

  std::unique_ptr<Device> device_ = make_device("cpu");
  std::unique_ptr<gguf::File> file_;
  std::unique_ptr<AudioProjector> projector_;
};

TEST_P(Recorded, Embeddings) {
  compare("short", sound_of("short_16k.wav"));
  compare("tone", sound_of("tone_3s.wav"));
  compare("speech", speech());
}

TEST_P(Recorded, ABatchIsItsInputs) {
  std::vector<float> one = sound_of("short_16k.wav"), other(one.rbegin(), one.rend());
  const AudioPreprocessed a = projector_->preprocess(one), b = projector_->preprocess(other);
  const std::vector<const AudioInput*> both{a.inputs.data(), b.inputs.data()};
  const std::vector<float> batch = encode(both);
  std::vector<float> apart = encode(one), second = encode(other);
  apart.insert(apart.end(), second.begin(), second.end());
  ASSERT_EQ(batch.size(), apart.size());
  for (std::size_t i = 0; i < batch.size(); ++i) ASSERT_NEAR(batch[i], apart[i], 1e-4) << i;
}

TEST_P(Recorded, AnyLengthHasTokens) {
  for (const std::size_t n : {1u, 159u, 160u, 161u, 321u, 480001u}) {
    const AudioPreprocessed sound = projector_->preprocess(std::vector<float>(n, 0.25f));
    for (const AudioInput& input : sound.inputs) {
      ASSERT_GE(projector_->n_tokens(input), 1) << n;
      if (input.mel.frames > 1000) continue;
      const AudioInput* pointer = &input;
      for (const float v : encode(std::span(&pointer, 1))) ASSERT_TRUE(std::isfinite(v)) << n;
    }
    EXPECT_EQ(sound.inputs.back().end, static_cast<std::int64_t>(n));
  }
}

/// A change in the very last sample is seen by the encoder, whatever the length; windows cover the recording.
TEST_P(Recorded, NoSampleOfTheTailIsLost) {
  for (const double seconds : {29.9, 30.0, 30.1, 61.0, 180.0}) {
    std::vector<float> sound(static_cast<std::size_t>(seconds * audio::kRate));
    for (std::size_t i = 0; i < sound.size(); ++i) sound[i] = 0.1f * std::sin(0.05f * static_cast<float>(i % 9999));
    std::vector<float> click = sound;
    click.back() = 1.0f;
    const AudioPreprocessed a = projector_->preprocess(sound), b = projector_->preprocess(click);
    ASSERT_EQ(a.inputs.size(), b.inputs.size());
    std::int64_t covered = 0;
    for (const AudioInput& input : a.inputs) {
      EXPECT_EQ(input.begin, covered) << seconds;
      covered = input.end;
    }
    EXPECT_EQ(covered, std::ssize(sound)) << seconds;
    EXPECT_NE(a.inputs.back().mel.values, b.inputs.back().mel.values) << seconds;
    if (seconds > 60) continue;
    const AudioInput *before = &a.inputs.back(), *after = &b.inputs.back();
    EXPECT_NE(encode(std::span(&before, 1)), encode(std::span(&after, 1))) << seconds;
  }
}

/// The file again, as `change` leaves the shape (outermost first) of a tensor, zeros behind the values; an empty shape
/// leaves it out. `key` gets another number.
std::vector<std::byte> changed(const gguf::File& file, std::string_view tensor, std::vector<std::int64_t> shape,
                               std::string_view key = {}, std::int32_t number = 0) {
  gguf::Writer writer;
  for (const gguf::Metadata::Entry& e : file.metadata().entries()) {
    if (e.key == key) {
      writer.set(std::string(e.key), number);
    } else {
      writer.set(std::string(e.key), e.value);
    }
  }
  std::vector<std::byte> longer;
  for (const gguf::TensorInfo& t : file.tensors()) {
    if (t.name != tensor) {
      writer.add_tensor(std::string(t.name), t.type, t.shape, t.data);
    } else if (!shape.empty()) {
      std::size_t n = sizeof(float);
      for (const std::int64_t d : shape) n *= static_cast<std::size_t>(d);
      longer.assign(t.data.begin(), t.data.end());
      longer.resize(n);
      writer.add_tensor(std::string(t.name), t.type, shape, longer);
    }
  }
  return writer.to_memory();
}

class Damaged : public Recorded {
 protected:
  /// What loading and encoding says; nothing when both work.
  std::string message_of(const std::vector<std::byte>& bytes) const {
    const gguf::File file = gguf::File::from_memory(bytes, "damaged.gguf");
    try {
      const auto projector = load_audio_projector(file, *device_);
      const AudioPreprocessed sound = projector->preprocess(std::vector<float>(2000, 0.25f));
      const AudioInput* input = sound.inputs.data();
      Workspace ws(*device_);
      projector->encode(std::span(&input, 1), ws);
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), ErrorCategory::model) << e.what();
      EXPECT_THAT(e.what(), HasSubstr("damaged.gguf"));
      return e.what();
    }
    return "";
  }
  /// Tensors of the files that these encoders have no use for.
  bool unused(std::string_view tensor) const {
    return tensor == "a.position_embd.weight" ||
           (std::string_view(GetParam()) == "gemma4ua" && tensor.starts_with("a.blk."));
  }
};

TEST_P(Damaged, EveryTensorIsNeededInItsShape) {
  ASSERT_EQ(message_of(changed(*file_, "", {})), "");
  for (const gguf::TensorInfo& t : file_->tensors()) {
    if (unused(t.name) || t.name.find(".blk.1.") != std::string_view::npos) continue;
    const bool optional = t.name.ends_with(".bias") || t.name.ends_with("_min") || t.name.ends_with("_max");
    if (!optional) {
      EXPECT_THAT(message_of(changed(*file_, t.name, {})), HasSubstr(std::string(t.name)));
    }
    for (std::size_t dim = 0; dim < t.shape.size(); ++dim) {
      std::vector<std::int64_t> shape(t.shape.begin(), t.shape.end());
      ++shape[dim];
      // The width of the embeddings is the file's choice.
      if (t.name == "mm.a.input_projection.weight" && dim == 0) continue;
      const std::string message = message_of(changed(*file_, t.name, shape));
      EXPECT_NE(message, "") << t.name << " with one more in dimension " << dim;
    }
  }
}

TEST_P(Damaged, NumbersAreChecked) {
  for (const char* key :
       {"embedding_length", "block_count", "attention.head_count", "num_mel_bins", "chunk_size", "conv_kernel_size",
        "max_pos_emb", "projector.window_size", "projector.downsample_rate", "projector.head_count"}) {
    const std::string full = std::string("clip.audio.") + key;
    if (!file_->metadata().has(full)) continue;
    for (const std::int32_t number : {-1, 0, 1 << 30})
      EXPECT_THAT(message_of(changed(*file_, "", {}, full, number)), AllOf(HasSubstr(full), HasSubstr("expected")));
    // Within reason, but not what the tensors are: an error or a result, never a crash.
    for (const std::int32_t number : {1, 2, 3, 5, 7, 61}) message_of(changed(*file_, "", {}, full, number));
  }
}

const auto kTypes = ::testing::Values("gemma4ua", "gemma4a", "lfm2a", "granite_speech");
INSTANTIATE_TEST_SUITE_P(Types, Damaged, kTypes, [](const auto& type) { return type.param; });
INSTANTIATE_TEST_SUITE_P(Types, Recorded, kTypes, [](const auto& type) { return type.param; });

}  // namespace
}  // namespace mtmd::encoders
