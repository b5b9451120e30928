// Reading and running folders of reference pictures.
#include "golden.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <set>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "data/color.h"
#include "data/decode.h"
#include "data/resize.h"

namespace moproc::tools {
namespace {

using data::Image;
using nlohmann::json;

Operation read_operation(const json& j) {
  Operation op{j.at(0).get<std::string>(), {}};
  for (std::size_t i = 1; i < j.size(); ++i) op.arguments.push_back(j.at(i).get<double>());
  return op;
}

GoldenCase read_case(const json& j) {
  GoldenCase one{j.at("in").get<std::string>(), {}, j.at("out").get<std::string>()};
  for (const json& op : j.at("ops")) one.operations.push_back(read_operation(op));
  return one;
}

struct Known {
  std::size_t arguments;
  std::function<void(const std::vector<double>&, Image&)> run;
};

void resize_to(Image& image, const data::Box& box, int width, int height) {
  data::ResizeScratch scratch;
  Image out;
  data::resize_box(image, box, width, height, out, scratch);
  image = std::move(out);
}

const std::map<std::string, Known>& known() {
  static const auto integer = [](double x) { return static_cast<int>(x); };
  static const std::map<std::string, Known> table = {
      {"decode", {0, [](const auto&, Image&) {}}},
      {"resize", {1, [](const auto& a, Image& i) {
         const data::Size size = data::shorter_side(i.width(), i.height(), integer(a[0]));
         resize_to(i, {0, 0, i.height(), i.width()}, size.width, size.height);
       }}},
      {"center_crop", {1, [](const auto& a, Image& i) {
         Image out;
         data::center_crop(i, integer(a[0]), out);
         i = std::move(out);
       }}},
      {"resized_crop", {5, [](const auto& a, Image& i) {
         resize_to(i, {integer(a[0]), integer(a[1]), integer(a[2]), integer(a[3])}, integer(a[4]), integer(a[4]));
       }}},
      {"grayscale", {0, [](const auto&, Image& i) { data::grayscale(i); }}},
      {"brightness", {1, [](const auto& a, Image& i) { data::brightness(i, static_cast<float>(a[0])); }}},
      {"contrast", {1, [](const auto& a, Image& i) { data::contrast(i, static_cast<float>(a[0])); }}},
      {"saturation", {1, [](const auto& a, Image& i) { data::saturation(i, static_cast<float>(a[0])); }}},
      {"hue", {1, [](const auto& a, Image& i) { data::hue(i, a[0]); }}},
      {"hflip", {0, [](const auto&, Image& i) { data::flip_horizontal(i); }}},
  };
  return table;
}

void load(const std::string& path, Image& out) {
  std::vector<std::uint8_t> bytes;
  data::read_file(path, bytes);
  data::decode(bytes, out);
}

}  // namespace

Golden read_golden(const std::string& folder) {
  const std::string file = folder + "/cases.json";
  std::ifstream in(file);
  if (!in) throw std::runtime_error(file + ": cannot read it; a folder with cases.json, in/ and out/ is wanted");
  Golden golden{folder, {}, {}};
  try {
    const json j = json::parse(in);
    for (const json& one : j.at("cases")) golden.cases.push_back(read_case(one));
    for (const char* list : {"unreadable", "truncated"}) {
      if (!j.contains(list)) continue;
      for (const json& name : j.at(list)) golden.refused.push_back(name.get<std::string>());
    }
  } catch (const json::exception& e) {
    throw std::runtime_error(file + ": case " + std::to_string(golden.cases.size() + 1) + ": " + e.what());
  }
  return golden;
}

void run_case(const Golden& golden, const GoldenCase& one, Image& out) {
  load(golden.folder + "/in/" + one.in, out);
  for (const Operation& op : one.operations) {
    const auto found = known().find(op.kind);
    if (found == known().end()) throw std::runtime_error("unknown operation '" + op.kind + "'");
    if (found->second.arguments != op.arguments.size()) {
      throw std::runtime_error(op.kind + " wants " + std::to_string(found->second.arguments) + " numbers");
    }
    found->second.run(op.arguments, out);
  }
}

Difference compare(const Image& a, const Image& b) {
  Difference d;
  d.same_size = a.width() == b.width() && a.height() == b.height();
  if (!d.same_size) return d;
  for (std::size_t i = 0; i < a.count(); ++i) {
    const std::uint32_t p = a.data()[i], q = b.data()[i];
    for (const int x : {data::red(p) - data::red(q), data::green(p) - data::green(q), data::blue(p) - data::blue(q)}) {
      d.largest = std::max(d.largest, std::abs(x));
      d.values += x != 0;
    }
  }
  return d;
}

Verdict verify(const Golden& golden) {
  Verdict verdict;
  for (const GoldenCase& one : golden.cases) {
    Image got, expected;
    Difference d;
    try {
      load(golden.folder + "/out/" + one.out, expected);
      run_case(golden, one, got);
      d = compare(got, expected);
      if (!d.same_size) {
        d.largest = 255;
        verdict.failures.push_back(one.out + " (" + one.in + "): another size than expected");
      } else if (d.largest > 1) {
        verdict.failures.push_back(one.out + " (" + one.in + "): differs by up to " + std::to_string(d.largest));
      }
    } catch (const std::exception& e) {
      d.largest = 255;
      verdict.failures.push_back(one.out + " (" + one.in + "): " + e.what());
    }
    std::set<std::string> kinds;
    for (const Operation& op : one.operations) kinds.insert(op.kind);
    for (const std::string& kind : kinds) {
      Tally& tally = verdict.kinds[kind];
      ++tally.cases;
      tally.exact += d.largest == 0;
      tally.largest = std::max(tally.largest, d.largest);
    }
  }
  for (const std::string& name : golden.refused) {
    std::string reason;
    try {
      Image ignored;
      load(golden.folder + "/in/" + name, ignored);
    } catch (const data::ImageError& e) {
      reason = e.what();
    }
    verdict.refusals.emplace_back(name, reason);
  }
  return verdict;
}

}  // namespace moproc::tools
