#include "train/foreign_network.h"

#include <filesystem>

#include "core/error.h"
#include "core/meta.h"
#include "formats/checkpoint_file.h"
#include "formats/mapped_file.h"
#include "formats/output_file.h"
#include "formats/own_file.h"
#include "session/state_file.h"

namespace moproc::train {
namespace {

constexpr const char* kWeights = "init.safetensors";
constexpr const char* kModel = "network.onnx";
constexpr const char* kModelData = "network.onnx.data";  // of a model beyond 1.5 GB

bool is_foreign(const Plan& plan) { return !meta(plan, "onnx_sha256").empty(); }

/// The file beside the binary, which must be there.
std::string needed(const Plan& plan, const char* name) {
  const std::string path = beside_binary(name);
  if (path.empty())
    throw InputError(std::string(plan.name) + ": " + name +
                     " is missing beside the binary; it belongs to the artefact's network");
  return path;
}

void copy(const std::string& from, const std::string& to, const formats::Mark& mark) {
  const formats::MappedFile file(from);
  formats::write_atomically(to, mark, [&](formats::OutputFile& out) { out.write(file.bytes()); });
}

}  // namespace

std::string beside_binary(const std::string& name) {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / name;
  return !error && std::filesystem::exists(path, error) ? path.string() : "";
}

void begin_state(Session& session, uint64_t seed) {
  session.init_state(seed);
  if (is_foreign(session.plan())) set_initial(formats::open_checkpoint(needed(session.plan(), kWeights)), session);
}

void keep_network(const Plan& plan, const std::string& exp_dir) {
  if (!is_foreign(plan)) return;
  if (const std::string data = beside_binary(kModelData); !data.empty())
    copy(data, exp_dir + "/" + kModelData, formats::onnx_data_mark());
  copy(needed(plan, kModel), exp_dir + "/" + kModel, formats::onnx_mark());
}

}  // namespace moproc::train
