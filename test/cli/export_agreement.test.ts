// How models are compared on images: numbers by hand, batches of a fixed size that the images do not fill, and labels.

import test from "ava";
import { encodeModel } from "../../compiler/onnx/proto.js";
import type { TrainedNetwork } from "../../tools/cli/checkpoint.js";
import { compareOnImages } from "../../tools/cli/export_agreement.js";
import { f32, foreignModel, node } from "../support/foreign.js";

const SIZE = 2;

/** logits = the mean of each colour times `factors`, for batches of `batch`. */
const model = (batch: number | string, factors: readonly number[]): Uint8Array =>
  encodeModel(
    foreignModel({
      nodes: [
        node("GlobalAveragePool", ["image"], ["mean"]),
        node("Flatten", ["mean"], ["row"]),
        node("Mul", ["row", "factors"], ["logits"]),
      ],
      inputs: { image: [batch, 3, SIZE, SIZE] },
      constants: { factors: f32([1, 3], factors) },
      outputs: ["logits"],
    }),
  );

/** A network of another program that takes pixels from 0 to 1. */
const network = (batch: number | undefined): TrainedNetwork => {
  const pixels = { mean: [0, 0, 0], std: [1, 1, 1] };
  const foreign = { pixels, options: { input: { name: "image", channels: 1, batch, size: SIZE } } };
  return { image_size: SIZE, foreign } as unknown as TrainedNetwork;
};

/** Pictures of one colour each. */
const colours = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [0, 51, 255],
  [255, 204, 0],
];
const pictures = {
  count: colours.length,
  size: SIZE,
  planes: Uint8Array.from(colours.flatMap((rgb) => rgb.flatMap((c) => Array<number>(SIZE * SIZE).fill(c)))),
  labels: [0, 1, 1, undefined, 0],
};

for (const batch of [undefined, 1, 2, 3, 8])
  test(`differences, agreement and top-1, ${batch === undefined ? "any number" : batch} at once`, async (t) => {
    const fed = { network: network(batch), input: "float", head: "classifier" } as const;
    const [full, other] = [model(batch ?? "N", [1, 1, 1]), model(batch ?? "N", [0.5, 1, 1])];
    const same = await compareOnImages(fed, full, full, pictures);
    t.deepEqual([same.images, same.equal, same.right], [5, 5, { images: 4, f32: 3, model: 3 }]);
    t.deepEqual(same.differences, [{ output: "logits", largest: 1, absolute: 0, relative: 0, mean: 0 }]);
    // red is halved: the last picture, red 1 and green 0.8, becomes green
    const a = await compareOnImages(fed, full, other, pictures);
    t.deepEqual([a.equal, a.right], [4, { images: 4, f32: 3, model: 2 }]);
    const [d] = a.differences;
    t.is(d?.absolute, 0.5);
    t.is(d?.relative, 0.5);
    t.is(d?.mean, 1 / 15);
  });

test("without labels there is no top-1", async (t) => {
  const fed = { network: network(undefined), input: "float", head: "classifier" } as const;
  const none = { ...pictures, labels: pictures.labels.map(() => undefined) };
  t.is((await compareOnImages(fed, model("N", [1, 1, 1]), model("N", [1, 1, 1]), none)).right, undefined);
});
