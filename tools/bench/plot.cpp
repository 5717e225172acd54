#include "bench/plot.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "bench/statistics.h"

namespace mtmd::bench {
namespace {

// Colours that colour-blind readers tell apart (Okabe and Ito 2008).
constexpr const char* kColours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"};
constexpr double kWidth = 900, kLeft = 92, kPlotWidth = 520, kLegend = kLeft + kPlotWidth + 24, kPanel = 330, kTop = 54,
                 kHead = 40, kFoot = 56;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default:
        if (static_cast<unsigned char>(c) >= ' ') out += c;
    }
  return out;
}

std::string label(double x, double y, std::string_view anchor, int size, std::string_view what, std::string_view style = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\" fill=\"#333\"{}>{}</text>\n", x, y,
                     anchor, size, style, escaped(what));
}
std::string line(double x1, double y1, double x2, double y2, std::string_view colour, double width = 1) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" stroke-width=\"{:g}\"/>\n",
                     x1, y1, x2, y2, colour, width);
}

struct Dimension {
  const char* title;  ///< "Generation by …"
  const char* axis;   ///< of the horizontal axis
  const char* word;  ///< in legends, before the value
  int (*value)(const Result&);
};
constexpr Dimension kDimensions[] = {
    {"sequences", "sequences generated side by side", "x", [](const Result& r) { return r.n_parallel; }},
    {"depth", "tokens in the cache beforehand", "depth ", [](const Result& r) { return r.n_depth; }},
    {"threads", "threads", "threads ", [](const Result& r) { return r.n_threads; }},
    {"length", "prompt tokens", "pp", [](const Result& r) { return r.n_prompt; }},
    {"length", "generated tokens", "tg", [](const Result& r) { return r.n_gen; }},
    {"micro-batch", "rows computed at once", "ubatch ", [](const Result& r) { return r.n_ubatch; }}};

struct Point {
  double x, y, low, high;
};
struct Panel {
  std::string title, axis, unit;
  std::map<std::string, std::vector<Point>> lines;
};

std::string kind_of(const Result& r) {
  if (r.n_prompt > 0 && r.n_gen > 0) return "Prompt and generation";
  return r.n_prompt > 0 ? "Prompt" : "Generation";
}

/// What tells the line of a result from its neighbours: everything that varies but `along`.
std::string line_name(const Result& r, const Dimension& along, std::span<const Result> all) {
  const auto varies = [&](auto value) {
    return std::ranges::any_of(all, [&](const Result& o) { return value(o) != value(all.front()); });
  };
  std::string name;
  const auto add = [&](const std::string& piece) {
    if (!piece.empty()) name += (name.empty() ? "" : ", ") + piece;
  };
  if (varies([](const Result& o) { return o.model_filename; })) add(std::filesystem::path(r.model_filename).stem());
  if (varies([](const Result& o) { return o.setting; })) add(r.setting.empty() ? "as it is" : r.setting);
  if (varies([](const Result& o) { return o.isa; })) add(r.isa);
  if (varies([](const Result& o) { return o.type_k; })) add("cache " + r.type_k);
  for (const Dimension& d : kDimensions)
    if (&d != &along && varies(d.value)) add(fmt::format("{}{}", d.word, d.value(r)));
  return name;  // empty: the only line
}

Point point_of(const Result& r, double x) {
  const auto rates = r.rates();
  const Interval i = median_interval(rates);
  return {x, median(rates), i.low, i.high};
}

std::vector<Panel> panels_of(std::span<const Result> results) {
  std::vector<Panel> panels;
  for (const char* kind : {"Prompt", "Generation", "Prompt and generation"}) {
    std::vector<Result> of_kind;
    for (const Result& r : results)
      if (r.unit == "t/s" && kind_of(r) == kind) of_kind.push_back(r);
    for (const Dimension& d : kDimensions) {
      Panel panel{std::string(kind) + " by " + d.title, d.axis, "tokens per second", {}};
      for (const Result& r : of_kind) panel.lines[line_name(r, d, of_kind)].push_back(point_of(r, d.value(r)));
      for (auto& [name, points] : panel.lines) std::ranges::stable_sort(points, {}, &Point::x);
      std::erase_if(panel.lines, [](const auto& l) { return l.second.front().x == l.second.back().x; });
      if (!panel.lines.empty()) panels.push_back(std::move(panel));
    }
  }
  return panels;
}

