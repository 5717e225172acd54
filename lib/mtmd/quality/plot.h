// A line chart as SVG: size against divergence, on a logarithmic axis.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace mtmd::quality {

struct Series {
  struct Point {
    double x = 0, y = 0;
    std::string label = {};  ///< beside the point
  };
  std::string name;
  std::string colour;  ///< of SVG
  bool line = true;    ///< joined, in the order of x
  std::vector<Point> points;
};

struct Chart {
  std::string title, subtitle, x_label, y_label;
  std::vector<Series> series;
};

/// y is shown on a logarithmic axis (values that are not positive, or not finite, are left out), x on a linear one. A
/// complete SVG document without scripts or fonts of its own; texts are escaped.
std::string svg(const Chart& chart);

}  // namespace mtmd::quality
