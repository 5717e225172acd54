// Text and media in order -> the chunks a decoder is fed with.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "encoders/image/image.h"
#include "encoders/projector/audio_projector.h"
#include "encoders/projector/projector.h"
#include "engine/device/rope_table.h"
#include "engine/tokenizer/tokenizer.h"

namespace mtmd {

/// Where a picture or a recording goes in a text.
inline constexpr std::string_view kMediaMarker = "<__media__>";
std::size_t count_media_markers(std::string_view text) noexcept;

struct Media {
  image::Image image;
  std::string id;      ///< SHA-256 of the file; two media with equal ids are the same
  std::string name;    ///< for messages
  bool frame = false;  ///< one frame of a video: neighbours may be merged where the projector does that
  /// A recording, mono at audio::kRate; then there is no picture.
  std::optional<std::vector<float>> sound = {};
};

/// Text and media in any order.
class Prompt {
 public:
  struct Part {
    std::string text;
    int media = -1;  ///< index into media(), or -1 for text
  };

  Prompt& text(std::string_view text);
  Prompt& image(Media media);
  Prompt& sound(Media media) { return image(std::move(media)); }
  /// `text` with one marker per medium; media without a marker go in front, in order. Throws Error(usage) when there
  /// are more markers than media.
  static Prompt marked(std::string_view text, std::vector<Media> media);

  std::span<const Part> parts() const noexcept { return parts_; }
  std::span<const Media> media() const noexcept { return media_; }

 private:
  std::vector<Part> parts_;
  std::vector<Media> media_;
};

/// One run of the prompt: text tokens, or the embeddings of one input of a medium.
struct Chunk {
  std::vector<Token> tokens;  ///< empty for media
  int media = -1;             ///< index into Prompt::media(), -1 for text
  int input = -1;             ///< index into Chunks::inputs, or into Chunks::sounds
  int n_tokens = 0, n_pos = 0, pos_start = 0;
  int nx = 0, ny = 1;  ///< grid of a media chunk; n_tokens x 1 without M-RoPE
  encoders::PositionKind kind = encoders::PositionKind::sequential;
  int picture = 0;          ///< media chunks before this one
  bool sound = false;       ///< a window of a recording
  bool non_causal = false;  ///< the tokens of this chunk see each other

  bool is_media() const noexcept { return input >= 0; }
  /// One position per token, absolute.
  std::vector<Position> positions() const;
};

struct UsedMedia {
  image::Size in, used;
  int tokens = 0, tiles = 0;  ///< tiles of a picture, windows of a recording
  bool downscaled = false;
  /// Of a recording: how long it is, and how much of it lies in windows that are encoded. Equal; build_chunks() checks.
  double seconds = 0, covered_seconds = 0;
};

struct Chunks {
  std::vector<encoders::Input> inputs;       ///< of pictures
  std::vector<encoders::AudioInput> sounds;  ///< of recordings
  std::vector<Chunk> list;
  std::vector<UsedMedia> media;  ///< one per medium of the prompt
  int n_tokens = 0, n_pos = 0, n_media_tokens = 0;
};

/// What a model can see and hear with; null: nothing.
struct Encoders {
  Encoders(const encoders::Projector* p = nullptr, const encoders::AudioProjector* s = nullptr)
      : pictures(p), sound(s) {}
  const encoders::Projector* pictures;
  const encoders::AudioProjector* sound;
};

struct ChunkOptions {
  bool mrope = false;       ///< the text model's positions have several axes
  bool add_special = true;  ///< BOS / EOS as the vocabulary asks
  encoders::ImageLimits limits;
};

/// Tokenises, preprocesses and lays out a prompt. Each text piece is tokenised alone with special tokens parsed;
/// neighbouring text becomes one chunk. Throws Error(usage) for media without an encoder.
Chunks build_chunks(const Prompt& prompt, const Tokenizer& tokenizer, const Encoders& encoders,
                    const ChunkOptions& options);

}  // namespace mtmd