std::string draw(const Panel& panel, double top) {
  const double bottom = top + kPanel - kFoot, above = top + kHead;
  double highest = 0;
  std::set<double> xs;
  for (const auto& [name, points] : panel.lines)
    for (const Point& p : points) highest = std::max(highest, p.high), xs.insert(p.x);
  const std::vector<double> steps = ticks(highest);
  // The values that were measured stand at equal distances: 1, 2, 4, 8 and 0, 4096 are both readable that way.
  const std::vector<double> places(xs.begin(), xs.end());
  const auto x_at = [&](double x) {
    const auto i = static_cast<double>(std::ranges::lower_bound(places, x) - places.begin());
    return kLeft + kPlotWidth * (i + 0.5) / static_cast<double>(places.size());
  };
  const auto y_at = [&](double y) { return bottom - (bottom - above) * y / steps.back(); };
  std::string out = label(kLeft, top + 22, "start", 15, panel.title, " font-weight=\"bold\"");
  for (const double s : steps) {
    out += line(kLeft, y_at(s), kLeft + kPlotWidth, y_at(s), s == 0 ? "#333" : "#e4e4e4");
    out += label(kLeft - 8, y_at(s) + 4, "end", 12, fmt::format("{:g}", s));
  }
  for (const double x : places) {
    out += line(x_at(x), bottom, x_at(x), bottom + 5, "#333");
    out += label(x_at(x), bottom + 19, "middle", 12, fmt::format("{:g}", x));
  }
  out += label(kLeft + kPlotWidth / 2, bottom + 40, "middle", 13, panel.axis);
  out += fmt::format("<g transform=\"translate(20 {:.1f}) rotate(-90)\">{}</g>\n", (above + bottom) / 2,
                     label(0, 0, "middle", 13, panel.unit));
  std::size_t i = 0;
  for (const auto& [name, points] : panel.lines) {
    const char* colour = kColours[i % std::size(kColours)];
    // Side by side, so that whiskers of different lines do not hide each other.
    const double aside = 7 * (static_cast<double>(i) - static_cast<double>(panel.lines.size() - 1) / 2);
    std::string path;
    for (const Point& p : points) {
      const double x = x_at(p.x) + aside, y = y_at(p.y);
      path += fmt::format("{:.1f},{:.1f} ", x, y);
      out += line(x, y_at(p.low), x, y_at(p.high), colour, 1.5);
      out += line(x - 3, y_at(p.low), x + 3, y_at(p.low), colour, 1.5);
      out += line(x - 3, y_at(p.high), x + 3, y_at(p.high), colour, 1.5);
      out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"{}\"/>\n", x, y, colour);
      if (panel.lines.size() == 1) out += label(x + 8, y - 8, "start", 12, fmt::format("{:.4g}", p.y));
    }
    out += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"2\" points=\"{}\"/>\n", colour, path);
    const double y = above + 8 + 20 * static_cast<double>(i++);
    if (name.empty()) continue;
    out += line(kLegend, y, kLegend + 22, y, colour, 2);
    out += label(kLegend + 28, y + 4, "start", 12, name);
  }
  return out;
}

/// One bar per result.
std::string draw_bars(std::span<const Result> results, double top) {
  double highest = 0;
  for (const Result& r : results) highest = std::max(highest, median_interval(r.rates()).high);
  const std::vector<double> steps = ticks(highest);
  constexpr double kNames = 260, kBar = 22, kSpace = 34, kBars = kWidth - kNames - 110;
  const auto x_at = [&](double v) { return kNames + kBars * v / steps.back(); };
  const double bottom = top + kSpace * static_cast<double>(results.size()) + 6;
  std::string out;
  for (const double s : steps) {
    out += line(x_at(s), top, x_at(s), bottom, s == 0 ? "#333" : "#e4e4e4");
    out += label(x_at(s), bottom + 18, "middle", 12, fmt::format("{:g}", s));
  }
  out += label(kNames + kBars / 2, bottom + 38, "middle", 13, results.front().unit == "t/s" ? "tokens per second" : results.front().unit);
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Result& r = results[i];
    const Point p = point_of(r, 0);
    const double y = top + 6 + kSpace * static_cast<double>(i);
    const std::string model = std::filesystem::path(r.model_filename).stem();
    out += label(kNames - 10, y + kBar / 2 + 4, "end", 12, model + (model.empty() ? "" : " ") + r.test + (r.setting.empty() ? "" : " ") + r.setting);
    out += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"/>\n", kNames, y,
                       x_at(p.y) - kNames, kBar, r.n_gen > 0 ? kColours[1] : kColours[0]);
    out += line(x_at(p.low), y + kBar / 2, x_at(p.high), y + kBar / 2, "#333", 1.5);
    out += label(x_at(p.high) + 8, y + kBar / 2 + 4, "start", 12, fmt::format("{:.4g}", p.y));
  }
  return out;
}

}  // namespace

std::vector<double> ticks(double highest) {
  if (!(highest > 0)) highest = 1;
  const double power = std::pow(10.0, std::floor(std::log10(highest / 5)));
  double step = 10 * power;
  for (const double m : {1.0, 2.0, 5.0})
    if (highest / (m * power) <= 8) {
      step = m * power;
      break;
    }
  std::vector<double> steps;
  for (int i = 0; i == 0 || steps.back() < highest; ++i) steps.push_back(i * step);
  return steps;
}

std::string plot(std::span<const Result> results, const std::string& title) {
  const std::vector<Panel> panels = panels_of(results);
  const double height = kTop + (panels.empty() ? 34.0 * static_cast<double>(results.size()) + 60 : kPanel * static_cast<double>(panels.size())) + 30;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:g}\" height=\"{1:g}\" viewBox=\"0 0 {0:g} {1:g}\" "
      "font-family=\"sans-serif\">\n<rect width=\"{0:g}\" height=\"{1:g}\" fill=\"white\"/>\n",
      kWidth, height);
  out += label(kLeft, 30, "start", 17, title, " font-weight=\"bold\"");
  for (std::size_t i = 0; i < panels.size(); ++i) out += draw(panels[i], kTop + kPanel * static_cast<double>(i));
  if (panels.empty() && !results.empty()) out += draw_bars(results, kTop);
  out += label(kLeft, height - 10, "start", 11, "Medians; whiskers: 95 % interval of the median.");
  return out + "</svg>\n";
}

}  // namespace mtmd::bench
