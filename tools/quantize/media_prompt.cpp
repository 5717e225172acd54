#include "quantize/media_prompt.h"

#include "encoders/audio/mel.h"
#include "mtmd-cli/batch.h"
#include "mtmd-cli/flags.h"
#include "mtmd/media/sound_file.h"
#include "mtmd/read.h"

namespace mtmd::cli {
namespace {

Media load_medium(Console& console, const std::string& path) {
  const std::string bytes = path == "-" ? std::string() : read_bytes(path);
  if (!media::is_sound(std::as_bytes(std::span(bytes)))) {
    LoadedPicture picture = load_picture(path);
    for (const std::string& w : picture.warnings) console.warn("{}: {}", path, w);
    return std::move(picture.media);
  }
  const media::DecodedSound sound = media::decode_sound(std::as_bytes(std::span(bytes)), path);
  for (const std::string& w : sound.facts.warnings) console.warn("{}: {}", path, w);
  Media medium;
  medium.name = path;
  medium.sound = media::resample(sound.samples, sound.facts.rate, audio::kRate);
  return medium;
}

}  // namespace

std::string media_question(const std::shared_ptr<const Model>& model, const std::string& given) {
  return given.empty() ? Reader(model).default_prompt(Task::describe) : given;
}

Prompt media_prompt(Console& console, const Model& model, const std::string& path, const std::string& question) {
  const Message message{"user", count_media_markers(question) > 0 ? question : std::string(kMediaMarker) + question};
  std::vector<Media> media;
  media.push_back(load_medium(console, path));
  return Prompt::marked(format_chat(model, std::span(&message, 1)), std::move(media));
}

}  // namespace mtmd::cli
