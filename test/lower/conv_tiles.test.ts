// The tile sizes of ResNet-50's convolutions that decide the order of a sum: in bf16 they are the same for every kind
// of CPU, which is why a run may move between them. (The op cases are too small for these sizes to differ.)

import test from "ava";
import type { Node, Target, Value } from "../../compiler/ir/types.js";
import { type TemplateSpec, unfused } from "../../compiler/lower/template.js";
import { convDgrad, convFprop } from "../../compiler/lower/templates/conv.js";
import { convWgrad } from "../../compiler/lower/templates/conv_wgrad.js";

const value = (shape: readonly number[]): Value => ({ name: "v", type: { dtype: "f32", shape } });

/** Channels in and out, pixels, window, stride. */
type Shape = readonly [number, number, number, number, number];
const shapes: readonly Shape[] = [
  [3, 64, 224, 7, 2],
  ...[64, 128, 256, 512].flatMap((width, i): Shape[] => {
    const pixels = 56 >> i;
    const [inside, before, stride] = i === 0 ? ([64, 56, 1] as const) : ([2 * width, 2 * pixels, 2] as const);
    return [
      [inside, width, before, 1, 1],
      [width, width, before, 3, stride],
      [inside, 4 * width, before, 1, stride],
      [width, 4 * width, pixels, 1, 1],
      [4 * width, width, pixels, 1, 1],
      [width, width, pixels, 3, 1],
    ];
  }),
];

function sizes(arch: string, precision: "f32" | "bf16"): string[] {
  const target: Target = { device: "cpu", arch, ranks: [1], precision };
  return shapes.flatMap(([C, OUT, H, R, stride]) => {
    const pad = R >> 1;
    const P = Math.floor((H + 2 * pad - R) / stride) + 1;
    const [x, w, y] = [value([16, C, H, H]), value([OUT, C, R, R]), value([16, OUT, P, P])];
    const of = (spec: TemplateSpec, inputs: readonly Value[], output: Value): string => {
      const n: Node = { op: spec.op, inputs, outputs: [output], attrs: { stride, pad }, scope: "" };
      const c = spec.constants(n, target, { ...unfused, sums: 2 });
      return [spec.name, C, OUT, H, R, c.TAP_ROWS, c.ROW_BLOCK, c.IMAGE_BLOCK, c.SPLITS].join(" ");
    };
    return [of(convFprop, [x, w], y), of(convDgrad, [y, w], x), of(convWgrad, [y, x], w)];
  });
}

test("sizes that decide the order of sums are the same for all CPUs in bf16", (t) => {
  const [v3, v4, own] = ["x86-64-v3", "x86-64-v4", "x86-64-v4+bf16"].map((arch) => sizes(arch, "bf16"));
  t.deepEqual(v3, v4);
  t.deepEqual(own, v4);
  t.notDeepEqual(sizes("x86-64-v3", "f32"), sizes("x86-64-v4", "f32"), "the shapes are large enough to differ");
});
