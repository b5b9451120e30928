// The networks by name: each computes a feature of every image, which classifiers and projections read.

import type { Value } from "../compiler/ir/types.js";
import type { Net } from "./nn.js";
import { isResnet, type Resnet, resnet, resnetFeatureSize, resnets } from "./resnet.js";

export type Arch = Resnet;
export const archs: readonly Arch[] = resnets;

/** `name` as an architecture. Throws for any other name; the message lists the known ones. */
export function archOf(name: string): Arch {
  if (!isResnet(name)) throw new Error(`unknown architecture ${name}; known: ${archs.join(", ")}`);
  return name;
}

export interface TrunkConfig {
  readonly arch: Arch;
  readonly width: number; // factor on the channels
}

/** The length of the trunk's feature: 2048 for resnet50, 512 for resnet18 (at width 1). */
export const featureSize = (c: TrunkConfig): number => resnetFeatureSize(c);

/** x [N, 3, H, W] -> feature [N, featureSize]. */
export const trunk = (net: Net, x: Value, c: TrunkConfig): Value => resnet(net, x, c);
