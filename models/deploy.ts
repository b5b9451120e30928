// The network for deployment: one encoder in evaluation mode, with names that have no prefix, from an image to the
// outputs that the user asked for. The batch size of the graph is an example; the exporter makes it free.

import { Builder } from "../compiler/ir/builder.js";
import type { Graph, Value } from "../compiler/ir/types.js";
import { cast, constant, mul, sub, transpose } from "../compiler/ops/index.js";
import { classifier } from "./classifier.js";
import { encoder } from "./encoder.js";
import { finish, imagenet, Net } from "./nn.js";
import type { TrunkConfig } from "./trunk.js";

/** A trained network: MoPro's encoder, or the plain classifier, whose last layer has another name. */
export interface Network extends TrunkConfig {
  readonly task: "mopro" | "classifier";
  readonly image_size: number;
  readonly num_class: number | undefined; // undefined: the network has no classifier
  readonly low_dim: number | undefined; // undefined: the network has no embedding
}

/** logits [N, num_class]; embedding [N, low_dim], rows of length 1; both of them; features [N, featureSize]. */
export const heads = ["classifier", "embedding", "both", "features"] as const;
export type Head = (typeof heads)[number];

/** float: normalised f32 [N, 3, H, W]; uint8: RGB bytes [N, H, W, 3], normalised in the graph. */
export const inputs = ["float", "uint8"] as const;
export type Input = (typeof inputs)[number];

/** Names of the outputs of a head, in order. */
export const outputsOf = (head: Head): readonly string[] =>
  ({
    classifier: ["logits"],
    embedding: ["embedding"],
    both: ["logits", "embedding"],
    features: ["features"],
  })[head];

/** The configuration with sizes for all layers: a layer that the network does not have has size 1 and no reader. */
export const complete = (c: Network) => ({ ...c, num_class: c.num_class ?? 1, low_dim: c.low_dim ?? 1 });

/**
 * The graph with the input `image` and the outputs of `outputsOf(head)`. The other heads are in the graph, but nothing
 * reads them. Throws for a head that the network does not have.
 */
export function deployed(c: Network, head: Head, input: Input): Graph {
  const wanted = outputsOf(head);
  if (wanted.includes("embedding") && (c.low_dim === undefined || c.task === "classifier"))
    throw new Error(`--head ${head}: the network has no embedding`);
  if (wanted.includes("logits") && c.num_class === undefined)
    throw new Error(`--head ${head}: the network has no classifier`);
  const b = Builder.create(c.arch);
  const x =
    input === "uint8"
      ? fromBytes(b, c.image_size)
      : b.input("image", { dtype: "f32", shape: [1, 3, c.image_size, c.image_size] });
  const net = new Net(b, { training: false });
  const made =
    c.task === "mopro" ? encoder(net, x, complete(c)) : { ...classifier(net, x, complete(c)), embedding: undefined };
  const all: Readonly<Record<string, Value | undefined>> = {
    logits: made.logits,
    embedding: made.embedding,
    features: made.feature,
  };
  return finish(b, Object.fromEntries(wanted.map((name) => [name, all[name] as Value])));
}

/** ((x / 255) - mean) / std as (x - 255 mean) (1 / (255 std)), so that the first convolution can take the factor. */
function fromBytes(b: Builder, size: number): Value {
  const image = b.input("image", { dtype: "u8", shape: [1, size, size, 3] });
  const at = b.in("normalize");
  const pixels = cast(at, transpose(at, image, { perm: [0, 3, 1, 2] }), { to: "f32" });
  const shape = [1, 3, 1, 1];
  const centred = sub(at, pixels, constant(at, { values: imagenet.mean.map((m) => 255 * m), shape }));
  return mul(at, centred, constant(at, { values: imagenet.std.map((s) => 1 / (255 * s)), shape }));
}
