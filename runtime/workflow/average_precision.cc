#include "workflow/average_precision.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

namespace moproc::train {

double average_precision(std::span<const double> scores, std::span<const int8_t> relevant) {
  const size_t n = scores.size();
  std::vector<uint32_t> rank(n);
  std::iota(rank.begin(), rank.end(), 0u);
  std::sort(rank.begin(), rank.end(),
            [&](uint32_t a, uint32_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a > b; });
  const double all =
      static_cast<double>(std::count_if(relevant.begin(), relevant.end(), [](int8_t r) { return r != 0; }));
  if (all == 0) return std::numeric_limits<double>::quiet_NaN();
  std::vector<double> precision(n), recall(n);
  double found = 0;
  for (size_t i = 0; i < n; ++i) {
    found += relevant[rank[i]] != 0 ? 1 : 0;
    precision[i] = found / static_cast<double>(i + 1);
    recall[i] = found / all;
  }
  for (size_t i = n - 1; i-- > 0;) precision[i] = std::max(precision[i], precision[i + 1]);
  double area = 0, before = 0;
  for (size_t i = 0; i < n; ++i) {
    area += (recall[i] - before) * precision[i];
    before = recall[i];
  }
  return area;
}

}  // namespace moproc::train
