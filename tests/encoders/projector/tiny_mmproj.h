// A small mmproj file of every projector type, made in memory. A new type is one function and one line of the table.
#pragma once

#include <algorithm>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "encoders/projector/tiny_fixed.h"
#include "encoders/projector/tiny_sliced.h"
#include "encoders/projector/tiny_tiled.h"
#include "encoders/projector/tiny_whole.h"
#include "encoders/projector/tiny_writer.h"

namespace mtmd::encoders::testing {

struct TinyType {
  std::string_view type;
  void (*make)(TinyWriter&);
  int most_tokens = 4096;     ///< of any picture, markers not included
  bool older_naming = false;  ///< files with exchanged names of the feed-forward net are known
  bool encoder = true;        ///< reads v.blk.*
};

inline std::span<const TinyType> tiny_types() {
  static const TinyType all[] = {
      {"qwen2vl_merger", tiny_qwen2vl, 4096, true},
      {"qwen2.5vl_merger", tiny_qwen25vl, 4096, true},
      {"qwen2.5o", tiny_qwen25o},
      {"qwen3vl_merger", tiny_qwen3vl},
      {"exaone4_5", tiny_exaone45, 1024, true},
      {"youtuvl", tiny_youtuvl, 250000 / 4},
      {"idefics3", tiny_idefics3, 4096, true},
      {"gemma3", tiny_gemma3, 4, true},
      {"mlp", tiny_mlp, 4096, true},
      {"internvl", tiny_internvl},
      {"pixtral", tiny_pixtral, 2 * 1024},
      {"lightonocr", tiny_lightonocr, 36},
      {"paddleocr", tiny_paddleocr, 1024},
      {"dots_ocr", tiny_dots_ocr, 1024},
      {"kimivl", tiny_kimivl, 1024},
      {"kimik25", tiny_kimik25, 512},
      {"glm4v", tiny_glm4v},
      {"hunyuanvl", tiny_hunyuanvl, 2 * 512 + 2},
      {"minimax_m3", tiny_minimax_m3, 576},
      {"lfm2", tiny_lfm2, 10 * 37 * 37 + 256},
      {"llama4", tiny_llama4, 10 * 4},
      {"phi4", tiny_phi4, 1024},
      {"janus_pro", tiny_janus_pro, 16},
      {"cogvlm", tiny_cogvlm, 3 * (16 + 2)},
      {"nemotron_v2_vl", tiny_nemotron, 4},
      {"step3vl", tiny_step3vl, 48 * 25 + 1},
      {"deepseekocr", tiny_deepseekocr, 4 * 30 + 73},
      {"resampler", tiny_resampler, 10 * 5, true},
      {"minicpmv4_6", tiny_minicpmv46, 10 * 4, true},
      {"gemma4v", tiny_gemma4v, 280},
      {"gemma4uv", tiny_gemma4uv, 280, false, false},
  };
  return all;
}

inline const TinyType& tiny_type(std::string_view type) {
  const auto all = tiny_types();
  const auto found = std::find_if(all.begin(), all.end(), [&](const TinyType& t) { return t.type == type; });
  if (found == all.end()) throw std::runtime_error("no tiny file of type " + std::string(type));
  return *found;
}

class TinyMmproj : public TinyWriter {
 public:
  TinyMmproj(std::string_view type, const TinyShape& shape) : TinyWriter(type, shape) { tiny_type(type).make(*this); }

  static std::vector<std::string> types() {
    std::vector<std::string> names;
    for (const TinyType& t : tiny_types()) names.emplace_back(t.type);
    return names;
  }
};

}  // namespace mtmd::encoders::testing
