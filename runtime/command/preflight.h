// What can be checked of a command before an artefact is compiled for it.
#pragma once

namespace moproc::command {

/// Checks flags, files that the command would replace, files that it reads, the data folder and the checkpoint. Prints
/// what the artefact needs to know as JSON,
///   {"checkpoint": "run/checkpoint_0003.safetensors", "num_class": 10, "all_classes": true, "images": 1200}
/// where "" and 0 mean that it is not known. all_classes: a network needs as many classes. images: for training; many
/// in class folders are counted only for --recipe auto. argv[1]: the verb, if it is not train. Returns 0, or 2 for bad
/// input, which it names on stderr.
int preflight(int argc, char** argv);

}  // namespace moproc::command
