#include "mtmd/media/leptonica.h"

#include <leptonica/allheaders.h>

#include <mutex>
#include <new>

namespace mtmd::media {

void PixDestroyer::operator()(Pix* pix) const noexcept { pixDestroy(&pix); }

void quiet_leptonica() {
  static std::once_flag quiet;
  std::call_once(quiet, [] {
    setMsgSeverity(L_SEVERITY_NONE);
    leptSetStderrHandler([](const char*) {});  // some of its complaints have no severity
  });
}

void take_pixels(const DecodeJob& job, PixPtr pix, DecodedImage& out) {
  if (pixGetDepth(pix.get()) != 32) {
    pix.reset(pixConvertTo32(pix.get()));
    if (!pix) throw std::bad_alloc();
  }
  const bool compose = pixGetSpp(pix.get()) == 4 && job.options.convention == Convention::people;
  reserve_pixels(job, out);
  const l_uint32* words = pixGetData(pix.get());
  const l_int32 words_per_row = pixGetWpl(pix.get());
  for (int y = 0; y < out.image.height; ++y) {
    const l_uint32* row = words + static_cast<std::size_t>(y) * static_cast<std::size_t>(words_per_row);
    for (int x = 0; x < out.image.width; ++x) {
      const l_uint32 v = row[x];
      const auto alpha = static_cast<std::uint8_t>(compose ? v >> L_ALPHA_SHIFT & 255 : 255);
      for (const int shift : {L_RED_SHIFT, L_GREEN_SHIFT, L_BLUE_SHIFT}) {
        out.image.rgb.push_back(on_white(static_cast<std::uint8_t>(v >> shift & 255), alpha));
      }
    }
  }
}

}  // namespace mtmd::media
