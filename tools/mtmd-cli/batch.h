// Many pictures, one load of the model: a bad item never stops the rest, a killed run can be resumed.
#pragma once

#include "mtmd-cli/console.h"
#include "mtmd-cli/inputs.h"
#include "mtmd-cli/output.h"
#include "mtmd/read.h"

namespace mtmd::cli {

struct BatchOptions {
  ReadOptions read;
  std::string settings;  ///< everything that changes results, for --resume
  bool strict = false;
};

/// Reads every item and delivers the results; returns the exit status.
int run_batch(Console& console, Reader& reader, const std::vector<InputFlags::Item>& items, const OutputFlags& output,
              const BatchOptions& options);

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

}  // namespace mtmd::cli
