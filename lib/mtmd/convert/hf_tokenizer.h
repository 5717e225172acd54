// Private to this folder: tokenizer.json and its neighbours as GGUF's tokenizer keys.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/gguf/writer.h"
#include "mtmd/convert/config.h"

namespace mtmd::convert {

struct TokenizerOptions {
  std::int64_t n_vocab = 0;   ///< rows of the embeddings; the vocabulary is padded to it
  std::string pre_tokenizer;  ///< given by the user; empty: found out
};

/// Byte-level BPE becomes model "gpt2", BPE with byte fallback (converted SentencePiece) model "llama". `config` is
/// config.json. Throws Error(model) for other kinds and for an unknown splitting expression.
void put_tokenizer(gguf::Writer& writer, const std::filesystem::path& folder, const Config& config,
                   const TokenizerOptions& options);

}  // namespace mtmd::convert
