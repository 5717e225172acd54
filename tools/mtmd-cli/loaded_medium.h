// Pictures and recordings from files and stdin, whole, as parts of a prompt.
#pragma once

#include <string>
#include <vector>

#include "mtmd/prompt.h"

namespace mtmd::cli {

/// A picture or a recording, decoded; the file's bytes are hashed for Media::id.
struct LoadedMedium {
  Media media;
  double decode_ms = 0;
  std::vector<std::string> warnings;
};
/// "-" is stdin. Throws Error(input) for what is no picture.
LoadedMedium load_picture(const std::string& path);
/// The same for recordings, at the rate that encoders hear.
LoadedMedium load_sound(const std::string& path);
/// Whichever of the two the content is.
LoadedMedium load_medium(const std::string& path);

/// A picture from the bytes of a file; `sha256` is theirs.
LoadedMedium decode_picture(const std::string& path, const std::string& bytes, std::string sha256);

}  // namespace mtmd::cli
