#include "mtmd-cli/loaded_medium.h"

#include <chrono>

#include "encoders/audio/mel.h"
#include "mtmd-cli/flags.h"
#include "mtmd/media/image_file.h"
#include "mtmd/media/sha256.h"
#include "mtmd/media/sound_file.h"

namespace mtmd::cli {
namespace {

LoadedMedium decode_sound(const std::string& path, const std::string& bytes, const std::string& sha256) {
  const auto start = std::chrono::steady_clock::now();
  media::DecodedSound sound = media::decode_sound(std::as_bytes(std::span(bytes)), path);
  LoadedMedium result;
  result.media.name = path;
  result.media.id = sha256;
  result.media.sound = media::resample(sound.samples, sound.facts.rate, audio::kRate);
  result.warnings = std::move(sound.facts.warnings);
  result.decode_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace

LoadedMedium decode_picture(const std::string& path, const std::string& bytes, std::string sha256) {
  const auto start = std::chrono::steady_clock::now();
  media::DecodedImage decoded = media::decode_image(std::as_bytes(std::span(bytes)), path == "-" ? "stdin" : path);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  return {{std::move(decoded.image), std::move(sha256), path, false}, took.count(), std::move(decoded.facts.warnings)};
}

LoadedMedium load_picture(const std::string& path) {
  const std::string bytes = read_bytes(path);
  return decode_picture(path, bytes, media::sha256_hex(std::as_bytes(std::span(bytes))));
}

LoadedMedium load_sound(const std::string& path) {
  const std::string bytes = read_bytes(path);
  return decode_sound(path, bytes, media::sha256_hex(std::as_bytes(std::span(bytes))));
}

LoadedMedium load_medium(const std::string& path) {
  const std::string bytes = read_bytes(path);
  const auto content = std::as_bytes(std::span(bytes));
  const std::string sha256 = media::sha256_hex(content);
  return media::is_sound(content) ? decode_sound(path, bytes, sha256) : decode_picture(path, bytes, sha256);
}

}  // namespace mtmd::cli
