#include "bench/encoder_runner.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "bench/synthetic.h"
#include "engine/base/error.h"
#include "mtmd/media/sound_file.h"

namespace mtmd::bench {
namespace {

bool alike(const encoders::Input& a, const encoders::Input& b) {
  return a.nx == b.nx && a.ny == b.ny && a.frames.size() == b.frames.size() &&
         a.frames[0].width == b.frames[0].width && a.frames[0].height == b.frames[0].height;
}
bool alike(const encoders::AudioInput& a, const encoders::AudioInput& b) { return a.mel.frames == b.mel.frames; }

template <class Projector, class Input>
std::vector<float> encode_groups(const Projector& projector, const std::vector<Input>& inputs, Workspace& ws) {
  std::vector<float> all;
  for (std::size_t begin = 0; begin < inputs.size();) {
    std::vector<const Input*> group;
    while (begin < inputs.size() && (group.empty() || alike(*group[0], inputs[begin]))) group.push_back(&inputs[begin++]);
    ws.reset();
    const Tensor embeddings = projector.encode(group, ws);
    for (std::int64_t r = 0; r < embeddings.rows; ++r) all.insert(all.end(), embeddings.row(r), embeddings.row(r) + embeddings.cols);
  }
  return all;
}

template <class Projector, class Input>
std::int64_t count_tokens(const Projector& projector, const std::vector<Input>& inputs) {
  std::int64_t n = 0;
  for (const Input& input : inputs) n += projector.n_tokens(input);
  return n;
}

}  // namespace

std::vector<float> encode(const encoders::Projector& projector, const std::vector<encoders::Input>& inputs, Workspace& ws) {
  return encode_groups(projector, inputs, ws);
}
std::vector<float> encode(const encoders::AudioProjector& projector, const std::vector<encoders::AudioInput>& inputs, Workspace& ws) {
  return encode_groups(projector, inputs, ws);
}

std::string picture_name(Size size) { return fmt::format("{}x{}", size.width, size.height); }
std::string sound_name(std::int32_t seconds) { return fmt::format("{} s", seconds); }

double worst_cosine(std::span<const float> a, std::span<const float> b, std::int64_t n) {
  double worst = 1;
  const std::size_t width = n > 0 ? a.size() / static_cast<std::size_t>(n) : 0;
  for (std::size_t at = 0; width > 0 && at < a.size(); at += width) {
    double aa = 0, bb = 0, ab = 0;
    for (std::size_t i = at; i < at + width; ++i) {
      aa += double{a[i]} * a[i];
      bb += double{b[i]} * b[i];
      ab += double{a[i]} * b[i];
    }
    worst = std::min(worst, ab / std::sqrt(aa * bb));
  }
  return worst;
}

EncoderRunner::EncoderRunner(const gguf::File& file, const DeviceOptions& options, std::span<const Size> pictures,
                             std::span<const std::int32_t> seconds)
    : device_(make_device("cpu", options)), ws_(*device_) {
  if (!pictures.empty()) {
    if (!encoders::has_vision_encoder(file.metadata()))
      fail(ErrorCategory::usage, "bench --image: {} has no encoder of pictures", file.metadata().file());
    projector_ = encoders::load_projector(file, *device_);
  }
  if (!seconds.empty()) {
    if (!encoders::has_audio_encoder(file.metadata()))
      fail(ErrorCategory::usage, "bench --audio: {} has no encoder of sound", file.metadata().file());
    audio_projector_ = encoders::load_audio_projector(file, *device_);
  }
  for (const Size size : pictures) {
    const image::Image picture = made_picture(size.width, size.height);
    Test test{"encode " + picture_name(size), 0, projector_->preprocess(std::span(&picture, 1), {}).inputs, {}};
    test.tokens = count_tokens(*projector_, test.pictures);
    tests_.push_back(std::move(test));
  }
  for (const std::int32_t s : seconds) {
    const std::vector<float> samples = media::resample(made_sound(s, kRecordedRate), kRecordedRate, audio::kRate);
    Test test{"encode " + sound_name(s), 0, {}, audio_projector_->preprocess(samples).inputs};
    test.tokens = count_tokens(*audio_projector_, test.sounds);
    tests_.push_back(std::move(test));
  }
}

std::vector<float> EncoderRunner::run(const Test& test) {
  return test.pictures.empty() ? encode(*audio_projector_, test.sounds, ws_) : encode(*projector_, test.pictures, ws_);
}

}  // namespace mtmd::bench
