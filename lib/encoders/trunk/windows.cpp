#include "encoders/trunk/windows.h"

#include <algorithm>

namespace mtmd::encoders {

Windows make_windows(int columns, int rows, int side, int merge) {
  Windows w;
  w.inverse.resize(static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows));
  std::int32_t n_cells = 0;
  for (int top = 0; top < rows; top += side) {
    for (int left = 0; left < columns; left += side) {
      const int bottom = std::min(top + side, rows), right = std::min(left + side, columns);
      const auto begin = static_cast<std::int32_t>(w.patches.size());
      for (int y = top; y < bottom; ++y) {
        for (int x = left; x < right; ++x) {
          w.inverse[static_cast<std::size_t>(y) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(x)] =
              n_cells++;
          for (int i = 0; i < merge * merge; ++i)
            w.patches.push_back((merge * y + i / merge) * merge * columns + merge * x + i % merge);
        }
      }
      const auto end = static_cast<std::int32_t>(w.patches.size());
      w.ranges.insert(w.ranges.end(), static_cast<std::size_t>(end - begin), {begin, end});
    }
  }
  return w;
}

std::vector<KeyRange> repeated(const std::vector<KeyRange>& one, std::int64_t n_pictures) {
  std::vector<KeyRange> all;
  all.reserve(one.size() * static_cast<std::size_t>(n_pictures));
  for (std::int64_t i = 0; i < n_pictures; ++i) {
    const auto shift = static_cast<std::int32_t>(i * static_cast<std::int64_t>(one.size()));
    for (const KeyRange& range : one) all.push_back({range.begin + shift, range.end + shift});
  }
  return all;
}

}  // namespace mtmd::encoders
