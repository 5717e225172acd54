#include <algorithm>
#include <array>
#include <string_view>

#include "engine/base/error.h"
#include "mtmd/conformance/conformance.h"

namespace mtmd::conformance {
namespace fs = std::filesystem;

namespace {

struct Kind {
  std::string_view name;
  void (*run)(const fs::path& folder, Device& device, const Sink& sink);
};

constexpr std::array kKinds = {
    Kind{"text", run_text},
    Kind{"media", run_media},
    Kind{"tokenizer", [](const fs::path& f, Device&, const Sink& s) { run_tokenizer(f, s); }},
    Kind{"quant", [](const fs::path& f, Device&, const Sink& s) { run_quant(f, s); }},
    Kind{"chat", [](const fs::path& f, Device&, const Sink& s) { run_chat(f, s); }},
};

/// The kind whose name `path` or one of its nearest parents bears.
const Kind* kind_of(const fs::path& path) {
  fs::path p = fs::weakly_canonical(path);
  for (int up = 0; up < 3 && p.has_filename(); ++up, p = p.parent_path())
    for (const Kind& kind : kKinds)
      if (p.filename() == kind.name) return &kind;
  return nullptr;
}

}  // namespace

void run_all(const fs::path& path, Device& device, const Sink& sink) {
  if (!fs::exists(path)) fail(ErrorCategory::input, "{}: no such file or folder", path.string());
  bool whole_kit = false;
  for (const Kind& kind : kKinds)
    if (fs::is_directory(path / kind.name)) {
      kind.run(path / kind.name, device, sink);
      whole_kit = true;
    }
  if (whole_kit) return;
  const Kind* kind = kind_of(path);
  if (!kind)
    fail(ErrorCategory::input,
         "{}: expected a folder with text, media, tokenizer, quant or chat in it, or one of these", path.string());
  kind->run(path, device, sink);
}

}  // namespace mtmd::conformance
