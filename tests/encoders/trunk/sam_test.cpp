// Segment Anything's encoder against plain loops that follow the paper: windows cut out of the grid, a score per pair
// of patches with its two relative terms.
#include "encoders/trunk/sam.h"

#include <gtest/gtest.h>

#include <cmath>

#include "encoders/image/resize.h"
#include "encoders/projector/loaded.h"

namespace mtmd::encoders {
namespace {

using namespace testing;  // NOLINT: mtmd::encoders::testing
using Rows = std::vector<std::vector<double>>;

constexpr int kSam = 12, kHeads = 2, kHead = kSam / kHeads, kWindow = 6, kPatch = 7;

/// The tiny deepseekocr file's tensors as doubles.
class Oracle {
 public:
  explicit Oracle(const gguf::File& file) : weights_(file) {}

  std::vector<double> values(const std::string& name) {
    const gguf::TensorInfo* info = weights_.find(name);
    const auto* data = reinterpret_cast<const float*>(info->data.data());  // F32, as written
    return {data, data + info->n_values()};
  }
  Rows linear(const Rows& x, const std::string& name, std::size_t first, std::size_t out) {
    const auto w = values(name + ".weight"), b = values(name + ".bias");
    Rows y(x.size(), std::vector<double>(out));
    for (std::size_t r = 0; r < x.size(); ++r) {
      for (std::size_t o = 0; o < out; ++o) {
        y[r][o] = b[first + o];
        for (std::size_t i = 0; i < x[r].size(); ++i) y[r][o] += w[(first + o) * x[r].size() + i] * x[r][i];
      }
    }
    return y;
  }
  Rows norm(const Rows& x, const std::string& name) {
    const auto w = values(name + ".weight"), b = values(name + ".bias");
    Rows y = x;
    for (auto& row : y) {
      double mean = 0, var = 0;
      for (double v : row) mean += v / static_cast<double>(row.size());
      for (double v : row) var += (v - mean) * (v - mean) / static_cast<double>(row.size());
      for (std::size_t i = 0; i < row.size(); ++i) row[i] = (row[i] - mean) / std::sqrt(var + 1e-6) * w[i] + b[i];
    }
    return y;
  }
  /// One window of side x side patches, `table` rows for distances -(side - 1) .. side - 1.
  Rows attend(const Rows& x, int side, const std::string& block) {
    const Rows q = linear(x, block + "attn.qkv", 0, kSam), k = linear(x, block + "attn.qkv", kSam, kSam),
               v = linear(x, block + "attn.qkv", 2 * kSam, kSam);
    const auto rows = values(block + "attn.pos_h.weight"), columns = values(block + "attn.pos_w.weight");
    Rows y(x.size(), std::vector<double>(kSam));
    for (int i = 0; i < side * side; ++i) {
      for (int head = 0; head < kHeads; ++head) {
        const double* query = &q[i][head * kHead];
        std::vector<double> scores;
        double sum = 0;
        for (int j = 0; j < side * side; ++j) {
          const int dy = i / side - j / side + side - 1, dx = i % side - j % side + side - 1;
          double score = 0;
          for (int c = 0; c < kHead; ++c)
            score +=
                query[c] * (k[j][head * kHead + c] / std::sqrt(kHead) + rows[dy * kHead + c] + columns[dx * kHead + c]);
          scores.push_back(std::exp(score)), sum += scores.back();
        }
        for (int j = 0; j < side * side; ++j) {
          for (int c = 0; c < kHead; ++c) y[i][head * kHead + c] += scores[j] / sum * v[j][head * kHead + c];
        }
      }
    }
    return linear(y, block + "attn.out", 0, kSam);
  }
  /// x += attention in windows; those at the edges are filled up with zeros behind the norm.
  void add_attention(Rows& x, int grid, int window, const std::string& block) {
    const Rows normed = norm(x, block + "pre_ln");
    for (int top = 0; top < grid; top += window) {
      for (int left = 0; left < grid; left += window) {
        Rows part(static_cast<std::size_t>(window * window), std::vector<double>(kSam));
        const auto inside = [&](int i) { return top + i / window < grid && left + i % window < grid; };
        const auto at = [&](int i) { return (top + i / window) * grid + left + i % window; };
        for (int i = 0; i < window * window; ++i) {
          if (inside(i)) part[i] = normed[at(i)];
        }
        const Rows out = attend(part, window, block);
        for (int i = 0; i < window * window; ++i) {
          for (int c = 0; inside(i) && c < kSam; ++c) x[at(i)][c] += out[i][c];
        }
      }
    }
  }
  void add_feed_forward(Rows& x, const std::string& block) {
    Rows h = linear(norm(x, block + "post_ln"), block + "mlp.lin1", 0, 2 * kSam);
    for (auto& row : h) {
      for (double& v : row) v = v / 2 * (1 + std::erf(v / std::sqrt(2.0)));
    }
    const Rows out = linear(h, block + "mlp.lin2", 0, kSam);
    for (std::size_t r = 0; r < x.size(); ++r) {
      for (int c = 0; c < kSam; ++c) x[r][c] += out[r][c];
    }
  }
  /// Zero padding of kernel / 2; x: [side * side], `kernel` x `kernel` values per pair of channels.
  Rows conv(const Rows& x, const std::string& name, int side, int out, int kernel, int stride, int pad) {
    const auto w = values(name + ".weight");
    const int in = static_cast<int>(x[0].size()), to = (side + 2 * pad - kernel) / stride + 1;
    Rows y(static_cast<std::size_t>(to * to), std::vector<double>(out));
    for (int i = 0; i < to * to * out * kernel * kernel; ++i) {
      const int p = i / (out * kernel * kernel), o = i / (kernel * kernel) % out, at = i % (kernel * kernel);
      const int row = p / to * stride - pad + at / kernel, column = p % to * stride - pad + at % kernel;
      if (row < 0 || row >= side || column < 0 || column >= side) continue;
      for (int c = 0; c < in; ++c) y[p][o] += w[(o * in + c) * kernel * kernel + at] * x[row * side + column][c];
    }
    return y;
  }

