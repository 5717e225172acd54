// Any bytes as text: encoding ends, ids lie in the vocabulary, decoding gives the text back (byte-level BPE: with
// U+FFFD for what is not UTF-8; SentencePiece: with spaces for U+2581, and exactly only for valid UTF-8).
#include "engine/tokenizer/tokenizer.h"

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "engine/tokenizer/encoder.h"
#include "engine/tokenizer/unicode.h"

namespace {

using mtmd::Token;
using mtmd::Tokenizer;

std::unique_ptr<Tokenizer> load(const char* name) {
  return Tokenizer::load(mtmd::gguf::File::open(std::string(MTMD_TEST_DATA "/vocab/") + name).metadata());
}

void require(bool good) {
  if (!good) std::abort();
}

void check(const Tokenizer& tokenizer, std::string_view text, bool bytes) {
  for (const bool parse_special : {false, true}) {
    const auto tokens = tokenizer.encode(text, {.add_special = parse_special, .parse_special = parse_special});
    for (const Token t : tokens) require(t >= 0 && t < tokenizer.size());
    const std::string back = tokenizer.decode(tokens, parse_special);
    tokenizer.detokenize(tokens, true);
    if (parse_special) continue;  // a leading BOS, dropped white space
    if (bytes)
      require(back == mtmd::unicode::replace_invalid(text));
    else if (mtmd::unicode::is_valid(text))
      require(back == mtmd::unmark_spaces(text));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto bytes = load("llama.gguf"), pieces = load("gemma3.gguf"), prefixed = load("ernie4_5.gguf");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(*bytes, text, true);
  check(*pieces, text, false);
  check(*prefixed, text, false);
  return 0;
}
