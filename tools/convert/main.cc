// moproc-convert IN OUT: converts checkpoints from one format to another. Exit status: 0 success, 1 the output
// cannot be written, 2 bad use or input.
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "convert.h"
#include "core/standard_output.h"
#include "flags.h"

namespace {

using namespace moproc::tools;

int fail(const char* what) {
  std::fprintf(stderr, "moproc convert: %s\n", what);
  return 2;
}

std::string help(const std::vector<Flag>& flags) {
  std::string text =
      "Usage: moproc convert IN OUT [flags]\n"
      "\n"
      "Writes the checkpoint IN as OUT, in another format. IN is recognised by its contents: a file of torch.save in\n"
      "either form (the published checkpoint, a state_dict, torchvision's too), .safetensors, or detectron2's .pkl.\n"
      "Nothing in it is executed, and no Python is needed. The format of OUT follows from its extension, or from "
      "--to:\n"
      "\n";
  for (const FormatName& f : formats_written()) {
    std::string left = std::string("  ") + f.name, extensions;
    left.resize(15, ' ');
    for (const std::string& e : f.extensions) extensions += (extensions.empty() ? "" : " ") + e;
    extensions.resize(15, ' ');
    text += left + extensions + f.what + "\n";
  }
  return text +
         "\n"
         "Values are kept to the bit, except that f16, bf16 and f64 weights of a ResNet become f32. pth.tar and\n"
         "safetensors also hold momentum, epoch and learning rate: between these two, everything that a run needs to "
         "go\n"
         "on exactly is kept. In them, a state_dict under torchvision's names and detectron2's files become "
         "encoder_q.*,\n"
         "with classifier for fc. A message names what a format cannot hold. OUT is replaced only if moproc wrote it.\n"
         "\n" +
         describe_flags(flags) +
         "\nExample:\n  moproc convert run/checkpoint_0013.safetensors model.pkl --to detectron2\n";
}

/// Replaces -a and --arch, the names in other verbs and the published scripts, by --network.
std::vector<std::string> published_spelling(std::vector<std::string> args) {
  for (std::string& a : args)
    if (a == "-a" || a == "--arch" || a.starts_with("--arch=")) a = "--network" + (a.size() > 6 ? a.substr(6) : "");
  return args;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // if a file grows too large, write() fails
  try {
    ConvertOptions options;
    const std::vector<Flag> flags = {
        {"to", "FORMAT", "The format of OUT, if its extension does not say it.", &options.to},
        {"network", "NAME", "The network, such as resnet50, if neither IN nor its tensors say it; also: -a, --arch.",
         &options.arch},
        {"weights-key", "NAME",
         "Where in IN the weights are, if it has several: a key such as model_ema, or the beginning of names.",
         &options.weights_key},
    };
    const std::string text = help(flags);
    const Arguments given = parse_flags(published_spelling({argv + 1, argv + argc}), flags);
    if (given.help) {
      std::fputs(text.c_str(), stdout);
      return 0;
    }
    if (given.positional.size() != 2) return fail("two files are needed, IN and OUT (--help says more)");
    options.in = given.positional[0], options.out = given.positional[1];
    for (const std::string& line : convert(options)) std::printf("%s\n", line.c_str());
    return moproc::after_output(0, "moproc convert");
  } catch (const std::bad_alloc&) {
    return fail("not enough memory");
  } catch (const std::exception& e) {
    return fail(e.what());
  }
}
