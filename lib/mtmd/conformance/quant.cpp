// Recorded block formats (shared/conformance/quant/README.md): decoding, encoding and dot products of every type.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/gguf/gguf.h"
#include "engine/quant/quant.h"
#include "mtmd/conformance/conformance.h"

namespace mtmd::conformance {
namespace {

using gguf::TensorInfo;

/// Something recorded is missing or has the wrong form: the case fails.
struct Damaged {
  std::string what;
};

const TensorInfo& need(const gguf::File& file, const std::string& name, const std::vector<std::int64_t>& shape = {}) {
  const TensorInfo* t = file.find(name);
  if (!t) throw Damaged{"the recorded tensor " + name + " is missing"};
  if (!shape.empty() && t->shape != shape) throw Damaged{"the recorded tensor " + name + " has an unexpected shape"};
  return *t;
}

const quant::Format& format_of(DType type) {
  const quant::Format* f = quant::find(type);
  if (!f) throw Damaged{fmt::format("no decoder for {}", name(type))};
  return *f;
}

std::vector<float> decoded(const TensorInfo& t) {
  std::vector<float> values(static_cast<std::size_t>(t.n_values()));
  format_of(t.type).decode(t.data.data(), values.data(), t.n_values());
  return values;
}

std::vector<float> floats(const gguf::File& file, const std::string& name, const std::vector<std::int64_t>& shape) {
  const TensorInfo& t = need(file, name, shape);
  if (t.type != DType::F32) throw Damaged{"the recorded tensor " + name + " is not F32"};
  return decoded(t);
}

/// Equal to the last bit, the sign of zero included.
void compare_exactly(std::span<const float> got, std::span<const float> want, Result& r) {
  std::size_t n_different = 0, first = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (std::bit_cast<std::uint32_t>(got[i]) == std::bit_cast<std::uint32_t>(want[i])) continue;
    if (n_different++ == 0) first = i;
    const double d = std::fabs(static_cast<double>(got[i]) - want[i]);
    r.difference = std::isnan(d) ? d : std::max(r.difference, d);
  }
  if (n_different == 0) return;
  r.outcome = Outcome::failed;
  r.detail = fmt::format("{} of {} values differ, the first is value {}: {} instead of {}", n_different, want.size(),
                         first, got[first], want[first]);
}

void compare_bytes(std::span<const std::byte> got, std::span<const std::byte> want, Result& r) {
  if (got.size() != want.size())
    throw Damaged{fmt::format("{} bytes are recorded, expected {}", want.size(), got.size())};
  const auto [a, b] = std::mismatch(got.begin(), got.end(), want.begin());
  if (a == got.end()) return;
  for (std::size_t i = 0; i < got.size(); ++i) r.difference += got[i] != want[i];
  r.outcome = Outcome::failed;
  r.detail = fmt::format("{} of {} bytes differ, the first is byte {}", r.difference, got.size(), a - got.begin());
}

/// Row by row: some encoders look at the whole row.
std::vector<std::byte> encoded(const quant::Format& f, std::span<const float> values, std::int64_t cols,
                               std::span<const float> importance = {}) {
  std::vector<std::byte> bytes(row_bytes(f.type, static_cast<std::int64_t>(values.size())));
  for (std::size_t row = 0, at = 0; at < values.size(); ++row, at += static_cast<std::size_t>(cols))
    f.encode(values.data() + at, bytes.data() + row * row_bytes(f.type, cols), cols,
             importance.empty() ? nullptr : importance.data(), quant::Effort::standard);
  return bytes;
}

/// Types whose encoding is no search: equal bytes are required. For the others an error as small as recorded will do.
bool must_be_identical(DType type, bool importance) {
  constexpr std::array exact = {DType::F16,   DType::BF16,  DType::Q4_0, DType::Q4_1, DType::Q5_0,
                                DType::Q5_1,  DType::Q8_0,  DType::Q8_1, DType::Q8_K, DType::MXFP4,
                                DType::TQ1_0, DType::TQ2_0, DType::Q1_0, DType::Q2_0};
  return !importance && std::find(exact.begin(), exact.end(), type) != exact.end();
}

/// Squared error of one row, weighted by `importance` where there is one.
double row_error(const quant::Format& f, const std::byte* blocks, std::span<const float> values,
                 std::span<const float> importance) {
  std::vector<float> got(values.size());
  f.decode(blocks, got.data(), static_cast<std::int64_t>(values.size()));
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double d = static_cast<double>(got[i]) - values[i];
    sum += d * d * (importance.empty() ? 1.0 : importance[i]);
  }
  return sum;
}

