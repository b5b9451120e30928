// The networks by name: each computes a feature of every image, which classifiers and projections read.

import type { Value } from "../compiler/ir/types.js";
import { type Arch, archs } from "./archs.js";
import type { ForeignNetwork, ForeignOutputs, Pixels } from "./foreign.js";
import { imagenet, type Net } from "./nn.js";
import { isResnet, resnet, resnetFeatureSize } from "./resnet.js";
import { isVit, vit, vitFeatureSize, vitStem, vitWidth } from "./vit.js";

export { type Arch, archs };

/** `name` as an architecture. Throws for any other name; the message lists the known ones. */
export function archOf(name: string): Arch {
  if (!isResnet(name) && !isVit(name)) throw new Error(`unknown architecture ${name}; known: ${archs.join(", ")}`);
  return name;
}

export interface TrunkConfig {
  readonly arch: string; // one of archs; the name of a foreign network
  readonly width: number; // factor on the channels; 1 for a foreign network
  readonly dropout?: number; // share of elements that Dropout drops in training; absent: 0
  readonly foreign?: ForeignNetwork | undefined; // a network that another program wrote
}

/** The mean and deviation of the pixels, from 0 to 1, that a network was made for. */
export const pixelsOf = (c: TrunkConfig): Pixels => c.foreign?.pixels ?? imagenet;

/** The length of the trunk's feature: 2048 for resnet50, 512 for resnet18, 384 for vit_s_16 (at width 1). */
export function featureSize({ foreign, arch: name, width }: TrunkConfig): number {
  if (foreign) return foreign.facts.featureSize;
  const arch = archOf(name);
  return isVit(arch) ? vitFeatureSize({ arch, width }) : resnetFeatureSize({ arch, width });
}

/** x [N, 3, H, W] -> feature [N, featureSize], and the scores of a classifier that the network keeps, [N, classes]. */
export function outputs(net: Net, x: Value, { foreign, arch: name, width, dropout }: TrunkConfig): ForeignOutputs {
  if (foreign) return foreign.build(net, x, dropout);
  const arch = archOf(name);
  const feature = isVit(arch) ? vit(net, x, { arch, width, dropout }) : resnet(net, x, { arch, width });
  return { feature, logits: undefined };
}

/** x [N, 3, H, W] -> feature [N, featureSize]. */
export const trunk = (net: Net, x: Value, c: TrunkConfig): Value => outputs(net, x, c).feature;

/** The names of the first weights of networks, by which a checkpoint shows that it contains one. */
export const stems: readonly string[] = ["conv1.weight", vitStem];

/** The tensor of a network whose number of rows tells its width; one for each family of networks. */
export const widthTensor = (arch: Arch): string => widthTensors[isVit(arch) ? 1 : 0];
export const widthTensors = ["layer1.0.conv1.weight", vitStem] as const;

/** The factor on the channels of a network whose `widthTensor` has this number of rows. */
export const widthOf = (arch: Arch, rows: number): number => (isVit(arch) ? vitWidth(arch, rows) : rows / 64);
