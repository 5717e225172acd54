// Pixtral (arXiv:2410.07073): pictures of any size, a break after each row of tokens.
#include "encoders/projector/pixtral_picture.h"
#include "encoders/projector/registry.h"

namespace mtmd::encoders {
namespace {

class Pixtral final : public PixtralPicture {
 public:
  Pixtral(const gguf::File& file, Device& device) : PixtralPicture("pixtral", file, device, {"", "[IMG_END]"}) {
    row_break_ = weights_.vector_if("v.token_embd.img_break", text_width_);
  }

 protected:
  Canvas canvas(image::Size size, const ImageLimits& limits) const override {
    return dynamic_canvas(size, align(), token_range(limits, {8, 1024}), image::Filter::bilinear);
  }

  /// The break between rows of tokens.
  int extra_tokens(Grid g) const override { return row_break_.empty() ? 0 : g.rows - 1; }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    if (row_break_.empty()) return embed_cells(y, inputs, ws);
    const Grid g{inputs.front()->nx, inputs.front()->ny};
    const auto n_inputs = static_cast<std::int64_t>(inputs.size());
    const std::int64_t n_cells = std::int64_t{g.columns} * g.rows, n_tokens = y.rows / n_inputs;
    const Tensor rows = ws.tensor(n_inputs * n_cells, y.cols);
    embed_cells(rows, inputs, ws);
    for (std::int64_t i = 0; i < n_inputs; ++i)
      end_rows(device_, y.rows_at(i * n_tokens, n_tokens), rows.rows_at(i * n_cells, n_cells), g.columns, row_break_);
  }

 private:
  Vector row_break_;  // [text_width], optional
};

}  // namespace

extern const ProjectorType projector_pixtral = {
    "pixtral", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Pixtral>(file, device);
    }};

}  // namespace mtmd::encoders
