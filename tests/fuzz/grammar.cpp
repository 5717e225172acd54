// Any text as a grammar or a JSON schema, and any bytes after a 0 byte as what is written: errors are of their kinds,
// pieces and the whole agree, the mask of a vocabulary agrees with asking for each piece.
#include "engine/sampling/grammar.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"
#include "engine/sampling/grammar_vocabulary.h"
#include "engine/sampling/json_schema.h"

namespace {

void require(bool good) {
  if (!good) std::abort();
}

void follow(const mtmd::Grammar& grammar, std::string_view input) {
  const mtmd::GrammarState start(grammar);
  const bool whole = start.allowed(input);
  mtmd::GrammarState state = start;
  std::vector<std::string> pieces = {"", "a", "ab", "\"", "{", "\xC3", "\xC3\xA9", "1", " "};
  for (std::size_t i = 0; i < input.size(); i += 5) pieces.emplace_back(input.substr(i, 1 + i % 7));
  const mtmd::grammar::Vocabulary vocabulary(pieces);
  std::vector<std::uint8_t> mask;
  bool fits = true;
  for (std::size_t i = 0; i < input.size() && fits; i += 3) {
    vocabulary.allowed(state, mask);
    for (std::size_t t = 0; t < pieces.size(); ++t)
      require((mask[t] != 0) == (!pieces[t].empty() && state.allowed(pieces[t])));
    fits = state.accept(input.substr(i, 3));
  }
  require(fits == whole);
  require(state.complete() || state.can_continue());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = all.find('\0');
  const std::string_view text = all.substr(0, cut), input = cut == all.npos ? "" : all.substr(cut + 1);
  try {
    follow(mtmd::Grammar::parse(text.starts_with('{') ? mtmd::json_schema_to_gbnf(text) : std::string(text)), input);
  } catch (const mtmd::Error& e) {
    require(e.category() == mtmd::ErrorCategory::usage || e.category() == mtmd::ErrorCategory::resource);
  }
  return 0;
}
