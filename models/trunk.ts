// The networks by name: each computes a feature of every image, which classifiers and projections read.

import type { Value } from "../compiler/ir/types.js";
import type { ForeignNetwork, ForeignOutputs, Pixels } from "./foreign.js";
import { imagenet, type Net } from "./nn.js";
import { isResnet, type Resnet, resnet, resnetFeatureSize, resnets } from "./resnet.js";

export type Arch = Resnet;
export const archs: readonly Arch[] = resnets;

/** `name` as an architecture. Throws for any other name; the message lists the known ones. */
export function archOf(name: string): Arch {
  if (!isResnet(name)) throw new Error(`unknown architecture ${name}; known: ${archs.join(", ")}`);
  return name;
}

export interface TrunkConfig {
  readonly arch: string; // one of archs; the name of a foreign network
  readonly width: number; // factor on the channels; 1 for a foreign network
  readonly foreign?: ForeignNetwork | undefined; // a network that another program wrote
}

/** The mean and deviation of the pixels, from 0 to 1, that a network was made for. */
export const pixelsOf = (c: TrunkConfig): Pixels => c.foreign?.pixels ?? imagenet;

/** The length of the trunk's feature: 2048 for resnet50, 512 for resnet18 (at width 1). */
export const featureSize = (c: TrunkConfig): number =>
  c.foreign?.facts.featureSize ?? resnetFeatureSize({ ...c, arch: archOf(c.arch) });

/** x [N, 3, H, W] -> feature [N, featureSize], and the scores of a classifier that the network keeps, [N, classes]. */
export const outputs = (net: Net, x: Value, c: TrunkConfig): ForeignOutputs =>
  c.foreign?.build(net, x) ?? { feature: resnet(net, x, { ...c, arch: archOf(c.arch) }), logits: undefined };

/** x [N, 3, H, W] -> feature [N, featureSize]. */
export const trunk = (net: Net, x: Value, c: TrunkConfig): Value => outputs(net, x, c).feature;
