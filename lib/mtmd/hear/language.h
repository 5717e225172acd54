// Languages by the names and codes that people type.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mtmd {

struct Language {
  std::string code;  ///< ISO 639-1, or 639-3 where there is none: "de"
  std::string name;  ///< in English: "German"
};

/// "de", "DE", "German", "german", "de-AT" -> German. Nothing for what is not known.
std::optional<Language> find_language(std::string_view text);

}  // namespace mtmd