/// Other bytes than recorded: no row may be worse for it.
void compare_errors(const quant::Format& f, std::span<const std::byte> got, std::span<const std::byte> want,
                    std::span<const float> values, std::int64_t cols, std::span<const float> importance, Result& r) {
  const std::size_t bytes = row_bytes(f.type, cols), n = static_cast<std::size_t>(cols);
  for (std::size_t row = 0; row < values.size() / n; ++row) {
    const std::span<const float> x = values.subspan(row * n, n);
    const double ours = row_error(f, got.data() + row * bytes, x, importance);
    const double recorded = row_error(f, want.data() + row * bytes, x, importance);
    if (ours <= recorded) continue;
    r.outcome = Outcome::failed;
    r.detail += fmt::format("; row {} has the error {}, recorded: {}", row, ours, recorded);
    return;
  }
  r.outcome = Outcome::passed;
  r.detail += "; no row has a larger error than recorded";
}

/// The type that a matrix product rounds its right-hand side to.
DType activation_type(DType weights) {
  if (weights == DType::F16 || weights == DType::BF16) return weights;
  if (weights == DType::Q4_1 || weights == DType::Q5_1) return DType::Q8_1;
  return info(weights).block_size == 256 ? DType::Q8_K : DType::Q8_0;
}

float half_at(const std::byte* p) {
  std::uint16_t bits;
  std::memcpy(&bits, p, sizeof bits);
  return quant::f16_to_f32(bits);
}

/// Q4_1 and Q5_1 multiply their offset with the block sum that Q8_1 stores in half precision, not with the sum of its
/// values: what this adds to the product of the decoded values.
double offset_correction(DType type, const std::byte* row, std::span<const std::byte> act,
                         std::span<const float> act_values) {
  if (type != DType::Q4_1 && type != DType::Q5_1) return 0;
  double correction = 0;
  for (std::size_t b = 0; b < act_values.size() / 32; ++b) {
    double sum = 0;
    for (std::size_t j = 0; j < 32; ++j) sum += act_values[32 * b + j];
    const float m = half_at(row + b * info(type).block_bytes + 2), s = half_at(act.data() + 36 * b + 2);
    correction += m * (s - sum);
  }
  return correction;
}

class Runner {
 public:
  Runner(const gguf::File& file, std::string name, const Sink& sink)
      : file_(file), name_(std::move(name)), sink_(sink) {}
  void run();

 private:
  template <class Check>
  void check(std::string compared, Check body);
  void decode(const std::string& raw, const std::string& values, const std::string& label);
  void encode(const std::string& recorded, const std::string& source, const std::string& label);
  void dot(const std::string& type);

  const gguf::File& file_;
  std::string name_;
  const Sink& sink_;
};

template <class Check>
void Runner::check(std::string compared, Check body) {
  Result r;
  r.kind = "quant";
  r.name = name_;
  r.compared = std::move(compared);
  try {
    body(r);
  } catch (const Damaged& d) {
    r.outcome = Outcome::failed;
    r.detail = d.what;
  }
  sink_(r);
}

void Runner::decode(const std::string& raw, const std::string& values, const std::string& label) {
  check("decode " + label, [&](Result& r) {
    const TensorInfo& blocks = need(file_, raw);
    if (name(blocks.type) != label.substr(0, label.find('.')))
      throw Damaged{raw + " is of type " + std::string(name(blocks.type))};
    compare_exactly(decoded(blocks), floats(file_, values, blocks.shape), r);
  });
}

void Runner::encode(const std::string& recorded, const std::string& source, const std::string& label) {
  check(label, [&](Result& r) {
    const TensorInfo& want = need(file_, recorded);
    const quant::Format& f = format_of(want.type);
    if (!f.encode) {
      r.outcome = Outcome::unsupported;
      r.detail = "encoding is not supported";
      return;
    }
    const std::vector<float> values = floats(file_, source, want.shape);
    const std::int64_t cols = want.shape.back();
    std::vector<float> importance;
    if (recorded.ends_with(".imat")) importance = floats(file_, "imatrix", {cols});
    const std::vector<std::byte> got = encoded(f, values, cols, importance);
    compare_bytes(got, want.data, r);
    if (r.outcome == Outcome::failed && !must_be_identical(f.type, !importance.empty()))
      compare_errors(f, got, want.data, values, cols, importance, r);
  });
}

