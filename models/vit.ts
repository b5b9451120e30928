// Vision transformers (Dosovitskiy et al., ICLR 2021) as timm's vit_small_patch16_224 and vit_base_patch16_224, with
// timm's names of tensors: normalisation before each layer, a class token, learned positions. `width` multiplies the
// channels; the number of heads stays.

import type { Value } from "../compiler/ir/types.js";
import { add, concat, reshape, scale, slice, stop_gradient, transpose } from "../compiler/ops/index.js";
import { isVit, vitLayouts as layouts, type Vit, vits } from "./archs.js";
import { dropout } from "./dropout.js";
import { attention, conv2d, gelu, layer_norm, linear, type Net } from "./nn.js";

export { isVit, type Vit, vits };

export interface VitConfig {
  readonly arch: Vit;
  readonly width: number; // factor on the channels
  readonly dropout?: number | undefined; // share of elements that are dropped in training; absent: 0
}

const PATCH = 16; // pixels, square
const std = 0.02; // of initial weights
const norm = { epsilon: 1e-6 };

/** The tensor whose number of rows is the number of channels. */
export const vitStem = "patch_embed.proj.weight";

/** The factor on the channels of a network whose tensor `vitStem` has this number of rows. */
export const vitWidth = (arch: Vit, channels: number): number => channels / layouts[arch].channels;

/** The length of the feature: 384 for vit_s_16 (at width 1). Throws if the heads do not divide it. */
export function vitFeatureSize({ arch, width }: VitConfig): number {
  const { channels, heads } = layouts[arch];
  const size = channels * width;
  if (!Number.isInteger(size / heads) || size < 1)
    throw new Error(
      `width ${width} makes ${size} channels for the ${heads} heads of ${arch}; ` +
        `it must be a multiple of ${heads}/${channels}`,
    );
  return size;
}

/**
 * x [N, 3, H, W] -> tokens [N, T C]: T = 1 + H W / 256 of C channels each, the class token first. They are in one row,
 * so that the gradient of what is added to all images is a sum over the rows of a matrix. Throws if H or W is no
 * multiple of 16.
 */
function embed(net: Net, x: Value, channels: number): Value {
  const { b } = net;
  const [, , height, width] = x.type.shape as [number, number, number, number];
  if (height % PATCH !== 0 || width % PATCH !== 0)
    throw new Error(
      `images of ${width} x ${height} pixels do not fall into patches of ${PATCH} x ${PATCH}; choose an --image-size ` +
        `that is a multiple of ${PATCH}, such as ${Math.max(1, Math.round(height / PATCH)) * PATCH}`,
    );
  const patches = (height / PATCH) * (width / PATCH);
  const options = { out: channels, kernel: PATCH, stride: PATCH, bias: true };
  const images = conv2d(net.in("patch_embed.proj"), x, options);
  const planes = reshape(b, images, { shape: [-1, channels, patches, 1] });
  const rows = reshape(b, transpose(b, planes, { perm: [0, 3, 2, 1] }), { shape: [-1, patches * channels] });
  const own = net.param("cls_token", [1, 1, channels], { kind: "normal", std: 1e-6 });
  const positions = net.param("pos_embed", [1, 1 + patches, channels], { kind: "normal", std });
  // zeros with as many rows as there are images, so that the graph does not contain their number
  const zeros = scale(b, stop_gradient(b, slice(b, rows, { axis: 1, start: 0, end: channels })), { factor: 0 });
  const first = add(b, zeros, reshape(b, own, { shape: [channels] }));
  const tokens = concat(b, [first, rows], { axis: 1 });
  return add(b, tokens, reshape(b, positions, { shape: [(1 + patches) * channels] }));
}

/** One layer of the transformer on the tokens x [N T, C]; `drop` drops a share of them. */
function block(net: Net, x: Value, tokens: number, heads: number, drop: Drop): Value {
  const { b } = net;
  const channels = x.type.shape[1] as number;
  const images = reshape(b, layer_norm(net.in("norm1"), x, norm), { shape: [-1, tokens, channels] });
  const attended = attention(net.in("attn"), images, { heads, std });
  const y = add(b, x, drop(net.in("attn.proj_drop"), reshape(b, attended, { shape: [-1, channels] })));
  const hidden = linear(net.in("mlp.fc1"), layer_norm(net.in("norm2"), y, norm), 4 * channels, std);
  const active = drop(net.in("mlp.drop1"), gelu(net.in("mlp").b, hidden));
  return add(b, y, drop(net.in("mlp.drop2"), linear(net.in("mlp.fc2"), active, channels, std)));
}

/** The layer of dropout, or none. */
type Drop = (net: Net, x: Value) => Value;

/**
 * image [N, 3, H, W] -> feature [N, vitFeatureSize]: the class token after all layers, normalised. Dropout is where the
 * paper has it: behind the positions, the attention and both layers of the perceptron, not in the attention's weights.
 */
export function vit(net: Net, image: Value, c: VitConfig): Value {
  const { b } = net;
  const channels = vitFeatureSize(c);
  const { depth, heads } = layouts[c.arch];
  const embedded = embed(net, image, channels);
  const tokens = (embedded.type.shape[1] as number) / channels;
  const drop: Drop = (at, x) => dropout(at, x, c.dropout ?? 0);
  let y = drop(net.in("pos_drop"), reshape(b, embedded, { shape: [-1, channels] }));
  for (let i = 0; i < depth; i++) y = block(net.in(`blocks.${i}`), y, tokens, heads, drop);
  const images = reshape(b, y, { shape: [-1, tokens * channels] });
  return layer_norm(net.in("norm"), slice(b, images, { axis: 1, start: 0, end: channels }), norm);
}
