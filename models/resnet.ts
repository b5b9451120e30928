// ResNet v1.5: the stride of a bottleneck is on its 3x3 convolution. `width` multiplies the channels of the four
// stages; the stem always has 64 channels.

import type { Value } from "../compiler/ir/types.js";
import { add, global_avg_pool, max_pool, relu } from "../compiler/ops/index.js";
import { resnetLayouts as layouts } from "./archs.js";
import { batch_norm, conv2d, type Net } from "./nn.js";

export type Resnet = keyof typeof layouts;
export const resnets = Object.keys(layouts) as readonly Resnet[];
export const isResnet = (name: string): name is Resnet => name in layouts;

export interface ResnetConfig {
  readonly arch: Resnet;
  readonly width: number; // factor on the channels of the stages
}

const expansion = { basic: 1, bottleneck: 4 } as const;

/** Channels inside the blocks of a stage (0 to 3). Throws if `width` does not give a whole number. */
function stageWidth({ width }: ResnetConfig, stage: number): number {
  const base = 64 * width;
  if (!Number.isInteger(base) || base < 1)
    throw new Error(`width ${width} makes ${base} channels; it must be a multiple of 1/64`);
  return base * 2 ** stage;
}

/** Channels of the trunk's feature: 2048 for resnet50, 512 for resnet18 (at width 1). */
export const resnetFeatureSize = (c: ResnetConfig): number => stageWidth(c, 3) * expansion[layouts[c.arch].block];

interface BlockOptions {
  readonly width: number;
  readonly stride: number;
}

function basic(net: Net, x: Value, { width, stride }: BlockOptions): Value {
  const { b } = net;
  let y = conv2d(net.in("conv1"), x, { out: width, kernel: 3, stride, pad: 1 });
  y = relu(b, batch_norm(net.in("bn1"), y));
  y = conv2d(net.in("conv2"), y, { out: width, kernel: 3, pad: 1 });
  y = batch_norm(net.in("bn2"), y);
  return relu(b, add(b, y, shortcut(net.in("downsample"), x, width, stride)));
}

function bottleneck(net: Net, x: Value, { width, stride }: BlockOptions): Value {
  const { b } = net;
  let y = conv2d(net.in("conv1"), x, { out: width, kernel: 1 });
  y = relu(b, batch_norm(net.in("bn1"), y));
  y = conv2d(net.in("conv2"), y, { out: width, kernel: 3, stride, pad: 1 });
  y = relu(b, batch_norm(net.in("bn2"), y));
  y = conv2d(net.in("conv3"), y, { out: 4 * width, kernel: 1 });
  y = batch_norm(net.in("bn3"), y);
  return relu(b, add(b, y, shortcut(net.in("downsample"), x, 4 * width, stride)));
}

/** x itself, or its projection if the block changes the size. */
function shortcut(net: Net, x: Value, out: number, stride: number): Value {
  if (stride === 1 && x.type.shape[1] === out) return x;
  return batch_norm(net.in("1"), conv2d(net.in("0"), x, { out, kernel: 1, stride }));
}

/** x [N, 3, H, W] -> feature [N, resnetFeatureSize]: stem, four stages, mean over the remaining pixels. */
export function resnet(net: Net, x: Value, c: ResnetConfig): Value {
  const { block, depths } = layouts[c.arch];
  const { b } = net;
  let y = conv2d(net.in("conv1"), x, { out: 64, kernel: 7, stride: 2, pad: 3 });
  y = relu(net.in("bn1").b, batch_norm(net.in("bn1"), y));
  y = max_pool(b, y, { kernel: 3, stride: 2, pad: 1 });
  depths.forEach((depth, stage) => {
    for (let i = 0; i < depth; i++) {
      const options = { width: stageWidth(c, stage), stride: stage > 0 && i === 0 ? 2 : 1 };
      const at = net.in(`layer${stage + 1}.${i}`);
      y = block === "basic" ? basic(at, y, options) : bottleneck(at, y, options);
    }
  });
  return global_avg_pool(b, y);
}
