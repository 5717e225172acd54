#include "mtmd/conformance/media_pixels.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "encoders/image/resize.h"
#include "encoders/image/sizing.h"
#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "mtmd/conformance/media_recording.h"
#include "mtmd/conformance/media_sound.h"
#include "mtmd/conformance/reference_jpeg.h"
#include "mtmd/media/image_file.h"

namespace mtmd::conformance {
namespace fs = std::filesystem;
namespace {

template <class Body>
void check(const Sink& sink, const std::string& name, const std::string& compared, Body body) {
  Result r;
  r.kind = "media", r.name = name, r.compared = compared;
  try {
    body(r);
  } catch (const BadRecording& b) {
    r.outcome = Outcome::failed, r.detail = b.what;
  } catch (const std::exception& e) {
    r.outcome = Outcome::failed, r.detail = e.what();
  }
  sink(r);
}

image::Image need_picture(const gguf::File& golden, const std::string& name) {
  auto picture = recorded_picture(golden, name);
  if (!picture) throw BadRecording{"the recorded tensor " + name + " is missing"};
  return std::move(*picture);
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0, end; begin <= text.size(); begin = end + 1) {
    end = std::min(text.find(at, begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
  }
  return parts;
}

template <class T>
T named(const std::string& name, std::initializer_list<std::pair<const char*, T>> all) {
  for (const auto& [known, value] : all) {
    if (name == known) return value;
  }
  throw BadRecording{"'" + name + "' in golden.cases is unknown"};
}

struct Difference {
  int most = 0;         ///< levels
  std::size_t off = 0;  ///< values that differ
  double mean = 0;      ///< levels
};

Difference difference(const image::Image& got, const image::Image& want) {
  if (got.size() != want.size()) {
    throw BadRecording{
        fmt::format("the picture is {} x {}, recorded {} x {}", got.width, got.height, want.width, want.height)};
  }
  Difference d;
  for (std::size_t i = 0; i < got.rgb.size(); ++i) {
    const int levels = std::abs(got.rgb[i] - want.rgb[i]);
    d.most = std::max(d.most, levels), d.off += levels != 0, d.mean += levels;
  }
  d.mean /= static_cast<double>(std::max<std::size_t>(1, got.rgb.size()));
  return d;
}

/// Values of the cubic filters that are one level off: near-ties, judged over all cases of a filter.
struct NearTies {
  image::Filter filter;
  std::string name;
  double most;  ///< share that may be off
  std::size_t off = 0, n = 0;
};

void resize_case(const gguf::File& golden, const std::string& name, const image::Color& color,
                 std::span<NearTies> near_ties, Result& r) {
  const auto parts = split(name, '.'), size = split(parts.size() == 4 ? parts[1] : "", 'x');
  if (size.size() != 2)
    throw BadRecording{"'" + name + "' in golden.cases has not the form picture.WxH.filter.padding"};
  using image::Filter, image::Padding;
  const auto filter = named<Filter>(parts[2], {{"bilinear", Filter::bilinear},
                                               {"bicubic", Filter::bicubic},
                                               {"bicubic_pillow", Filter::bicubic_pillow},
                                               {"lanczos", Filter::lanczos}});
  const auto padding =
      named<Padding>(parts[3], {{"none", Padding::none}, {"ceil", Padding::ceil}, {"nearest", Padding::nearest}});
  const image::Size canvas{std::stoi(size[0]), std::stoi(size[1])};
  if (canvas.width < 1 || canvas.height < 1 || canvas.width > 4096 || canvas.height > 4096) {
    throw BadRecording{"'" + name + "' is absurd"};
  }
  const image::Image want = need_picture(golden, name);
  const Difference d =
      difference(image::fit(need_picture(golden, "src." + parts[0]), canvas, filter, padding, color), want);
  const auto ties =
      std::find_if(near_ties.begin(), near_ties.end(), [&](const NearTies& t) { return t.filter == filter; });
  if (ties != near_ties.end()) ties->off += d.off, ties->n += want.rgb.size();
  judge(r, d.most, ties != near_ties.end() ? 1 : 0, fmt::format("{} values differ", d.off));
}

void smart_resize_rows(const gguf::File& golden, Result& r) {
  const gguf::TensorInfo* rows = golden.find("smart_resize");
  if (rows == nullptr || rows->type != DType::I32 || rows->shape.size() != 2 || rows->shape[1] != 8) {
    throw BadRecording{"the recorded tensor smart_resize is missing or has another shape"};
  }
  for (std::int64_t i = 0; i < rows->shape[0]; ++i) {
    std::array<std::int32_t, 8> v;  // w, h, align, min, max, longest, out_w, out_h
    std::memcpy(v.data(), rows->data.data() + i * sizeof v, sizeof v);
    if (v[0] < 1 || v[1] < 1 || v[2] < 1) throw BadRecording{fmt::format("smart_resize row {} is absurd", i)};
    const image::Size got = image::smart_resize({v[0], v[1]}, {v[2], v[3], v[4], v[5]});
    if (got == image::Size{v[6], v[7]}) continue;
    return judge(r, 1, 0,
                 fmt::format("row {}: {} x {} becomes {} x {}, recorded {} x {}", i, v[0], v[1], got.width, got.height,
                             v[6], v[7]));
  }
}

/// A recorded decoded file, and where it is.
struct DecodedFile {
  std::string name, hash;
  image::Size size;
  fs::path path;
};

void judge_hash(const image::Image& got, const DecodedFile& want, Result& r) {
  if (got.size() != want.size) {
    return judge(r, 1, 0,
                 fmt::format("the picture is {} x {}, recorded {} x {}", got.width, got.height, want.size.width,
                             want.size.height));
  }
  const std::string hash = fmt::format("{:016x}", fnv1a64(got.rgb));
  judge(r, hash == want.hash ? 0 : 1, 0, fmt::format("FNV-1a of the pixels is {}, recorded {}", hash, want.hash));
}

image::Image need_jpeg(const MappedFile& file, const std::string& name) {
  auto picture = reference_jpeg(file.bytes());
  if (!picture) throw BadRecording{name + " cannot be decoded as the reference does"};
  return std::move(*picture);
}

/// Another decoder than the reference's comes near its pixels.
void judge_jpeg(const image::Image& got, const image::Image& want, Result& r) {
  const Difference d = difference(got, want);
  judge(r, d.most, 3, "a value differs too much");
  if (!(d.mean < 0.1)) r.outcome = Outcome::failed, r.detail = fmt::format("{:.3f} levels apart on average", d.mean);
}

void decode_case(const fs::path& inputs, const nlohmann::json& entry, const Sink& sink) {
  if (entry.value("kind", "") == "pcm") return run_decoded_sound(inputs.parent_path(), entry, sink);
  const std::string name = "decode/" + entry.value("file", "?");
  std::optional<DecodedFile> jpeg;
  check(sink, name, "decoded", [&](Result& r) {
    DecodedFile want{entry.at("file"), entry.at("fnv1a64"), {entry.at("nx"), entry.at("ny")}, {}};
    want.path = inputs / want.name;
    const MappedFile file(want.path);
    const media::ImageOptions reference{.convention = media::Convention::reference};
    const image::Image got = media::decode_image(file.bytes(), want.name, reference).image;
    if (media::image_format(file.bytes()) != media::ImageFormat::jpeg) return judge_hash(got, want, r);
    jpeg = want;
    judge_jpeg(got, need_jpeg(file, want.name), r);
  });
  if (!jpeg) return;
  check(sink, name, "decoded (reference's JPEG decoder)",
        [&](Result& r) { judge_hash(need_jpeg(MappedFile(jpeg->path), jpeg->name), *jpeg, r); });
}

}  // namespace

void run_resize(const fs::path& path, const Sink& sink) {
  std::optional<gguf::File> golden;
  std::vector<std::string_view> cases;
  image::Color color{};
  check(sink, "resize/smart_resize", "sizes", [&](Result& r) {
    golden = gguf::File::open(path);
    cases = golden->metadata().require<std::vector<std::string_view>>("golden.cases");
    const auto pad = golden->metadata().require<std::vector<std::int32_t>>("golden.pad_color");
    if (pad.size() != 3) throw BadRecording{"golden.pad_color has not three values"};
    for (std::size_t i = 0; i < 3; ++i) color[i] = static_cast<std::uint8_t>(pad[i]);
    smart_resize_rows(*golden, r);
  });
  std::array near_ties = {NearTies{image::Filter::bicubic, "bicubic", 1e-3},
                          NearTies{image::Filter::bicubic_pillow, "bicubic_pillow", 5e-4}};
  for (const std::string_view name : cases) {
    check(sink, fmt::format("resize/{}", name), "pixels",
          [&](Result& r) { resize_case(*golden, std::string(name), color, near_ties, r); });
  }
  for (const NearTies& ties : near_ties) {
    check(sink, "resize/" + ties.name, "share of values one level off", [&](Result& r) {
      if (ties.n == 0) throw BadRecording{"no case of this filter is recorded"};
      judge(r, static_cast<double>(ties.off) / static_cast<double>(ties.n), ties.most,
            fmt::format("{} of {} values differ", ties.off, ties.n));
    });
  }
}

void run_decode(const fs::path& path, const fs::path& inputs, const Sink& sink) {
  try {
    const gguf::File golden = gguf::File::open(path);
    const auto files = nlohmann::json::parse(golden.metadata().require<std::string_view>("golden.files"));
    for (const auto& entry : files) decode_case(inputs, entry, sink);
  } catch (const std::exception& e) {
    check(sink, "decode", "recording", [&](Result&) { throw BadRecording{e.what()}; });
  }
}

}  // namespace mtmd::conformance
