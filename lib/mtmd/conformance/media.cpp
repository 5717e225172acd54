// Recorded media results (conformance/media): which cases a path holds.
#include <algorithm>
#include <vector>

#include "mtmd/conformance/conformance.h"
#include "mtmd/conformance/media_case.h"
#include "mtmd/conformance/media_pixels.h"
#include "mtmd/conformance/media_sound.h"

namespace mtmd::conformance {
namespace fs = std::filesystem;
namespace {

bool is_golden(const fs::path& path) { return path.filename().string().ends_with(".golden.gguf"); }

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(folder)) entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool is_model(const fs::path& folder) { return fs::exists(folder / "mmproj.gguf"); }

void run_model(const fs::path& folder, Device& device, const Sink& sink) {
  MediaModel model(folder, folder.parent_path(), device);
  for (const fs::path& path : sorted_entries(folder)) {
    if (is_golden(path)) run_media_case(model, path, sink);
  }
}

void run_file(const fs::path& path, const fs::path& root, Device& device, const Sink& sink) {
  const std::string name = path.filename().string();
  if (is_model(path.parent_path())) {
    MediaModel model(path.parent_path(), root, device);
    run_media_case(model, path, sink);
  } else if (name == "resize.golden.gguf") {
    run_resize(path, sink);
  } else if (name == "decode.golden.gguf") {
    run_decode(path, path.parent_path() / "inputs", sink);
  } else {
    run_spectrum(path, sink);
  }
}

}  // namespace

void run_media(const fs::path& given, Device& device, const Sink& sink) {
  fs::path path = fs::weakly_canonical(given);
  if (!path.has_filename()) path = path.parent_path();
  if (fs::is_regular_file(path)) {
    const fs::path folder = path.parent_path();
    run_file(path, is_model(folder) ? folder.parent_path() : folder, device, sink);
  } else if (is_model(path)) {
    run_model(path, device, sink);
  } else {
    for (const fs::path& entry : sorted_entries(path)) {
      if (fs::is_directory(entry) && is_model(entry)) run_model(entry, device, sink);
      if (fs::is_regular_file(entry) && is_golden(entry)) run_file(entry, path, device, sink);
    }
  }
}

}  // namespace mtmd::conformance
