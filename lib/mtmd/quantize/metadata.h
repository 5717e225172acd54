// Private to this folder: the metadata of a quantised file.
#pragma once

#include <string>

#include "engine/gguf/gguf.h"
#include "engine/gguf/writer.h"
#include "mtmd/quantize/plan.h"

namespace mtmd::quantize {

/// Everything of the source, then what llama-quantize adds, in its order, then the provenance. `n_layer`: what is left
/// after pruning, or -1.
void fill_metadata(gguf::Writer& writer, const gguf::File& file, const PlanOptions& options, std::int64_t n_layer);

/// What stands in the header until the hash of source part `i` is known: 64 characters.
std::string hash_placeholder(std::size_t i);

}  // namespace mtmd::quantize
