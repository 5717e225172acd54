// The tokens that penalties look back on.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace mtmd::sampling {

/// The last `window` tokens (all when unbounded) with their counts. Adding is O(1) amortised; a bounded window
/// allocates nothing once it is full.
class History {
 public:
  static constexpr std::size_t kUnbounded = ~std::size_t{0};
  explicit History(std::size_t window) : window_(window) {}

  void add(Token token) {
    if (window_ == 0) return;
    tokens_.push_back(token);
    if (token >= 0) count(token);
    if (tokens_.size() - begin_ > window_) forget(tokens_[begin_++]);
    // a buffer of twice the window, moved to the front when it is full
    if (window_ != kUnbounded && begin_ >= std::max<std::size_t>(window_, 64)) {
      tokens_.erase(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(begin_));
      begin_ = 0;
    }
  }
  void clear() {
    tokens_.clear();
    begin_ = 0;
    counts_.clear();
    present_.clear();
  }
  std::span<const Token> tokens() const noexcept { return std::span(tokens_).subspan(begin_); }
  /// `use(token, count)` for each token of the window, once.
  template <class F>
  void for_each(F&& use) const {
    for (const Token t : present_) use(t, counts_[t].count);
  }

 private:
  struct Count {
    std::uint32_t count = 0, place = 0;  ///< index in present_ while count > 0
  };
  void count(Token token) {
    if (static_cast<std::size_t>(token) >= counts_.size()) counts_.resize(static_cast<std::size_t>(token) + 1);
    Count& c = counts_[token];
    if (c.count++ > 0) return;
    c.place = static_cast<std::uint32_t>(present_.size());
    present_.push_back(token);
  }
  void forget(Token token) {
    if (token < 0 || --counts_[token].count > 0) return;
    const std::uint32_t place = counts_[token].place;
    present_[place] = present_.back();
    counts_[present_[place]].place = place;
    present_.pop_back();
  }

  std::size_t window_;
  std::vector<Token> tokens_;
  std::size_t begin_ = 0;
  std::vector<Count> counts_;
  std::vector<Token> present_;
};

}  // namespace mtmd::sampling
