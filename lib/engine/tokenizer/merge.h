// The loop that all byte-pair encoders share: join the two neighbours with the lowest rank (the leftmost among equals)
// until no neighbours can be joined.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "engine/tokenizer/text_index.h"

namespace mtmd {

/// A stretch of the word: it begins at byte `begin` and ends where the next one begins.
struct Part {
  std::uint32_t begin = 0;
  std::uint32_t symbol = 0;
  Merge with_next;  ///< what it and its right neighbour would become
};

/// Buffers kept between words.
struct MergeScratch {
  std::vector<Part> parts;  ///< in: begin and symbol of each; out: the result
  std::vector<std::uint32_t> next, previous;
  std::vector<std::uint64_t> queue;
};

namespace merge_detail {

constexpr std::size_t kShort = 40;  // parts up to which looking at all of them is faster than a heap

/// `find(left, right, end)`: what `left` and `right`, which ends at byte `end`, become.
template <class Find>
void merge_short(std::vector<Part>& parts, std::uint32_t end, Find& find) {
  const auto end_of = [&](std::size_t i) { return i + 1 < parts.size() ? parts[i + 1].begin : end; };
  const auto look = [&](std::size_t i) {
    parts[i].with_next = i + 1 < parts.size() ? find(parts[i], parts[i + 1], end_of(i + 1)) : Merge{};
  };
  for (std::size_t i = 0; i < parts.size(); ++i) look(i);
  for (;;) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < parts.size(); ++i)
      if (parts[i].with_next.rank < parts[best].with_next.rank) best = i;
    if (parts[best].with_next.rank == Merge::kNever) return;
    parts[best].symbol = parts[best].with_next.symbol;
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    look(best);
    if (best > 0) look(best - 1);
  }
}

/// O(n log n): a heap of (rank, position), where entries that no longer hold are skipped.
template <class Find>
void merge_long(MergeScratch& s, std::uint32_t end, Find& find) {
  auto& parts = s.parts;
  constexpr std::uint32_t kGone = 0xFFFFFFFF;
  const auto n = static_cast<std::uint32_t>(parts.size());
  s.next.resize(n);
  s.previous.resize(n);
  s.queue.clear();
  for (std::uint32_t i = 0; i < n; ++i) {
    s.next[i] = i + 1;
    s.previous[i] = i == 0 ? kGone : i - 1;
  }
  const auto look = [&](std::uint32_t i) {
    const std::uint32_t right = s.next[i];
    parts[i].with_next = Merge{};
    if (right >= n) return false;
    const std::uint32_t after = s.next[right];
    parts[i].with_next = find(parts[i], parts[right], after < n ? parts[after].begin : end);
    return parts[i].with_next.rank != Merge::kNever;
  };
  const auto key = [&](std::uint32_t i) { return std::uint64_t{parts[i].with_next.rank} << 32 | i; };
  for (std::uint32_t i = 0; i < n; ++i)
    if (look(i)) s.queue.push_back(key(i));
  std::make_heap(s.queue.begin(), s.queue.end(), std::greater<>());
  while (!s.queue.empty()) {
    std::pop_heap(s.queue.begin(), s.queue.end(), std::greater<>());
    const std::uint64_t top = s.queue.back();
    s.queue.pop_back();
    const auto i = static_cast<std::uint32_t>(top);
    if (parts[i].with_next.rank != top >> 32 || s.next[i] == kGone) continue;
    const std::uint32_t right = s.next[i];
    parts[i].symbol = parts[i].with_next.symbol;
    s.next[i] = s.next[right];
    if (s.next[i] < n) s.previous[s.next[i]] = i;
    s.next[right] = kGone;
    parts[right].with_next = Merge{};
    for (const std::uint32_t at : {i, s.previous[i]}) {
      if (at == kGone || !look(at)) continue;
      s.queue.push_back(key(at));
      std::push_heap(s.queue.begin(), s.queue.end(), std::greater<>());
    }
  }
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < n; i = s.next[i]) {
    const std::uint32_t after = s.next[i];
    parts[kept] = parts[i];
    s.next[i] = after;
    ++kept;
  }
  parts.resize(kept);
}

}  // namespace merge_detail

/// Merges `scratch.parts`, which cover a text of `end` bytes. Entries with the rank kNever - 1 and below are merges.
template <class Find>
void merge_parts(MergeScratch& scratch, std::uint32_t end, Find find) {
  if (scratch.parts.size() < 2) return;
  if (scratch.parts.size() <= merge_detail::kShort)
    merge_detail::merge_short(scratch.parts, end, find);
  else
    merge_detail::merge_long(scratch, end, find);
}

}  // namespace mtmd
