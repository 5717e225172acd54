#include "mtmd/media/libav.h"

#include <dlfcn.h>

#include "engine/base/error.h"

namespace mtmd::media {
namespace {

/// A shared library that stays loaded. RTLD_LOCAL: what it brings must not take the place of anything of ours.
class Library {
 public:
  Library(const char* name, int version)
      : name_(fmt::format("lib{}.so.{}", name, version)), handle_(::dlopen(name_.c_str(), RTLD_LAZY | RTLD_LOCAL)) {
    if (handle_ == nullptr) missing();
  }
  template <class F>
  void find(const char* function, F& pointer) const {
    pointer = reinterpret_cast<F>(::dlsym(handle_, function));
    if (pointer == nullptr) missing();
  }

 private:
  [[noreturn]] void missing() const {
    const char* why = ::dlerror();
    fail(ErrorCategory::input,
         "recordings of this kind are read by libav, and {} cannot be used ({}); install it, or "
         "convert the recording to WAV or FLAC",
         name_, why == nullptr ? "unknown reason" : why);
  }
  std::string name_;
  void* handle_;
};

Libav load() {
  Libav functions;
#define MTMD_FIND(f) library.find(#f, functions.f);
  {
    const Library library("avutil", LIBAVUTIL_VERSION_MAJOR);
    MTMD_LIBAVUTIL(MTMD_FIND)
  }
  {
    const Library library("avcodec", LIBAVCODEC_VERSION_MAJOR);
    MTMD_LIBAVCODEC(MTMD_FIND)
  }
  {
    const Library library("avformat", LIBAVFORMAT_VERSION_MAJOR);
    MTMD_LIBAVFORMAT(MTMD_FIND)
  }
#undef MTMD_FIND
  return functions;
}

}  // namespace

const Libav& libav() {
  static const Libav functions = load();
  return functions;
}

}  // namespace mtmd::media
