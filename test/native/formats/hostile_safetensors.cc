// Safetensors files whose header is wrong about tensors, or is no header.
#include "hostile.h"

namespace moproc::test {
namespace {

std::string file(const std::string& header, size_t data = 16) {
  return pickle::little(uint64_t{header.size()}) + header + std::string(data, 'd');
}

std::string entry(const char* name, const char* dtype, const char* shape, const char* offsets) {
  return std::string("\"") + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

}  // namespace

std::vector<Hostile> hostile_safetensors() {
  std::vector<Hostile> all;
  const auto two = [&](const char* name, const std::string& a, const std::string& b, const char* says) {
    all.push_back({std::string(name) + ".safetensors", file("{" + a + "," + b + "}"), says});
  };
  const auto one = [&](const char* name, const char* dtype, const char* shape, const char* offsets, const char* says) {
    all.push_back({std::string(name) + ".safetensors", file("{" + entry("a", dtype, shape, offsets) + "}"), says});
  };
  const auto header = [&](const char* name, const std::string& text, const char* says) {
    all.push_back({std::string(name) + ".safetensors", file(text), says});
  };
  const std::string a = entry("a", "F32", "[2]", "[0,8]");
  two("overlap", a, entry("b", "F32", "[2]", "[4,12]"), "tensor b: its data overlap those of the tensor before");
  two("same-range", a, entry("b", "F32", "[2]", "[0,8]"), "tensor b: its data overlap");
  two("gap", a, entry("b", "F32", "[1]", "[12,16]"), "tensor b: its data leave a gap behind");
  two("beyond", a, entry("b", "F32", "[3]", "[8,20]"),
      "tensor b: its data end at byte 20 of 16: the file is truncated");
  two("twice", a, a, "the key 'a' appears twice");
  two("long-name", a, entry(std::string(1001, 'b').c_str(), "F32", "[2]", "[8,16]"),
      "a tensor has a name of 1001 bytes, which begins with bbbb");
  one("rest", "F32", "[2]", "[0,8]", "8 bytes follow the last tensor");
  one("backwards", "F32", "[2]", "[8,0]", "tensor a: its data_offsets are not a range");
  one("negative", "F32", "[2]", "[-8,0]", "tensor a: its data_offsets are not a range");
  one("three-offsets", "F32", "[2]", "[0,8,8]", "tensor a: its header is not");
  one("wrong-size", "F32", "[3]", "[0,16]", "tensor a: its data_offsets hold 16 bytes, but its shape takes 12");
  one("shape-overflow", "F32", "[4294967296,4294967296]", "[0,16]",
      "tensor a: its data_offsets hold 16 bytes, but its shape takes too many");
  one("overflow-hidden-by-zero", "F32", "[0,4294967296,4294967296,4294967296]", "[0,0]",
      "tensor a: its data_offsets hold 0 bytes, but its shape takes too many");
  one("overflow-by-type", "F64", "[2305843009213693952]", "[0,0]", "tensor a: its shape is not whole numbers");
  one("negative-shape", "F32", "[-4]", "[0,16]", "tensor a: its shape is not whole numbers");
  one("half-shape", "F32", "[1.5]", "[0,6]", "tensor a: its shape is not whole numbers");
  one("text-shape", "F32", "[\"4\"]", "[0,16]", "tensor a: its shape is not whole numbers");
  one("unknown-type", "F7", "[4]", "[0,16]", "tensor a: unknown dtype F7");
  header("nested", "{\"a\":" + pickle::repeat("[", 100000), "nested too deeply");
  header("array", "{\"a\":[]}", "tensor a: its header is not {dtype, shape, data_offsets}");
  header("metadata-of-numbers", "{\"__metadata__\":{\"a\":1}," + entry("a", "F32", "[4]", "[0,16]") + "}",
         "__metadata__.a is not a string");
  header("metadata-is-a-list", "{\"__metadata__\":[]}", "__metadata__ is not a JSON object");
  header("wrong-digest", "{\"__metadata__\":{\"sha256\":\"0\"}," + entry("a", "F32", "[4]", "[0,16]") + "}",
         "do not have the sha256 it names");
  header("not-closed", "{\"a\":", "bad JSON at byte");
  header("control-characters", "{\"a\x01\":1}", "bad JSON at byte");
  header("name-with-escapes", "{\"\\u001b[2J\":1}", "tensor ?[2J: its header is not");
  all.push_back(
      {"length-beyond.safetensors", pickle::little(UINT64_MAX) + "{}", "its header claims 18446744073709551615 bytes"});
  all.push_back({"length-of-17-megabytes.safetensors",
                 pickle::little(uint64_t{17} << 20) + "{" + std::string(18 << 20, ' '),
                 "its header claims 17825792 bytes"});
  all.push_back({"length-alone.safetensors", pickle::little(uint64_t{0}),
                 "neither a file of torch.save nor a pickle nor a safetensors file"});
  return all;
}

}  // namespace moproc::test
