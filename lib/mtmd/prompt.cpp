#include "mtmd/prompt.h"

#include <algorithm>

#include "engine/base/error.h"

namespace mtmd {

std::size_t count_media_markers(std::string_view text) noexcept {
  std::size_t n = 0;
  for (auto at = text.find(kMediaMarker); at != text.npos; at = text.find(kMediaMarker, at + kMediaMarker.size())) ++n;
  return n;
}

Prompt& Prompt::text(std::string_view text) {
  if (!text.empty()) parts_.push_back({std::string(text), -1});
  return *this;
}

Prompt& Prompt::image(Media media) {
  parts_.push_back({"", static_cast<int>(media_.size())});
  media_.push_back(std::move(media));
  return *this;
}

Prompt Prompt::marked(std::string_view text, std::vector<Media> media) {
  const std::size_t markers = count_media_markers(text);
  if (markers > media.size())
    fail(ErrorCategory::usage, "the prompt has {} {} markers but {} media were given", markers, kMediaMarker,
         media.size());

  Prompt prompt;
  auto next = media.begin();
  for (; static_cast<std::size_t>(media.end() - next) > markers; ++next) prompt.image(std::move(*next));
  while (true) {
    const auto at = text.find(kMediaMarker);
    prompt.text(text.substr(0, at));
    if (at == text.npos) return prompt;
    prompt.image(std::move(*next++));
    text.remove_prefix(at + kMediaMarker.size());
  }
}

std::vector<Position> Chunk::positions() const {
  using encoders::PositionKind;
  std::vector<Position> result(static_cast<std::size_t>(n_tokens));
  for (int k = 0; k < n_tokens; ++k) {
    const int p = pos_start + k;
    // The fourth axis turns what interleaved sections leave over; the reference moves it along in sound, not in text.
    Position& at = result[static_cast<std::size_t>(k)] = {p, p, p, sound ? p : 0};
    if (kind == PositionKind::grid || kind == PositionKind::row) {
      at = {pos_start, pos_start + k / nx, pos_start + k % nx, 0};
    } else if (kind == PositionKind::reading) {
      const int columns = std::max(1, (n_tokens - 2) / std::max(1, ny));  // with the token that ends a row
      const bool edge = k == 0 || k + 1 == n_tokens;
      at = edge ? Position{p, p, p, p} : Position{p, (k - 1) % columns, (k - 1) / columns, picture};
    }
  }
  return result;
}

namespace {

class Builder {
 public:
  Builder(const Prompt& prompt, const Tokenizer& tokenizer, const Encoders& encoders, const ChunkOptions& options)
      : prompt_(prompt),
        tokenizer_(tokenizer),
        projector_(encoders.pictures),
        audio_projector_(encoders.sound),
        options_(options) {}

  Chunks build() {
    chunks_.media.resize(prompt_.media().size());
    if (options_.add_special && tokenizer_.adds_bos()) text_chunk().tokens.push_back(tokenizer_.bos());
    const auto parts = prompt_.parts();
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (parts[i].media < 0) {
        add_text(parts[i].text);
      } else if (prompt_.media()[static_cast<std::size_t>(parts[i].media)].sound) {
        add_sound(parts[i].media);
      } else {
        const std::size_t frames = frames_at(i);
        add_media(parts[i].media, frames);
        i += frames - 1;
      }
    }
    if (options_.add_special && tokenizer_.adds_eos()) text_chunk().tokens.push_back(tokenizer_.eos());
    place();
    return std::move(chunks_);
  }

 private:
  Chunk& text_chunk() {
    if (chunks_.list.empty() || chunks_.list.back().is_media()) chunks_.list.emplace_back();
    return chunks_.list.back();
  }

  /// Whether a text is one token of the vocabulary.
  bool is_token(std::string_view text) const {
    return tokenizer_.encode(text, {.add_special = false, .parse_special = true}).size() == 1;
  }

  void add_text(std::string_view text) {
    if (text.empty()) return;
    const auto tokens = tokenizer_.encode(text, {.add_special = false, .parse_special = true});
    auto& all = text_chunk().tokens;
    all.insert(all.end(), tokens.begin(), tokens.end());
  }

  /// How many of the parts from `i` on go through the encoder together: frames of one video, where the projector merges
  /// them.
  std::size_t frames_at(std::size_t i) const {
    const auto parts = prompt_.parts();
    const auto frame = [&](std::size_t k) {
      if (k >= parts.size() || parts[k].media < 0) return false;
      const Media& m = prompt_.media()[static_cast<std::size_t>(parts[k].media)];
      return m.frame && !m.sound;
    };
    if (!projector_ || !projector_->merges_frames() || !frame(i) || !frame(i + 1)) return 1;
    const auto size = [&](std::size_t k) {
      return prompt_.media()[static_cast<std::size_t>(parts[k].media)].image.size();
    };
    return size(i) == size(i + 1) ? 2 : 1;
  }

