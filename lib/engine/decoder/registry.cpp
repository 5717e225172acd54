// The supported architectures: the words in CMakeLists.txt, one value each.
#include <fmt/ranges.h>

#include "engine/base/error.h"
#include "engine/decoder/decoder.h"
#include "engine/decoder/model.h"

namespace mtmd::decoder {

namespace arch {
#define X(name) extern const Architecture name;
#include "registry.inc"
#undef X
}  // namespace arch

namespace {
#define X(name) &arch::name,
constexpr const Architecture* kArchitectures[] = {
#include "registry.inc"
};
#undef X
}  // namespace

std::vector<std::string_view> architectures() {
  std::vector<std::string_view> names;
  for (const Architecture* a : kArchitectures) names.push_back(a->name);
  return names;
}

Verified verified(std::string_view architecture) noexcept {
  for (const Architecture* a : kArchitectures)
    if (a->name == architecture) return a->verified;
  return Verified::reference;
}

const Architecture& find_architecture(const gguf::File& file) {
  const auto name = file.metadata().require<std::string_view>("general.architecture");
  for (const Architecture* a : kArchitectures)
    if (a->name == name) return *a;
  fail(ErrorCategory::model, "{}: general.architecture is '{}', which is not supported; supported are {}",
       file.metadata().file(), name.substr(0, 64), fmt::join(architectures(), ", "));
}

}  // namespace mtmd::decoder
