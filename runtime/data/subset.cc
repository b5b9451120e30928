// A drawn subset is the sorted beginning of a shuffle.
#include "subset.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "core/rng.h"
#include "list_file.h"

namespace moproc::data {
namespace {

std::string_view file_name(std::string_view path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace

std::vector<std::uint32_t> draw_subset(const Dataset& all, double share, std::uint64_t seed, std::uint32_t draw) {
  if (!(share > 0 && share <= 1)) throw std::invalid_argument("a share must be above 0 and at most 1");
  const auto n = static_cast<std::size_t>(share * static_cast<double>(all.size()));
  if (n == 0)
    throw DatasetError(all.folder() + ": " + std::to_string(share) + " of its " + std::to_string(all.size()) +
                       " images is less than one image");
  std::vector<std::uint32_t> places(all.size());
  std::iota(places.begin(), places.end(), 0u);
  Stream stream(seed, Purpose::subset, draw, 0);
  for (std::size_t i = 0; i < n; ++i)
    std::swap(places[i], places[i + stream.below(static_cast<std::uint32_t>(places.size() - i))]);
  places.resize(n);
  std::sort(places.begin(), places.end());
  return places;
}

std::vector<std::uint32_t> read_subset(const Dataset& all, const std::string& file, const Dataset* held_out,
                                       std::size_t* left_out) {
  constexpr std::uint32_t ambiguous = ~0u;
  std::unordered_map<std::string_view, std::uint32_t> by_path, by_name;
  for (std::uint32_t i = 0; i < all.size(); ++i) {
    by_path.emplace(all.name(i), i);
    const auto [at, fresh] = by_name.emplace(file_name(all.name(i)), i);
    if (!fresh) at->second = ambiguous;
  }
  std::unordered_set<std::string_view> held_paths, held_names;
  for (std::size_t i = 0; held_out && i < held_out->size(); ++i) {
    held_paths.insert(held_out->name(i));
    held_names.insert(file_name(held_out->name(i)));
  }
  const auto is_held = [&](const std::string& line) {
    const auto& own = line.find('/') == std::string::npos ? held_names : held_paths;
    return own.contains(line) || held_paths.contains("train/" + line);
  };
  std::ifstream in(file, std::ios::binary);
  if (!in) throw DatasetError(file + ": cannot read this list: " + std::strerror(errno));
  std::vector<std::uint32_t> places;
  std::size_t held = 0;
  std::vector<char> taken(all.size());
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (number == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty()) continue;
    const auto& names = line.find('/') == std::string::npos ? by_name : by_path;
    auto found = names.find(line);
    if (found == names.end()) found = by_path.find("train/" + line);
    if (found == by_path.end() && is_held(line)) {
      ++held;
      continue;
    }
    const auto bad = [&](const std::string& what) {
      throw DatasetError(file + ":" + std::to_string(number) + ": " + line + ": " + what);
    };
    if (found == names.end()) bad("no such image in " + all.folder());
    if (found->second == ambiguous) bad("several images in " + all.folder() + " have this name; give its path");
    if (taken[found->second]) bad("is named twice");
    taken[found->second] = 1;
    places.push_back(found->second);
  }
  if (places.empty())
    throw DatasetError(file + (held > 0 ? ": all of its images are held out for validation" : ": names no image"));
  if (left_out) *left_out = held;
  return places;
}

Dataset part_of(const Dataset& all, const std::vector<std::uint32_t>& places) {
  Dataset part = all.empty();
  for (const std::uint32_t i : places) part.add(all.name(i), all.label(i));
  return part;
}

}  // namespace moproc::data
