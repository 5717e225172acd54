// A prompt with pictures or sound, and what follows it, ready to be read many times.
#pragma once

#include <functional>
#include <vector>

#include "engine/kv/cache.h"
#include "mtmd/model.h"
#include "mtmd/prompt.h"
#include "mtmd/quality/windows.h"

namespace mtmd::quality {

struct Passage {
  Chunks chunks;
  std::vector<std::vector<float>> embeddings;  ///< per chunk; empty for text
  std::vector<Token> answer;                   ///< follows the prompt; its tokens are what is scored
};

/// Tokenises the prompt and encodes its media with the model's encoders. Throws Error(usage) when one is missing,
/// Error(resource) when prompt and answer are longer than the model's context.
Passage make_passage(const Model& model, const Prompt& prompt, const encoders::ImageLimits& limits,
                     std::vector<Token> answer = {});

/// Called before a batch is computed.
using OnBatch = std::function<void(const decoder::Batch& batch)>;
/// logits [rows, n_vocab] of answer tokens `first` …, valid during the call.
using OnAnswer = std::function<void(Tensor logits, std::size_t first)>;

/// Reads the passage from an empty cache. `whole`: every row goes through every layer (then no answer is scored).
void read_passage(decoder::Decoder& decoder, Device& device, const Passage& passage, const ReaderOptions& options,
                  bool whole, const OnBatch& before, const OnAnswer& on_answer);

}  // namespace mtmd::quality
