#include "mtmd/quality/plot.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace mtmd::quality {
namespace {

constexpr double kWidth = 860, kHeight = 540, kLeft = 84, kRight = 30, kTop = 72, kBottom = 66;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (static_cast<unsigned char>(c) >= ' ') {
      out += c;
    }
  }
  return out;
}

struct Axis {
  double low = 0, high = 1, from = 0, to = 1;
  double at(double v) const noexcept { return from + (v - low) / (high - low) * (to - from); }
};

/// Steps of 1, 2 or 5 times a power of ten, five to ten of them.
double step_of(double range) {
  const double power = std::pow(10.0, std::floor(std::log10(range / 5)));
  for (const double m : {1.0, 2.0, 5.0})
    if (range / (m * power) <= 8) return m * power;
  return 10 * power;
}

std::string text(double x, double y, std::string_view anchor, int size, std::string_view what,
                 std::string_view colour = "#333") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\" fill=\"{}\">{}</text>\n", x,
                     y, anchor, size, escaped(colour), escaped(what));
}

std::string line(double x1, double y1, double x2, double y2, std::string_view colour) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n", x1, y1, x2, y2,
                     colour);
}

/// Has a place on axes of which one is logarithmic.
bool drawable(const Series::Point& p) noexcept { return std::isfinite(p.x) && std::isfinite(p.y) && p.y > 0; }

struct Axes {
  Axis x, y;  ///< y of log10
};

Axes axes_of(const Chart& chart) {
  constexpr double kFar = std::numeric_limits<double>::infinity();
  double x0 = kFar, x1 = -kFar, y0 = kFar, y1 = -kFar;
  for (const Series& s : chart.series)
    for (const Series::Point& p : s.points) {
      if (!drawable(p)) continue;
      x0 = std::min(x0, p.x), x1 = std::max(x1, p.x);
      y0 = std::min(y0, std::log10(p.y)), y1 = std::max(y1, std::log10(p.y));
    }
  if (x0 > x1) x0 = y0 = 0, x1 = y1 = 1;
  const double dx = std::max(x1 - x0, 1e-6) * 0.08, dy = std::max(y1 - y0, 0.3) * 0.08;
  return {{x0 - dx, x1 + dx, kLeft, kWidth - kRight}, {y0 - dy, y1 + dy, kHeight - kBottom, kTop}};
}

std::string grid(const Axes& a) {
  std::string out;
  const double step = step_of(a.x.high - a.x.low);
  for (double v = std::ceil(a.x.low / step) * step; v <= a.x.high; v += step) {
    out += line(a.x.at(v), kTop, a.x.at(v), kHeight - kBottom, "#eee");
    out += text(a.x.at(v), kHeight - kBottom + 18, "middle", 12, fmt::format("{:g}", std::abs(v) < 1e-12 ? 0 : v));
  }
  for (double power = std::floor(a.y.low); power <= a.y.high; ++power)
    for (const int m : {1, 2, 5}) {
      const double v = power + std::log10(m);
      if (v < a.y.low || v > a.y.high) continue;
      out += line(kLeft, a.y.at(v), kWidth - kRight, a.y.at(v), m == 1 ? "#ddd" : "#f0f0f0");
      out += text(kLeft - 8, a.y.at(v) + 4, "end", 12, fmt::format("{:g}", m * std::pow(10.0, power)));
    }
  return out;
}

std::string drawn(const Series& s, const Axes& a) {
  std::vector<Series::Point> points;
  for (const Series::Point& p : s.points)
    if (drawable(p)) points.push_back(p);
  std::ranges::stable_sort(points, {}, &Series::Point::x);
  const std::string colour = escaped(s.colour);
  std::string out;
  if (s.line && points.size() > 1) {
    out += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"2\" points=\"", colour);
    for (const auto& p : points) out += fmt::format("{:.1f},{:.1f} ", a.x.at(p.x), a.y.at(std::log10(p.y)));
    out += "\"/>\n";
  }
  double last_x = -kWidth;  // of the last label above the line: its right neighbour goes below where they would meet
  for (const auto& p : points) {
    const double x = a.x.at(p.x), y = a.y.at(std::log10(p.y));
    out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n", x, y, colour);
    if (p.label.empty()) continue;
    const bool above = x - last_x > 8.0 * static_cast<double>(p.label.size());
    out += text(x + 7, above ? y - 7 : y + 17, "start", 12, p.label, s.colour);
    if (above) last_x = x;
  }
  return out;
}

}  // namespace

std::string svg(const Chart& chart) {
  const Axes a = axes_of(chart);
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:g}\" height=\"{1:g}\" viewBox=\"0 0 {0:g} {1:g}\" "
      "font-family=\"sans-serif\">\n<rect width=\"{0:g}\" height=\"{1:g}\" fill=\"white\"/>\n",
      kWidth, kHeight);
  out += text(kLeft, 28, "start", 18, chart.title, "#111");
  out += text(kLeft, 48, "start", 12, chart.subtitle, "#666");
  out += grid(a);
  out += line(kLeft, kHeight - kBottom, kWidth - kRight, kHeight - kBottom, "#333");
  out += line(kLeft, kTop, kLeft, kHeight - kBottom, "#333");
  out += text((kLeft + kWidth - kRight) / 2, kHeight - 22, "middle", 13, chart.x_label);
  out += fmt::format("<g transform=\"translate(22 {:.1f}) rotate(-90)\">{}</g>\n", (kTop + kHeight - kBottom) / 2,
                     text(0, 0, "middle", 13, chart.y_label));
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const Series& s = chart.series[i];
    out += drawn(s, a);
    const double y = kTop + 18 + 20 * static_cast<double>(i);
    out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n", kWidth - kRight - 200, y,
                       escaped(s.colour));
    out += text(kWidth - kRight - 190, y + 4, "start", 13, s.name);
  }
  return out + "</svg>\n";
}

}  // namespace mtmd::quality
