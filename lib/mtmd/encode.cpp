#include "mtmd/encode.h"

#include <algorithm>

namespace mtmd {
namespace {

constexpr std::size_t kMostTogether = 8;  ///< inputs encoded at once

bool same_shape(const encoders::Input& a, const encoders::Input& b) {
  return a.frames.size() == b.frames.size() && a.frames[0].width == b.frames[0].width &&
         a.frames[0].height == b.frames[0].height;
}

bool same_shape(const encoders::AudioInput& a, const encoders::AudioInput& b) {
  return a.mel.frames == b.mel.frames && a.mel.bands == b.mel.bands;
}

/// Encodes the first of `wanted` and what can go along with it; returns how many those were.
template <class Input, class Encoder>
std::size_t encode_some(std::vector<float>& all, std::size_t width, std::span<const Chunk* const> wanted,
                        const std::vector<Input>& inputs, const Encoder& encoder, Workspace& ws) {
  std::vector<const Input*> batch;
  for (const Chunk* chunk : wanted) {
    if (batch.size() == kMostTogether || chunk->sound != wanted.front()->sound) break;
    const Input& input = inputs[static_cast<std::size_t>(chunk->input)];
    if (!batch.empty() && !same_shape(*batch.front(), input)) break;
    batch.push_back(&input);
  }
  ws.reset();
  const Tensor rows = encoder.encode(batch, ws);
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    all.insert(all.end(), rows.row(i), rows.row(i) + rows.cols);
    all.resize(all.size() + width - static_cast<std::size_t>(rows.cols));
  }
  return batch.size();
}

}  // namespace

int embedding_width(const Encoders& encoders) noexcept {
  return std::max(encoders.pictures != nullptr ? encoders.pictures->text_width() : 0,
                  encoders.sound != nullptr ? encoders.sound->text_width() : 0);
}

std::vector<float> encode_media(const Chunks& chunks, std::span<const Chunk* const> wanted, const Encoders& encoders,
                                Workspace& ws, const std::function<bool()>& stopped) {
  const auto width = static_cast<std::size_t>(embedding_width(encoders));
  std::vector<float> all;
  for (std::size_t i = 0; i < wanted.size() && !(stopped && stopped());) {
    const auto rest = wanted.subspan(i);
    i += rest.front()->sound ? encode_some(all, width, rest, chunks.sounds, *encoders.sound, ws)
                             : encode_some(all, width, rest, chunks.inputs, *encoders.pictures, ws);
  }
  return all;
}

}  // namespace mtmd
