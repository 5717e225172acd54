#include "engine/decoder/decoder.h"

namespace mtmd::decoder {

void Batch::add_text(kv::SequenceId sequence, std::span<const std::int32_t> ids, std::int32_t position,
                     bool logits_last) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::int32_t p = position + static_cast<std::int32_t>(i);
    tokens.push_back(ids[i]);
    positions.push_back({p, p, p, 0});
    sequences.push_back(sequence);
    see_until.push_back(static_cast<std::int32_t>(tokens.size()));
    want_logits.push_back(logits_last && i + 1 == ids.size());
  }
}

void Batch::add_embeddings(kv::SequenceId sequence, std::span<const Position> at, bool sees_itself) {
  const auto end = static_cast<std::int32_t>(tokens.size() + at.size());
  for (const Position& p : at) {
    tokens.push_back(-1);
    positions.push_back(p);
    sequences.push_back(sequence);
    see_until.push_back(sees_itself ? end : static_cast<std::int32_t>(tokens.size()));
    want_logits.push_back(false);
  }
}

void Batch::clear() {
  tokens.clear();
  positions.clear();
  sequences.clear();
  see_until.clear();
  want_logits.clear();
  embeddings = {};
}

}  // namespace mtmd::decoder
