#include "mtmd/quantize/file_type.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <numeric>
#include <string>
#include <vector>

#include "engine/base/error.h"

namespace mtmd::quantize {
namespace {

using Id = FileType::Id;

// In the order of size, as --help prints them.
constexpr std::array kFileTypes = {
    FileType{Id::Q1_0, "Q1_0", DType::Q1_0, "1.13 bits; for models trained so"},
    FileType{Id::IQ1_S, "IQ1_S", DType::IQ1_S, "2.0 bits; needs --imatrix"},
    FileType{Id::IQ1_M, "IQ1_M", DType::IQ1_M, "2.1 bits; needs --imatrix"},
    FileType{Id::TQ1_0, "TQ1_0", DType::TQ1_0, "1.7 bits; for models trained ternary"},
    FileType{Id::TQ2_0, "TQ2_0", DType::TQ2_0, "2.1 bits; for models trained ternary"},
    FileType{Id::Q2_0, "Q2_0", DType::Q2_0, "2.3 bits; for models trained ternary"},
    FileType{Id::IQ2_XXS, "IQ2_XXS", DType::IQ2_XXS, "2.4 bits; needs --imatrix"},
    FileType{Id::IQ2_XS, "IQ2_XS", DType::IQ2_XS, "2.6 bits; needs --imatrix"},
    FileType{Id::IQ2_S, "IQ2_S", DType::IQ2_XS, "2.7 bits; needs --imatrix"},
    FileType{Id::IQ2_M, "IQ2_M", DType::IQ2_S, "2.9 bits; needs --imatrix"},
    FileType{Id::Q2_K_S, "Q2_K_S", DType::Q2_K, "3.0 bits; needs --imatrix"},
    FileType{Id::Q2_K, "Q2_K", DType::Q2_K, "3.2 bits"},
    FileType{Id::IQ3_XXS, "IQ3_XXS", DType::IQ3_XXS, "3.3 bits; needs --imatrix"},
    FileType{Id::IQ3_XS, "IQ3_XS", DType::IQ3_S, "3.5 bits; needs --imatrix"},
    FileType{Id::IQ3_S, "IQ3_S", DType::IQ3_S, "3.7 bits"},
    FileType{Id::Q3_K_S, "Q3_K_S", DType::Q3_K, "3.6 bits"},
    FileType{Id::IQ3_M, "IQ3_M", DType::IQ3_S, "3.8 bits"},
    FileType{Id::Q3_K_M, "Q3_K_M", DType::Q3_K, "4.0 bits"},
    FileType{Id::Q3_K_L, "Q3_K_L", DType::Q3_K, "4.3 bits"},
    FileType{Id::IQ4_XS, "IQ4_XS", DType::IQ4_XS, "4.5 bits"},
    FileType{Id::IQ4_NL, "IQ4_NL", DType::IQ4_NL, "4.7 bits"},
    FileType{Id::Q4_0, "Q4_0", DType::Q4_0, "4.6 bits"},
    FileType{Id::MXFP4, "MXFP4", DType::MXFP4, "4.6 bits; output and embedding Q8_0"},
    FileType{Id::NVFP4, "NVFP4", DType::NVFP4, "4.8 bits; output and embedding Q8_0"},
    FileType{Id::MXFP4_MOE, "MXFP4_MOE", DType::MXFP4, "experts MXFP4, the rest Q8_0"},
    FileType{Id::Q4_K_S, "Q4_K_S", DType::Q4_K, "4.7 bits"},
    FileType{Id::Q4_K_M, "Q4_K_M", DType::Q4_K, "4.9 bits"},
    FileType{Id::Q4_1, "Q4_1", DType::Q4_1, "5.1 bits"},
    FileType{Id::Q5_0, "Q5_0", DType::Q5_0, "5.6 bits"},
    FileType{Id::Q5_K_S, "Q5_K_S", DType::Q5_K, "5.6 bits"},
    FileType{Id::Q5_K_M, "Q5_K_M", DType::Q5_K, "5.7 bits"},
    FileType{Id::Q5_1, "Q5_1", DType::Q5_1, "6.0 bits"},
    FileType{Id::Q6_K, "Q6_K", DType::Q6_K, "6.6 bits"},
    FileType{Id::Q8_0, "Q8_0", DType::Q8_0, "8.5 bits"},
    FileType{Id::F16, "F16", DType::F16, "16 bits"},
    FileType{Id::BF16, "BF16", DType::BF16, "16 bits"},
    FileType{Id::F32, "F32", DType::F32, "32 bits"},
    FileType{Id::copy, "COPY", DType::F32, "every tensor as it is"},
};

struct Alias {
  std::string_view alias, name;
};
constexpr std::array kAliases = {Alias{"Q3_K", "Q3_K_M"}, Alias{"Q4_K", "Q4_K_M"}, Alias{"Q5_K", "Q5_K_M"},
                                 Alias{"Q4", "Q4_0"},     Alias{"Q8", "Q8_0"},     Alias{"FP16", "F16"},
                                 Alias{"FP32", "F32"}};

std::string upper(std::string_view text) {
  std::string s(text);
  for (char& c : s) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::ranges::replace(s, '-', '_');
  return s;
}

/// Insertions, deletions and replacements that turn one word into the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

template <class Names>
std::string_view nearest(std::string_view word, const Names& names) {
  const auto bare = [](std::string_view text) {  // what is forgotten most often does not count
    std::string s = upper(text.substr(0, 64));
    std::erase(s, '_');
    return s;
  };
  const std::string w = bare(word);
  return std::ranges::min(names, {}, [&](std::string_view name) { return distance(w, bare(name)); });
}

}  // namespace

std::span<const FileType> file_types() noexcept { return kFileTypes; }

const FileType* find_file_type(std::string_view text) noexcept {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool numeric = error == std::errc() && end == text.data() + text.size();
  std::string name = upper(text.substr(0, 64));
  for (const Alias& a : kAliases)
    if (name == a.alias) name = a.name;
  for (const FileType& t : kFileTypes)
    if (numeric ? static_cast<int>(t.id) == number && number < 1000 : t.name == name) return &t;
  return nullptr;
}

const FileType& file_type(std::string_view text) {
  if (const FileType* t = find_file_type(text)) return *t;
  std::vector<std::string_view> names;
  for (const FileType& t : kFileTypes) names.push_back(t.name);
  fail(ErrorCategory::usage, "unknown type '{}'; did you mean {}? `mtmd quantize --help` lists all of them",
       text.substr(0, 64), nearest(text, names));
}

DType tensor_type(std::string_view text, std::string_view option) {
  const auto type = dtype_from_name(text);
  if (type && *type != DType::Q8_1 && *type != DType::Q8_K) return *type;
  std::vector<std::string_view> names;
  for (const DTypeInfo& t : all_dtypes())
    if (t.type != DType::Q8_1 && t.type != DType::Q8_K) names.push_back(t.name);
  fail(ErrorCategory::usage, "{}: unknown tensor type '{}'; did you mean {}?", option, text.substr(0, 64),
       nearest(text, names));
}

}  // namespace mtmd::quantize