void Runner::dot(const std::string& type) {
  check("dot " + type, [&](Result& r) {
    const TensorInfo& q = file_.find("q." + type) ? need(file_, "q." + type) : need(file_, "q." + type + ".imat");
    if (q.shape.size() != 2) throw Damaged{"the rows of " + type + " are not a matrix"};
    const std::int64_t rows = q.shape[0], cols = q.shape[1];
    const std::vector<float> want = floats(file_, "dot." + type, {rows}), act = floats(file_, "act", {cols}),
                             w = decoded(q);
    const quant::Format& act_format = format_of(activation_type(q.type));
    if (act.size() % info(act_format.type).block_size != 0) throw Damaged{"act is not a whole number of blocks"};
    const std::vector<std::byte> act_bytes = encoded(act_format, act, cols);
    std::vector<float> x(act.size());
    act_format.decode(act_bytes.data(), x.data(), cols);
    for (std::int64_t i = 0; i < rows; ++i) {
      double sum = offset_correction(q.type, q.data.data() + i * row_bytes(q.type, cols), act_bytes, x), ww = 0, aa = 0;
      for (std::int64_t j = 0; j < cols; ++j) {
        const double v = w[i * cols + j];
        sum += v * x[j];
        ww += v * v;
        aa += static_cast<double>(act[j]) * act[j];
      }
      // Reported in the unit of the tolerance: relative to |row| |act|. A row of zeros has an exact product.
      const double size = std::sqrt(ww) * std::sqrt(aa), error = std::fabs(sum - want[i]);
      const double relative = error == 0 ? 0 : error / size;
      if (!(relative <= 1e-6) && r.outcome == Outcome::passed) {
        r.outcome = Outcome::failed;
        r.detail = fmt::format("row {}: {} instead of {}", i, sum, want[i]);
      }
      r.difference = std::isnan(relative) ? relative : std::max(r.difference, relative);
    }
    r.tolerance = 1e-6;
  });
}

void Runner::run() {
  // The cases are the union of what is recorded, so that a value without its counterpart shows up as a failure.
  std::set<std::string> decodes, probes, activations, dots;
  for (const TensorInfo& t : file_.tensors()) {
    const std::string n(t.name);
    if (n.starts_with("q.")) decodes.insert(n.substr(2));
    if (n.starts_with("dq.")) decodes.insert(n.substr(3));
    if (n.starts_with("raw.") || n.starts_with("val.")) probes.insert(n.substr(4));
    if (n.starts_with("actq.")) activations.insert(n.substr(5));
    if (n.starts_with("dot.")) dots.insert(n.substr(4));
  }
  for (const std::string& t : probes) decode("raw." + t, "val." + t, t);
  for (const std::string& t : decodes) decode("q." + t, "dq." + t, t);
  for (const std::string& t : decodes) encode("q." + t, "input", "encode " + t);
  for (const std::string& t : activations) encode("actq." + t, "act", "round activations to " + t);
  for (const std::string& t : dots) dot(t);
  if (probes.empty() && decodes.empty())
    check("recorded blocks", [](Result&) { throw Damaged{"the file records no blocks"}; });
}

}  // namespace

void run_quant(const std::filesystem::path& folder, const Sink& sink) {
  constexpr std::string_view suffix = ".golden.gguf";
  const auto failure = [&](std::string name, std::string why) {
    sink({"quant", std::move(name), "recorded blocks", Outcome::failed, 0, 0, std::move(why)});
  };
  std::set<std::filesystem::path> files;
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator(folder, unreadable))
    if (entry.path().filename().string().ends_with(suffix)) files.insert(entry.path());
  if (files.empty()) failure(folder.filename().string(), "no *.golden.gguf in " + folder.string());
  for (const auto& path : files) {
    std::string name = path.filename().string();
    name.resize(name.size() - suffix.size());
    try {
      const gguf::File file = gguf::File::open(path);
      Runner(file, name, sink).run();
    } catch (const Error& e) {
      failure(name, e.what());
    }
  }
}

}  // namespace mtmd::conformance
