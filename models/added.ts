// The names of the layers that are added to a network of another program.

import type { ForeignNetwork } from "./foreign.js";

/**
 * The name of a layer that is added to a network, such as fc or fc1: moproc.fc1 if the network has tensors fc1.weight
 * or fc1.bias of its own. Checkpoints have these names, and formats/resnet_names.cc knows them.
 */
export function addedName(layer: string, foreign: ForeignNetwork | undefined): string {
  const taken = ["weight", "bias"].some((leaf) => foreign?.facts.values.has(`${layer}.${leaf}`));
  return taken ? `moproc.${layer}` : layer;
}
