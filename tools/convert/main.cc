// moproc-convert IN OUT: checkpoints from one format to another. Exit status: 0 fine, 2 bad use or input.
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "convert.h"
#include "flags.h"

namespace {

using namespace moproc::tools;

int fail(const char* what) {
  std::fprintf(stderr, "convert: %s\n", what);
  return 2;
}

std::string help(const std::vector<Flag>& flags) {
  std::string text =
      "usage: moproc convert IN OUT [FLAGS]\n"
      "\n"
      "Writes the checkpoint IN as OUT, in another format. What IN is, its contents say: a file of "
      "torch.save in either\n"
      "form (the published checkpoint, a state_dict, torchvision's too), .safetensors, or detectron2's .pkl. "
      "Nothing in\n"
      "it is executed, and no Python is needed. What OUT becomes, its extension says, or --to:\n"
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
         "Values are kept to the bit. pth.tar and safetensors hold momentum, epoch and learning rate as "
         "well; between the\n"
         "two, everything a run of moproc needs to go on exactly is kept. There, a state_dict under "
         "torchvision's names and\n"
         "detectron2's files become encoder_q.*, with classifier for fc. What a format cannot hold is said. Only an OUT that\n"
         "moproc wrote is replaced.\n"
         "\n" +
         describe_flags(flags) + "\nExample:\n  moproc convert run/checkpoint_0013.safetensors model.pkl --to detectron2\n";
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that grows too large is an error of write()
  try {
    ConvertOptions options;
    const std::vector<Flag> flags = {
        {"to", "FORMAT", "what OUT becomes, where its extension does not say", &options.to},
        {"arch", "NAME", "the network (resnet50 ...), where neither IN nor its tensors say", &options.arch},
    };
    const std::string text = help(flags);
    const Arguments given = parse_flags("convert", {argv + 1, argv + argc}, flags);
    if (given.help) {
      std::fputs(text.c_str(), stdout);
      return 0;
    }
    if (given.positional.size() != 2) return fail("two files are wanted, IN and OUT (--help says more)");
    options.in = given.positional[0], options.out = given.positional[1];
    for (const std::string& line : convert(options)) std::printf("%s\n", line.c_str());
    return 0;
  } catch (const std::bad_alloc&) {
    return fail("not enough memory");
  } catch (const std::exception& e) {
    return fail(e.what());
  }
}
