// TIFF 6.0 through Leptonica: every page, compression and layout that it reads.
#include <leptonica/allheaders.h>

#include <algorithm>
#include <unordered_set>

#include "mtmd/media/byte_order.h"
#include "mtmd/media/leptonica.h"

namespace mtmd::media {
namespace {

constexpr std::uint32_t kOrientation = 274;

/// What the directories of a file say.
struct Directories {
  int pages = 0;
  int orientation = 1;                      ///< of the wanted page: EXIF 1..8
  std::vector<std::size_t> orientation_at;  ///< bytes of the file that say so (two each)
};

/// Follows the chain of directories; what points outside the file, or back, ends it.
Directories walk(const DecodeJob& job, int wanted) {
  const auto& b = job.bytes;
  const bool little = b.size() > 0 && u8(b, 0) == 'I';
  const auto u16 = [&](std::size_t at) { return little ? le16(b, at) : be16(b, at); };
  const auto u32 = [&](std::size_t at) { return little ? le32(b, at) : be32(b, at); };
  Directories found;
  std::unordered_set<std::size_t> seen;
  std::size_t at = b.size() >= 8 ? u32(4) : 0;
  while (at >= 8 && b.size() >= 6 && at <= b.size() - 6 && seen.insert(at).second) {
    const std::size_t n = u16(at), end = at + 2 + 12 * n;
    if (n == 0 || end + 4 > b.size()) break;
    for (std::size_t entry = at + 2; found.pages == wanted && entry < end; entry += 12) {
      if (u16(entry) != kOrientation) continue;
      if (found.orientation_at.empty()) found.orientation = static_cast<int>(u16(entry + 8));
      found.orientation_at.push_back(entry + 8);
    }
    ++found.pages;
    at = u32(end);
  }
  return found;
}

/// The pixels as they are stored: Leptonica 1.82 turns the last of the eight orientations the wrong way, so it is not
/// told of any.
PixPtr read_stored(const DecodeJob& job, int page, const Directories& directories) {
  const auto* data = reinterpret_cast<const l_uint8*>(job.bytes.data());
  if (directories.orientation == 1) return PixPtr(pixReadMemTiff(data, job.bytes.size(), page));
  std::vector<l_uint8> plain(data, data + job.bytes.size());
  for (const std::size_t at : directories.orientation_at) {
    plain[at] = plain[0] == 'I' ? 1 : 0, plain[at + 1] = plain[0] == 'I' ? 0 : 1;
  }
  return PixPtr(pixReadMemTiff(plain.data(), plain.size(), page));
}

}  // namespace

void decode_tiff(const DecodeJob& job, DecodedImage& out) {
  quiet_leptonica();
  const int page = std::max(0, job.options.page);
  const Directories directories = walk(job, page);
  const auto* data = reinterpret_cast<const l_uint8*>(job.bytes.data());
  l_int32 width = 0, height = 0, bits = 0, samples = 0, resolution = 0, palette = 0, format = 0;
  if (directories.pages <= page || readHeaderMemTiff(data, job.bytes.size(), page, &width, &height, &bits, &samples,
                                                     &resolution, &palette, &format) != 0) {
    damaged(job, ImageFormat::tiff,
            page == 0 ? "no directory of a picture can be read"
                      : fmt::format("page {} cannot be read, the file has {}", page + 1, directories.pages));
  }
  out.facts.pages = directories.pages;
  accept_size(job, static_cast<std::uint64_t>(std::max(0, width)), static_cast<std::uint64_t>(std::max(0, height)),
              out);
  if (directories.orientation >= 1 && directories.orientation <= 8) out.facts.orientation = directories.orientation;
  out.facts.bit_depth = bits, out.facts.had_alpha = samples == 4;
  if (directories.pages > 1 && page == 0) {
    add_warning(out.facts, fmt::format("a file of {} pages: only the first is used", directories.pages));
  }
  if (job.header_only) return;

  PixPtr pix = read_stored(job, page, directories);
  if (!pix || pixGetWidth(pix.get()) != width || pixGetHeight(pix.get()) != height) {
    damaged(job, ImageFormat::tiff,
            fmt::format("its {} x {} pixels of {} x {} bits cannot be read, or their kind is not supported", width,
                        height, samples, bits));
  }
  take_pixels(job, std::move(pix), out);
}

}  // namespace mtmd::media
