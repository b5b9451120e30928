// The names of the networks and what they consist of, without the code that builds them, so that the command line can
// list them at once.

/** The kind of block, and the number of blocks in each stage. */
export const resnetLayouts = {
  resnet10: { block: "basic", depths: [1, 1, 1, 1] },
  resnet18: { block: "basic", depths: [2, 2, 2, 2] },
  resnet34: { block: "basic", depths: [3, 4, 6, 3] },
  resnet50: { block: "bottleneck", depths: [3, 4, 6, 3] },
  resnet101: { block: "bottleneck", depths: [3, 4, 23, 3] },
  resnet152: { block: "bottleneck", depths: [3, 8, 36, 3] },
} as const;

/** The channels, and the number of blocks and heads. */
export const vitLayouts = {
  vit_s_16: { channels: 384, depth: 12, heads: 6 },
  vit_b_16: { channels: 768, depth: 12, heads: 12 },
} as const;

export type Vit = keyof typeof vitLayouts;
export const vits = Object.keys(vitLayouts) as readonly Vit[];
export const isVit = (name: string): name is Vit => Object.hasOwn(vitLayouts, name);

export type Arch = keyof typeof resnetLayouts | Vit;
export const archs = [...Object.keys(resnetLayouts), ...vits] as readonly Arch[];

/** Mean and standard deviation of ImageNet's channels, for pixels scaled to 0..1. */
export const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