 private:
  gguf::Weights weights_;
};

Rows expected(const gguf::File& file, const image::Planes& picture, int grid) {
  Oracle oracle(file);
  Rows pixels;
  for (std::size_t i = 0; i < picture.rgb.size(); i += 3)
    pixels.push_back({picture.rgb[i], picture.rgb[i + 1], picture.rgb[i + 2]});
  Rows x = oracle.conv(pixels, "v.sam.patch_embd", grid * kPatch, kSam, kPatch, kPatch, 0);
  const auto bias = oracle.values("v.sam.patch_embd.bias"), positions = oracle.values("v.sam.pos_embd.weight");
  for (std::size_t r = 0; r < x.size(); ++r) {
    for (std::size_t c = 0; c < kSam; ++c) x[r][c] += bias[c] + positions[r * kSam + c];
  }
  for (int layer = 0; layer < 3; ++layer) {
    const std::string block = "v.sam.blk." + std::to_string(layer) + ".";
    oracle.add_attention(x, grid, layer == 2 ? grid : kWindow, block);
    oracle.add_feed_forward(x, block);
  }
  x = oracle.norm(oracle.conv(x, "v.sam.neck.0", grid, 8, 1, 1, 0), "v.sam.neck.1");
  x = oracle.norm(oracle.conv(x, "v.sam.neck.2", grid, 8, 3, 1, 1), "v.sam.neck.3");
  x = oracle.conv(x, "v.sam.net_2", grid, 16, 3, 2, 1);
  return oracle.conv(x, "v.sam.net_3", grid / 2, 16, 3, 2, 1);
}

const SamSpec kSpec{
    .n_embd = kSam, .n_heads = kHeads, .n_layers = 3, .patch_size = kPatch, .window = kWindow, .n_out = 16};

TEST(Sam, AsThePaperHasIt) {
  constexpr int kGrid = 32;  // no multiple of the window
  const Loaded loaded("deepseekocr");
  gguf::Weights weights(*loaded.file);
  const Sam sam(weights, *loaded.device, kSpec);
  const image::Planes picture =
      image::normalize(noise({kGrid * kPatch, kGrid * kPatch}), {0.5f, 0.5f, 0.5f}, {1, 1, 1});
  Workspace ws(*loaded.device);
  const Tensor pixels = ws.tensor(std::int64_t{picture.height} * picture.width, 3), y = ws.tensor(64, 16);
  std::copy(picture.rgb.begin(), picture.rgb.end(), pixels.data);
  sam.run(ws, y, pixels, picture.height, picture.width, TableResize::bicubic_antialias);
  const Rows want = expected(*loaded.file, picture, kGrid);
  double error = 0, size = 0;
  for (std::int64_t r = 0; r < y.rows; ++r) {
    for (std::int64_t c = 0; c < y.cols; ++c)
      error += std::pow(y.row(r)[c] - want[r][c], 2), size += std::pow(want[r][c], 2);
  }
  EXPECT_LT(std::sqrt(error / size), 1e-5);
}

TEST(Sam, MemoryIsLinearInThePatches) {
  const Loaded loaded("deepseekocr");
  gguf::Weights weights(*loaded.file);
  const Sam sam(weights, *loaded.device, kSpec);
  const auto peak = [&](int grid) {
    Workspace ws(*loaded.device);
    const Tensor pixels = ws.tensor(std::int64_t{grid * kPatch} * grid * kPatch, 3),
                 y = ws.tensor(grid * grid / 16, 16);
    sam.run(ws, y, pixels, grid * kPatch, grid * kPatch, TableResize::bicubic);
    return static_cast<double>(ws.peak_bytes());
  };
  // Keys have a value more for each row and column; scores of all pairs would be sixteen times as many.
  EXPECT_LT(peak(64), 9 * peak(32));
}

}  // namespace
}  // namespace mtmd::encoders
