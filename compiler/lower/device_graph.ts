// Changes a graph to what kernels/cuda can run: no more operands per launch than its parameters have room for, and
// images with as many channels as the tensor cores multiply at once. The graph computes the same. A padded convolution
// has weights with fewer channels than its image, which only the convolution templates can handle.

import { Builder } from "../ir/builder.js";
import type { Graph, Node, Target, Value } from "../ir/types.js";
import { conv, conv_wgrad } from "../ops/conv.js";
import { mul } from "../ops/elementwise.js";
import { pad_channels } from "../ops/move.js";
import { all_finite } from "../ops/update.js";
import { nameOutputs } from "../rewrite/outputs.js";
import { substitute } from "../rewrite/rules.js";

const OPERANDS = 40; // of the 48 buffers of a launch

/** For CUDA: replaces each all_finite of more than 40 tensors by the product of several; otherwise `g` itself. */
export function splitFinite(g: Graph, target: Target): Graph {
  return edit(g, target, (b, n, replace) => {
    if (n.op !== all_finite.name || n.inputs.length <= OPERANDS) return false;
    const parts = Array.from({ length: Math.ceil(n.inputs.length / OPERANDS) }, (_, i) =>
      all_finite(b, n.inputs.slice(i * OPERANDS, (i + 1) * OPERANDS)),
    );
    replace(
      n.outputs[0] as Value,
      parts.reduce((x, y) => mul(b, x, y)),
    );
    return true;
  });
}

/**
 * For CUDA: pads the images of convolutions to 4 channels if the kernels read pairs of pixels, otherwise to a multiple
 * of 8. Images that have a multiple of 8 channels stay.
 */
export function padImages(g: Graph, target: Target): Graph {
  const padded = new Map<string, Value>();
  return edit(g, target, (b, n) => {
    const at = n.op === conv.name ? 0 : n.op === conv_wgrad.name ? 1 : -1;
    const x = n.inputs[at];
    const channels = x?.type.shape[1] ?? 0;
    if (!x || channels % 8 === 0) return false;
    const pairs = channels <= 4 && n.attrs.stride === 2 && (x.type.shape[3] as number) % 2 === 0;
    const to = pairs ? 4 : Math.ceil(channels / 8) * 8;
    const key = `${x.name} ${to}`;
    const image = padded.get(key) ?? pad_channels(b, x, { channels: to });
    padded.set(key, image);
    b.keep({ ...n, inputs: n.inputs.with(at, image) });
    return true;
  });
}

/**
 * `g` with each node for which `f` returns true replaced by what `f` appends to the builder; outputs keep their names.
 * For targets other than CUDA, `g` itself.
 */
function edit(
  g: Graph,
  target: Target,
  f: (b: Builder, n: Node, replace: (v: Value, by: Value) => void) => boolean,
): Graph {
  if (target.device !== "cuda") return g;
  const b = Builder.resume(g);
  const renamed = new Map<Value, Value>();
  for (const old of g.nodes) {
    const n = { ...old, inputs: old.inputs.map((v) => renamed.get(v) ?? v) };
    if (!f(b.at(n.scope), n, (v, by) => renamed.set(v, by))) b.keep(n);
  }
  return nameOutputs(substitute(g, b.nodes, renamed), g.outputs);
}