  void add_media(int first, std::size_t n) {
    const auto media = prompt_.media().subspan(static_cast<std::size_t>(first), n);
    if (!projector_)
      fail(ErrorCategory::usage,
           "{}: a picture was given but no vision encoder is loaded; give its mmproj file with --mmproj",
           media[0].name.empty() ? "prompt" : media[0].name);
    std::vector<image::Image> copies;  // only frames of a video are copied
    std::span<const image::Image> frames(&media[0].image, 1);
    if (n > 1) {
      for (const Media& m : media) copies.push_back(m.image);
      frames = copies;
    }
    encoders::Preprocessed pre = projector_->preprocess(frames, options_.limits);
    const int base = static_cast<int>(chunks_.inputs.size());
    UsedMedia& used = chunks_.media[static_cast<std::size_t>(first)];
    used = {media[0].image.size(), pre.used, 0, static_cast<int>(pre.inputs.size()), pre.downscaled};
    for (const encoders::Piece& piece : pre.layout) {
      if (piece.input < 0) {
        add_piece(piece);
        continue;
      }
      const encoders::Input& input = pre.inputs[static_cast<std::size_t>(piece.input)];
      Chunk chunk;
      chunk.media = first;
      chunk.input = base + piece.input;
      chunk.n_tokens = projector_->n_tokens(input);
      place_grid(chunk, input);
      chunk.non_causal = projector_->non_causal();
      used.tokens += chunk.n_tokens;
      chunks_.list.push_back(std::move(chunk));
    }
    std::move(pre.inputs.begin(), pre.inputs.end(), std::back_inserter(chunks_.inputs));
  }

  void add_piece(const encoders::Piece& piece) {
    add_text(piece.otherwise.empty() || is_token(piece.text) ? piece.text : piece.otherwise);
  }

  void add_sound(int index) {
    const Media& media = prompt_.media()[static_cast<std::size_t>(index)];
    if (!audio_projector_)
      fail(ErrorCategory::usage,
           "{}: a recording was given but no audio encoder is loaded; give the mmproj file of a model that hears with "
           "--mmproj",
           media.name.empty() ? "prompt" : media.name);
    encoders::AudioPreprocessed pre = audio_projector_->preprocess(*media.sound);
    const auto n_samples = static_cast<std::int64_t>(media.sound->size());
    std::int64_t covered = 0;
    for (const encoders::AudioInput& input : pre.inputs)
      if (input.begin == covered) covered = input.end;
    if (covered != n_samples)
      fail(ErrorCategory::internal, "{}: {} of {} samples lie in the encoder's windows", media.name, covered,
           n_samples);
    UsedMedia& used = chunks_.media[static_cast<std::size_t>(index)];
    used.tiles = static_cast<int>(pre.inputs.size());
    used.seconds = static_cast<double>(n_samples) / audio::kRate;
    used.covered_seconds = static_cast<double>(covered) / audio::kRate;
    const int base = static_cast<int>(chunks_.sounds.size());
    for (const encoders::Piece& piece : pre.layout) {
      if (piece.input < 0) {
        add_piece(piece);
        continue;
      }
      Chunk chunk;
      chunk.sound = true, chunk.media = index, chunk.input = base + piece.input;
      chunk.n_tokens = audio_projector_->n_tokens(pre.inputs[static_cast<std::size_t>(piece.input)]);
      chunk.n_pos = chunk.nx = chunk.n_tokens;
      used.tokens += chunk.n_tokens;
      chunks_.list.push_back(std::move(chunk));
    }
    std::move(pre.inputs.begin(), pre.inputs.end(), std::back_inserter(chunks_.sounds));
  }

  /// Shape and extent of a media chunk in the sequence of positions.
  void place_grid(Chunk& chunk, const encoders::Input& input) {
    using encoders::PositionKind;
    chunk.kind = options_.mrope ? projector_->positions() : PositionKind::sequential;
    chunk.picture = n_pictures_++;
    const bool two_dimensional = chunk.kind == PositionKind::grid || chunk.kind == PositionKind::reading;
    chunk.nx = two_dimensional ? input.nx : chunk.n_tokens;
    chunk.ny = two_dimensional ? input.ny : 1;
    chunk.n_pos = chunk.kind == PositionKind::grid ? std::max(chunk.nx, chunk.ny) : chunk.n_tokens;
  }

  void place() {
    for (Chunk& chunk : chunks_.list) {
      if (!chunk.is_media()) chunk.n_tokens = chunk.n_pos = static_cast<int>(chunk.tokens.size());
      chunk.pos_start = chunks_.n_pos;
      chunks_.n_pos += chunk.n_pos;
      chunks_.n_tokens += chunk.n_tokens;
      if (chunk.is_media()) chunks_.n_media_tokens += chunk.n_tokens;
    }
  }

  const Prompt& prompt_;
  const Tokenizer& tokenizer_;
  const encoders::Projector* projector_;
  const encoders::AudioProjector* audio_projector_;
  const ChunkOptions& options_;
  Chunks chunks_;
  int n_pictures_ = 0;
};

}  // namespace

Chunks build_chunks(const Prompt& prompt, const Tokenizer& tokenizer, const Encoders& encoders,
                    const ChunkOptions& options) {
  return Builder(prompt, tokenizer, encoders, options).build();
}

}  // namespace mtmd
