// Small mmproj files that hear, one per projector type, for tests without the conformance kit.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "encoders/projector/audio_projector.h"
#include "encoders/projector/tiny_writer.h"

namespace mtmd::encoders::testing {

inline constexpr int kTinyBands = 8;

class TinySound {
 public:
  static std::vector<std::string> types() {
    return {"ultravox", "qwen2a", "voxtral", "glma", "musicflamingo", "meralion", "qwen3a", "qwen2.5o"};
  }

  explicit TinySound(std::string_view type, TinyShape shape = {}) : w_(type, one_layer(shape)) {
    w_.writer().set("clip.has_vision_encoder", false);
    w_.writer().set("clip.has_audio_encoder", true);
    set("embedding_length", d()), set("block_count", w_.shape().n_layers);
    set("attention.head_count", w_.shape().n_heads), set("num_mel_bins", kTinyBands);
    w_.writer().set("clip.audio.attention.layer_norm_epsilon", 1e-5f);
    if (type == "qwen3a") {
      qwen3a();
    } else {
      whisper(type != "glma");
      bridge(type);
    }
  }

  gguf::Writer& writer() noexcept { return w_.writer(); }
  std::vector<std::byte> bytes() const { return w_.bytes(); }
  const std::vector<std::string>& tensors() const noexcept { return w_.tensors(); }
  const std::vector<std::string>& integer_keys() const noexcept { return keys_; }

 private:
  static TinyShape one_layer(TinyShape shape) {
    shape.n_layers = 1;
    return shape;
  }
  std::int32_t d() const noexcept { return w_.d(); }
  void set(const std::string& key, std::int32_t value) {
    keys_.push_back("clip.audio." + key);
    w_.writer().set(keys_.back(), value);
  }
  void layer() {
    const std::string b = "a.blk.0.";
    w_.norm(b + "ln1", d()), w_.norm(b + "ln2", d());
    w_.linear(b + "attn_q", d(), d()), w_.matrix(b + "attn_k", d(), d()), w_.linear(b + "attn_v", d(), d());
    w_.linear(b + "attn_out", d(), d());
    w_.linear(b + "ffn_up", w_.shape().n_ff, d()), w_.linear(b + "ffn_down", d(), w_.shape().n_ff);
  }
  void whisper(bool post_ln) {
    for (int i = 1; i <= 2; ++i) {
      const std::string name = "a.conv1d." + std::to_string(i);
      w_.tensor(name + ".weight", {d(), i == 1 ? kTinyBands : d(), 3}, 0.0f, 0.5f);
      w_.tensor(name + ".bias", {d(), 1}, 0.0f, 0.1f);
    }
    w_.tensor("a.position_embd.weight", {1500, d()}, 0.0f, 0.5f);
    layer();
    if (post_ln) w_.norm("a.post_ln", d());
  }
  void two(std::int64_t hidden, std::int64_t in) {
    w_.linear("mm.a.mlp.1", hidden, in), w_.linear("mm.a.mlp.2", w_.text(), hidden);
  }
  void bridge(std::string_view type) {
    const std::int32_t stack = type == "meralion" ? 7 : type == "ultravox" ? 8 : 4;  // 1500 is no multiple of 7 or 8
    if (type == "ultravox") {
      set("projector.stack_factor", stack);
      w_.rms("mm.a.norm_pre", stack * d()), w_.matrix("mm.a.mlp.1", 20, stack * d());
      w_.rms("mm.a.norm_mid", 10), w_.matrix("mm.a.mlp.2", w_.text(), 10);
    } else if (type == "voxtral") {
      set("projector.stack_factor", stack), two(10, stack * d());
    } else if (type == "glma") {
      set("projector.stack_factor", stack);
      w_.norm("mm.a.norm_pre", d()), two(10, stack * d());
      w_.tensor("v.boi", {1, w_.text()}, 0.0f, 1.0f), w_.tensor("v.eoi", {1, w_.text()}, 0.0f, 1.0f);
    } else if (type == "musicflamingo") {
      two(w_.text(), d());
    } else if (type == "meralion") {
      set("projector.stack_factor", stack);
      w_.norm("mm.a.norm_pre", stack * d()), w_.linear("mm.a.mlp.0", 10, stack * d());
      w_.linear("mm.a.mlp.1", 14, 10), w_.linear("mm.a.mlp.2", 14, 10), w_.linear("mm.a.mlp.3", w_.text(), 14);
    } else {
      w_.linear("mm.a.fc", w_.text(), d());
    }
  }
  void qwen3a() {
    constexpr int kChannels = 4;
    for (int i = 1; i <= 3; ++i) w_.conv("a.conv2d." + std::to_string(i), kChannels, i == 1 ? 1 : kChannels, 3);
    w_.matrix("a.conv_out", d(), kChannels);  // 8 bands become 1
    w_.tensor("a.position_embd.weight", {13, d()}, 0.0f, 0.5f);
    layer();
    w_.norm("a.post_ln", d()), two(10, d());
  }

  TinyWriter w_;
  std::vector<std::string> keys_;
};

/// A projector and the bytes it views.
struct LoadedSound {
  std::unique_ptr<Device> device;
  std::vector<std::byte> bytes;
  std::unique_ptr<gguf::File> file;
  std::unique_ptr<AudioProjector> projector;

  explicit LoadedSound(const TinySound& mmproj, std::string_view device_name = "cpu")
      : device(make_device(device_name)), bytes(mmproj.bytes()) {
    file = std::make_unique<gguf::File>(gguf::File::from_memory(bytes, "tiny.gguf"));
    projector = load_audio_projector(*file, *device);
  }

  std::vector<float> encode(std::span<const AudioInput* const> inputs) const {
    Workspace ws(*device);
    const Tensor y = projector->encode(inputs, ws);
    std::vector<float> values;
    for (std::int64_t i = 0; i < y.rows; ++i) values.insert(values.end(), y.row(i), y.row(i) + y.cols);
    return values;
  }
  std::vector<float> encode(const AudioInput& input) const {
    const AudioInput* one = &input;
    return encode(std::span(&one, 1));
  }
};

inline std::vector<float> noise(std::size_t n, std::uint32_t seed = 1) {
  std::vector<float> samples(n);
  for (float& v : samples) v = static_cast<float>((seed = seed * 1664525 + 1013904223) >> 8) / (1 << 24) - 0.5f;
  return samples;
}

}  // namespace mtmd::encoders::testing
