// Recordings in every format, written by the libraries' own encoders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mtmd::media::testing {

using Bytes = std::vector<std::byte>;

/// A WAV file; `claimed` instead of the true size of its data.
template <class T>
Bytes wav(const std::vector<T>& data, int channels, int rate, bool floats = false, std::int64_t claimed = -1);

/// By libsndfile: SF_FORMAT_… of `format`. samples: mono.
Bytes by_libsndfile(std::span<const float> samples, int rate, int format);
/// By libav: container and encoder by their names there. Empty where libav cannot or was not built in. The recorder
/// pauses for `pause` samples in the middle.
Bytes by_libav(std::span<const float> samples, int rate, const std::string& container, const std::string& encoder,
               std::int64_t pause = 0);

template <class T>
void put(Bytes& to, T value) {
  const auto* p = reinterpret_cast<const std::byte*>(&value);
  to.insert(to.end(), p, p + sizeof value);
}
inline void say(Bytes& to, std::string_view text) {
  for (const char c : text) to.push_back(static_cast<std::byte>(c));
}

template <class T>
Bytes wav(const std::vector<T>& data, int channels, int rate, bool floats, std::int64_t claimed) {
  const auto size = static_cast<std::uint32_t>(data.size() * sizeof(T));
  const auto told = claimed < 0 ? size : static_cast<std::uint32_t>(claimed);
  Bytes b;
  say(b, "RIFF"), put(b, std::uint32_t{36} + told), say(b, "WAVEfmt "), put(b, std::uint32_t{16});
  put(b, static_cast<std::uint16_t>(floats ? 3 : 1)), put(b, static_cast<std::uint16_t>(channels));
  put(b, static_cast<std::uint32_t>(rate));
  put(b, static_cast<std::uint32_t>(static_cast<std::size_t>(rate) * static_cast<std::size_t>(channels) * sizeof(T)));
  put(b, static_cast<std::uint16_t>(channels * static_cast<int>(sizeof(T))));
  put(b, static_cast<std::uint16_t>(8 * sizeof(T))), say(b, "data"), put(b, told);
  for (const T v : data) put(b, v);
  return b;
}

}  // namespace mtmd::media::testing
