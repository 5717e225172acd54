#include "quantize/media_prompt.h"

#include "mtmd-cli/flags.h"
#include "mtmd-cli/loaded_medium.h"
#include "mtmd/read.h"

namespace mtmd::cli {
std::string media_question(const std::shared_ptr<const Model>& model, const std::string& given) {
  return given.empty() ? Reader(model).default_prompt(Task::describe) : given;
}

Prompt media_prompt(Console& console, const Model& model, const std::string& path, const std::string& question) {
  const Message message{"user", count_media_markers(question) > 0 ? question : std::string(kMediaMarker) + question};
  std::vector<Media> media;
  LoadedMedium loaded = load_medium(path);
  for (const std::string& w : loaded.warnings) console.warn("{}: {}", path, w);
  media.push_back(std::move(loaded.media));
  return Prompt::marked(format_chat(model, std::span(&message, 1)), std::move(media));
}

}  // namespace mtmd::cli
