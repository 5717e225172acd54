#include "mtmd-cli/arguments.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace mtmd::cli {

std::vector<std::string> normalised_arguments(int argc, char** argv) {
  constexpr auto kWords = std::to_array<std::string_view>(
      {"-tb",   "-ub", "-ngl",   "-dev",  "-fa",   "-ctk",  "-ctv",  "-mm",   "-cnv", "-sys", "-pg",
       "-nkvo", "-hf", "-ofreq", "-otxt", "-osrt", "-ovtt", "-otsv", "-ocsv", "-oj",  "-of",  "-npl"});
  std::vector<std::string> result;
  bool options = true;
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    if (word == "--") options = false;
    const auto name = word.substr(0, word.find('='));
    const bool known = options && std::ranges::find(kWords, name) != kWords.end();
    result.push_back(known ? "-" + std::string(word) : std::string(word));
  }
  return result;
}

}  // namespace mtmd::cli
