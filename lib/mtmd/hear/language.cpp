#include "mtmd/hear/language.h"

#include <algorithm>
#include <array>

namespace mtmd {
namespace {

struct Entry {
  std::string_view code, name;
};

constexpr std::array kLanguages = std::to_array<Entry>({
    {"af", "Afrikaans"}, {"am", "Amharic"},    {"ar", "Arabic"},     {"az", "Azerbaijani"}, {"be", "Belarusian"},
    {"bg", "Bulgarian"}, {"bn", "Bengali"},    {"bs", "Bosnian"},    {"ca", "Catalan"},     {"cs", "Czech"},
    {"cy", "Welsh"},     {"da", "Danish"},     {"de", "German"},     {"el", "Greek"},       {"en", "English"},
    {"eo", "Esperanto"}, {"es", "Spanish"},    {"et", "Estonian"},   {"eu", "Basque"},      {"fa", "Persian"},
    {"fi", "Finnish"},   {"fil", "Filipino"},  {"fr", "French"},     {"ga", "Irish"},       {"gl", "Galician"},
    {"gu", "Gujarati"},  {"he", "Hebrew"},     {"hi", "Hindi"},      {"hr", "Croatian"},    {"hu", "Hungarian"},
    {"hy", "Armenian"},  {"id", "Indonesian"}, {"is", "Icelandic"},  {"it", "Italian"},     {"ja", "Japanese"},
    {"ka", "Georgian"},  {"kk", "Kazakh"},     {"km", "Khmer"},      {"kn", "Kannada"},     {"ko", "Korean"},
    {"la", "Latin"},     {"lo", "Lao"},        {"lt", "Lithuanian"}, {"lv", "Latvian"},     {"mk", "Macedonian"},
    {"ml", "Malayalam"}, {"mn", "Mongolian"},  {"mr", "Marathi"},    {"ms", "Malay"},       {"mt", "Maltese"},
    {"my", "Burmese"},   {"ne", "Nepali"},     {"nl", "Dutch"},      {"no", "Norwegian"},   {"pa", "Punjabi"},
    {"pl", "Polish"},    {"pt", "Portuguese"}, {"ro", "Romanian"},   {"ru", "Russian"},     {"si", "Sinhala"},
    {"sk", "Slovak"},    {"sl", "Slovenian"},  {"sq", "Albanian"},   {"sr", "Serbian"},     {"sv", "Swedish"},
    {"sw", "Swahili"},   {"ta", "Tamil"},      {"te", "Telugu"},     {"th", "Thai"},        {"tr", "Turkish"},
    {"uk", "Ukrainian"}, {"ur", "Urdu"},       {"uz", "Uzbek"},      {"vi", "Vietnamese"},  {"yue", "Cantonese"},
    {"zh", "Chinese"},   {"zu", "Zulu"},
});

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

}  // namespace

std::optional<Language> find_language(std::string_view text) {
  const std::string wanted = lower(text), code = wanted.substr(0, wanted.find_first_of("-_"));
  for (const Entry& e : kLanguages)
    if (e.code == code || lower(e.name) == wanted) return Language{std::string(e.code), std::string(e.name)};
  return std::nullopt;
}

}  // namespace mtmd
