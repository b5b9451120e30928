// Both formats of torch.save with tensors that reach beyond their storages, storages that are missing or appear twice,
// and checkpoints that contradict themselves.
#include "hostile.h"

namespace moproc::test {
namespace pickle {

std::string storage(const std::string& type, const std::string& key, int64_t numel, const std::string& last) {
  std::vector<std::string> parts = {text("storage"), global("torch", type), text(key), text("cpu"), number(numel)};
  if (!last.empty()) parts.push_back(last);
  return tuple(parts) + "Q";
}

std::string tensor(const std::string& storage, int64_t offset, const std::vector<int64_t>& shape,
                   const std::vector<int64_t>& strides) {
  std::vector<std::string> sizes, steps;
  for (const int64_t v : shape) sizes.push_back(number(v));
  for (const int64_t v : strides) steps.push_back(number(v));
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple({storage, number(offset), tuple(sizes), tuple(steps), "\x89",
                global("collections", "OrderedDict") + ")R"}) +
         "R";
}

}  // namespace pickle

namespace {

using namespace pickle;

std::string floats(size_t n) { return std::string(4 * n, '\x3f'); }

/// {"x": VALUE} as torch.save's archive with these storages.
std::string zip_file(const std::string& value, const std::vector<std::pair<std::string, std::string>>& storages) {
  std::vector<std::pair<std::string, std::string>> entries = {{"a/data.pkl", proto2 + "}" + text("x") + value + "s."}};
  for (const auto& [key, data] : storages) entries.emplace_back("a/data/" + key, data);
  entries.emplace_back("a/version", "3\n");
  return zip_of(entries);
}

/// The same as a stream: `keys` is the list of storages, `data` what follows it.
std::string stream_file(const std::string& value, const std::string& keys, const std::string& data,
                        const std::string& facts = "\x88") {
  return proto2 + std::string("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 13) + proto2 + "M\xe9\x03." +
         proto2 + "}" + text("little_endian") + facts + "s." + proto2 + "}" + text("x") + value + "s." + proto2 + keys +
         "." + data;
}

std::string counted(int64_t count, const std::string& data) { return little(count) + data; }

void add_views(std::vector<Hostile>& out) {
  const struct {
    const char* name;
    int64_t offset;
    std::vector<int64_t> shape, strides;
    const char* says;
  } views[] = {
      {"shape-too-large", 0, {5}, {1}, "reach element 4 of a storage of 4"},
      {"offset-too-large", 5, {0}, {1}, "its offset 5 is outside its storage of 4 elements"},
      {"negative-offset", -1, {1}, {1}, "its offset -1 is outside"},
      {"negative-stride", 3, {4}, {-1}, "its strides [-1] are negative"},
      {"stride-too-large", 0, {2}, {4}, "reach element 4"},
      {"stride-overflow", 0, {3}, {INT64_MAX}, "are too large"},
      {"sum-overflow", 1, {2, 2}, {INT64_MAX - 1, 1}, "are too large"},
      {"shape-overflow", 0, {INT64_C(1) << 32, INT64_C(1) << 32}, {0, 0}, "is negative or too large"},
      {"negative-shape", 0, {-4}, {1}, "is negative or too large"},
      {"strides-missing", 0, {2, 2}, {1}, "differ in number"},
      {"expanded-beyond-reason", 0, {1 << 30, 1}, {0, 0}, "more than 16 times the file"},
  };
  for (const auto& v : views) {
    const std::string t = tensor(storage("FloatStorage", "0", 4), v.offset, v.shape, v.strides);
    out.push_back({std::string(v.name) + ".zip.pth", zip_file(t, {{"0", floats(4)}}), v.says});
    out.push_back(
        {std::string(v.name) + ".stream.pth", stream_file(t, "]" + text("0") + "a", counted(4, floats(4))), v.says});
  }
}

void add_storages(std::vector<Hostile>& out) {
  const auto whole = [](const std::string& s) { return tensor(s, 0, {4}, {1}); };
  const std::string four = whole(storage("FloatStorage", "0", 4));
  const auto add = [&](const char* name, const std::string& bytes, const char* says) {
    out.push_back({name, bytes, says});
  };
  add("entry-missing.pth", zip_file(four, {}), "but there is no entry 'a/data/0'");
  add("entry-too-short.pth", zip_file(four, {{"0", floats(3)}}), "storage '0' has 16 bytes, entry 'a/data/0' 12");
  add("entry-too-long.pth", zip_file(four, {{"0", floats(5)}}), "storage '0' has 16 bytes, entry 'a/data/0' 20");
  add("storage-of-two-types.pth", zip_file(four + "0" + whole(storage("IntStorage", "0", 4)), {{"0", floats(4)}}),
      "is i32[4] here and f32[4] at byte");
  add("storage-of-two-sizes.pth", zip_file(four + "0" + whole(storage("FloatStorage", "0", 5)), {{"0", floats(4)}}),
      "is f32[5] here and f32[4] at byte");
  add("storage-negative.pth", zip_file(whole(storage("FloatStorage", "0", -4)), {}), "a storage of -4 elements");
  add("storage-overflow.pth", zip_file(whole(storage("DoubleStorage", "0", INT64_MAX)), {}),
      "a storage of 9223372036854775807 elements");
  add("storage-elsewhere.pth", zip_file(whole(storage("FloatStorage", "../version", 4)), {}),
      "no entry 'a/data/../version'");
  add("storage-of-no-type.pth",
      zip_file(tuple({text("storage"), text("torch.FloatStorage"), text("0"), text("cpu"), number(4)}) + "Q", {}),
      "the type of a storage is not a torch storage type");
  add("storage-alone.pth", zip_file(storage("FloatStorage", "0", 4), {{"0", floats(4)}}),
      "x is an object of class torch storage without a tensor, not a tensor");
  add("id-of-something-else.pth",
      zip_file(tuple({text("module"), text("x"), text("y"), text("z"), number(1)}) + "Q", {}),
      "a persistent id that is not a storage");
  add("id-of-four.pth", zip_file(tuple({text("storage"), text("x"), text("y"), text("z")}) + "Q", {}),
      "a persistent id that is not a tuple of 5 or 6");
  add("tensor-of-a-number.pth", zip_file(tensor(number(3), 0, {4}, {1}), {}), "a tensor without a storage");
  add("parameter-of-a-number.pth",
      zip_file(global("torch._utils", "_rebuild_parameter") + tuple({number(3), "\x88", "}"}) + "R", {}),
      "a parameter that is not a tensor");
  const std::string beyond = tuple({text("v"), number(2), number(3)});
  add("view-beyond.pth",
      stream_file(whole(storage("FloatStorage", "0", 4, beyond)), "]" + text("0") + "a", counted(4, floats(4))),
      "a view of elements 2 + 3 of a storage of 4");
  const std::string wrapping = tuple({text("v"), number(2), number(INT64_MAX)});
  add("view-wrapping.pth",
      stream_file(whole(storage("FloatStorage", "0", 4, wrapping)), "]" + text("0") + "a", counted(4, floats(4))),
      "a view of elements 2 + 9223372036854775807");
  // A megabyte seen 100 times: 100 MB of tensors in a file of one.
  const std::string mega = tensor(storage("FloatStorage", "0", 1 << 18), 0, {1 << 18}, {1});
  add("same-data-many-times.pth", zip_file("](" + repeat(mega, 100) + "e", {{"0", floats(1 << 18)}}),
      "too many views of the same data");
  // One tensor of a megabyte under 100 names.
  std::string names = mega + std::string("q\0000", 3);
  names += "}(";
  for (int i = 0; i < 100; ++i) names += text("a." + std::to_string(i)) + std::string("h\0", 2);
  add("same-tensor-many-names.pth", zip_file(names + "u", {{"0", floats(1 << 18)}}),
      "too many names for the same data");
}

void add_streams(std::vector<Hostile>& out) {
  const std::string four = tensor(storage("FloatStorage", "0", 4), 0, {4}, {1}), data = counted(4, floats(4));
  const auto add = [&](const char* name, const std::string& bytes, const char* says) {
    out.push_back({name, bytes, says});
  };
  add("big-endian.pth", stream_file(four, "]" + text("0") + "a", data, "\x89"), "its numbers are big-endian");
  add("no-byte-order.pth", stream_file(four, "]" + text("0") + "a", data, "N"), "does not say its byte order");
  add("keys-twice.pth", stream_file(four, "](" + text("0") + text("0") + "e", data + data),
      "twice, or no tensor uses it");
  add("keys-unknown.pth", stream_file(four, "]" + text("1") + "a", data), "twice, or no tensor uses it");
  add("keys-missing.pth", stream_file(four, "]", ""), "which the file's list of storages lacks");
  add("keys-no-list.pth", stream_file(four, "}", data), "its list of storages is a dict");
  add("count-differs.pth", stream_file(four, "]" + text("0") + "a", counted(5, floats(5))),
      "storage '0' has 5 elements here, 4 in the pickle");
  add("count-negative.pth", stream_file(four, "]" + text("0") + "a", counted(-1, floats(4))),
      "storage '0' has -1 elements here");
  add("data-behind.pth", stream_file(four, "]" + text("0") + "a", data + "x"), "something follows the last storage");
  std::string other = stream_file(four, "]" + text("0") + "a", data);
  other[17] = 'M', other[18] = '\xea';
  add("another-protocol.pth", other, "another protocol than 1001");
}

using Members = std::vector<std::pair<std::string, std::string>>;

std::string dict(const Members& members) {
  std::string s = "}(";
  for (const auto& [key, value] : members) s += text(key) + value;
  return s + "u";
}

Hostile checkpoint(const char* name, const Members& members, const char* says) {
  return {name, zip_of({{"a/data.pkl", proto2 + dict(members) + "."}, {"a/data/0", floats(4)}}), says};
}

/// Files whose form is right and whose contents are no checkpoint.
void add_checkpoints(std::vector<Hostile>& out) {
  const std::string four = tensor(storage("FloatStorage", "0", 4), 0, {4}, {1});
  const auto add = [&](const char* name, const Members& members, const char* says) {
    out.push_back(checkpoint(name, members, says));
  };
  const std::string state = dict({{"w", four}});
  add("state-is-a-number.tar", {{"state_dict", number(1)}}, "state_dict is a whole number");
  add("state-holds-text.tar", {{"state_dict", dict({{"w", text("x")}})}}, "state_dict: w is text, not a tensor");
  add("state-is-empty.tar", {{"state_dict", "}"}}, "state_dict: has no tensor");
  add("long-name.tar", {{"state_dict", dict({{std::string(1001, 'a'), four}})}},
      "a tensor has a name of 1001 bytes, which begins with aaaa");
  add("run-is-a-list.tar", {{"state_dict", state}, {"moproc", "]"}}, "moproc is a list, not a dict");
  add("run-holds-numbers.tar", {{"state_dict", state}, {"moproc", dict({{"seed", number(1)}})}},
      "moproc is not {text: text}");
  add("no-state-dict.pth", {{"w", four}, {"note", text("x")}}, "note is text, not a tensor");
}

}  // namespace

std::vector<Hostile> unusable_optimizers() {
  std::vector<Hostile> out;
  const std::string four = tensor(storage("FloatStorage", "0", 4), 0, {4}, {1}), state = dict({{"w", four}});
  const auto add = [&](const char* name, const Members& members, const char* says) {
    out.push_back(checkpoint(name, members, says));
  };
  const auto optimizer = [&](const std::string& ids, const std::string& entries) {
    return dict({{"state", "}(" + entries + "u"}, {"param_groups", "](" + dict({{"params", ids}}) + "e"}});
  };
  add("optimizer-is-a-list.tar", {{"state_dict", state}, {"optimizer", "]"}},
      "is not {state, param_groups}, but a list");
  add("more-parameters.tar", {{"state_dict", state}, {"optimizer", optimizer("](" + number(0) + number(1) + "e", "")}},
      "lists 2 parameters, the state_dict has 1");
  add("parameter-twice.tar",
      {{"state_dict", dict({{"a", four}, {"b", four}})},
       {"optimizer", optimizer("](" + number(0) + number(0) + "e", "")}},
      "param_groups[0].params has 0 twice");
  add("momentum-of-nobody.tar",
      {{"state_dict", state}, {"optimizer", optimizer("](" + number(0) + "e", number(7) + "}")}},
      "state has the key 7, which is none of the parameters");
  const std::string half = tensor(storage("FloatStorage", "0", 4), 0, {2}, {1});
  add("momentum-of-another-shape.tar",
      {{"state_dict", state},
       {"optimizer", optimizer("](" + number(0) + "e", number(0) + dict({{"momentum_buffer", half}}))}},
      "the momentum of w is f32[2], the parameter f32[4]");
  const std::string one = "](" + number(0) + "e";
  const auto groups = [&](const std::string& list, const std::string& entries) {
    return dict({{"state", "}(" + entries + "u"}, {"param_groups", list}});
  };
  add("two-groups.tar", {{"state_dict", state}, {"optimizer", groups("](}}e", "")}},
      "has 2 parameter groups; one is read");
  add("adam.tar",
      {{"state_dict", state},
       {"optimizer", optimizer(one, number(0) + dict({{"step", number(3)}, {"exp_avg", four}, {"exp_avg_sq", four}}))}},
      "is not SGD with momentum: its state has exp_avg, exp_avg_sq, step (Adam's), and no momentum_buffer");
  add("adam-before-a-step.tar",
      {{"state_dict", state}, {"optimizer", groups("](" + dict({{"betas", tuple({})}, {"params", one}}) + "e", "")}},
      "is not SGD with momentum: its settings are Adam's (betas)");
  add("no-momentum.tar",
      {{"state_dict", state}, {"optimizer", optimizer(one, number(0) + dict({{"momentum_buffer", "N"}}))}},
      "has no momentum (momentum_buffer) for any parameter");
  return out;
}

std::vector<Hostile> hostile_storages() {
  std::vector<Hostile> all;
  add_views(all);
  add_storages(all);
  add_streams(all);
  add_checkpoints(all);
  return all;
}

}  // namespace moproc::test
