// Reads and runs folders of reference pictures.
#include "golden.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <stdexcept>

#include "core/json.h"
#include "data/color.h"
#include "data/decode.h"
#include "data/resize.h"

namespace moproc::tools {
namespace {

using data::Image;

const Json& member(const Json& j, const char* key, const std::string& where) {
  const Json* const found = j.find(key);
  if (found == nullptr) throw std::runtime_error(where + ": \"" + key + "\" is missing");
  return *found;
}

const std::string& text_of(const Json& j, const std::string& where) {
  if (j.string() == nullptr) throw std::runtime_error(where + ": a string is wanted");
  return *j.string();
}

const Json::Array& list_of(const Json& j, const std::string& where) {
  if (j.array() == nullptr) throw std::runtime_error(where + ": a list is wanted");
  return *j.array();
}

Operation read_operation(const Json& j, const std::string& where) {
  const Json::Array& parts = list_of(j, where);
  if (parts.empty()) throw std::runtime_error(where + ": an operation without a name");
  Operation op{text_of(parts[0], where), {}};
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (parts[i].number() == nullptr) throw std::runtime_error(where + ": " + op.kind + " wants numbers");
    op.arguments.push_back(*parts[i].number());
  }
  return op;
}

GoldenCase read_case(const Json& j, const std::string& where) {
  GoldenCase one{text_of(member(j, "in", where), where), {}, text_of(member(j, "out", where), where)};
  for (const Json& op : list_of(member(j, "ops", where), where)) {
    one.operations.push_back(read_operation(op, where));
  }
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
      {"resize",
       {1,
        [](const auto& a, Image& i) {
          const data::Size size = data::shorter_side(i.width(), i.height(), integer(a[0]));
          resize_to(i, {0, 0, i.height(), i.width()}, static_cast<int>(size.width), static_cast<int>(size.height));
        }}},
      {"center_crop",
       {1,
        [](const auto& a, Image& i) {
          Image out;
          data::center_crop(i, integer(a[0]), out);
          i = std::move(out);
        }}},
      {"resized_crop",
       {5,
        [](const auto& a, Image& i) {
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
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const Json json = parse_json(text, file);
  Golden golden{folder, {}, {}};
  for (const Json& one : list_of(member(json, "cases", file), file)) {
    golden.cases.push_back(read_case(one, file + ": case " + std::to_string(golden.cases.size())));
  }
  for (const char* list : {"unreadable", "truncated"}) {
    const Json* const names = json.find(list);
    if (names == nullptr) continue;
    for (const Json& name : list_of(*names, file)) golden.refused.push_back(text_of(name, file));
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
    if (!std::filesystem::exists(golden.folder + "/in/" + name)) {
      verdict.failures.push_back(name + ": is not there, so it cannot be refused");
      continue;
    }
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
