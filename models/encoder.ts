// MoPro's encoder: a trunk with a classifier and a projection.

import type { Value } from "../compiler/ir/types.js";
import { l2_normalize, relu } from "../compiler/ops/index.js";
import { addedName } from "./added.js";
import { linear, type Net } from "./nn.js";
import { outputs, type TrunkConfig } from "./trunk.js";

export interface EncoderConfig extends TrunkConfig {
  readonly num_class: number;
  readonly low_dim: number; // length of the embedding
}

export interface Encoding {
  readonly feature: Value; // [N, featureSize]
  readonly logits: Value; // [N, num_class]
  readonly embedding: Value; // [N, low_dim], rows of length 1
}

/** Hidden units of the projection, the same for every trunk. */
const hidden = 2048;

/** MoPro's encoder: a trunk, a linear classifier on it, and beside that a projection onto the unit sphere. */
export function encoder(net: Net, x: Value, c: EncoderConfig): Encoding {
  const { b } = net;
  const { feature, logits: kept } = outputs(net, x, c);
  const layer = (name: string): Net => net.in(addedName(name, c.foreign));
  const logits = kept ?? linear(layer("classifier"), feature, c.num_class);
  const projected = linear(layer("fc2"), relu(layer("fc1").b, linear(layer("fc1"), feature, hidden)), c.low_dim);
  return { feature, logits, embedding: l2_normalize(b, projected, { eps: 1e-12 }) };
}
