// Chunks of media -> the embeddings that stand for them in the prompt.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "mtmd/prompt.h"

namespace mtmd {

/// Columns of embeddings that may hold both pictures and sound: the wider of the two; 0 without encoders.
int embedding_width(const Encoders& encoders) noexcept;

/// Rows [tokens, embedding_width(encoders)] of the media chunks `wanted`, one after the other; rows of the narrower
/// encoder end with zeros. Neighbours of equal shape go through their encoder together. Incomplete when `stopped`.
std::vector<float> encode_media(const Chunks& chunks, std::span<const Chunk* const> wanted, const Encoders& encoders,
                                Workspace& ws, const std::function<bool()>& stopped = {});

}  // namespace mtmd
