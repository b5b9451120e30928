// Writes the shapes that conv_test.cc and conv_bench.cc run, with the constants and launch sizes of the
// TypeScript side of the templates: `node make_conv_cases.js FOLDER` writes FOLDER/conv_cases.inc and
// FOLDER/conv_shapes.inc. The two sides compute sizes independently, so a disagreement overruns a guard zone
// or changes a result.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { byteSize, type Node, type Target, type Value } from "../../../compiler/ir/types.js";
import { type Fused, type TemplateSpec, unfused } from "../../../compiler/lower/template.js";
import { convDgrad, convFprop, packConvDgrad, packConvFprop } from "../../../compiler/lower/templates/conv.js";
import { convWgrad } from "../../../compiler/lower/templates/conv_wgrad.js";

/** name, images, groups, C, H, W, OUT, R, S, STRIDE, PAD */
type Case = readonly [string, number, number, number, number, number, number, number, number, number, number];

const testCases: readonly Case[] = [
  ["plain 3x3", 2, 1, 16, 9, 11, 32, 3, 3, 1, 1],
  ["stem", 4, 2, 3, 19, 23, 64, 7, 7, 2, 3],
  ["point", 3, 1, 64, 7, 7, 48, 1, 1, 1, 0],
  ["point stride 2", 4, 4, 24, 13, 8, 40, 1, 1, 2, 0],
  ["odd everything", 2, 2, 5, 10, 7, 21, 3, 3, 2, 1],
  ["stride 3", 2, 1, 24, 14, 17, 16, 3, 3, 3, 1],
  ["5x5", 4, 2, 16, 12, 12, 24, 5, 5, 1, 2],
  ["5x3, stride 2, no pad", 2, 1, 20, 15, 11, 18, 5, 3, 2, 0],
  ["many images", 22, 2, 24, 4, 4, 64, 3, 3, 1, 1],
  ["chunks of taps", 8, 1, 264, 7, 7, 144, 3, 3, 1, 1],
  ["parts", 5, 1, 72, 5, 5, 528, 1, 1, 1, 0],
  ["row blocks", 2, 2, 32, 60, 57, 64, 3, 3, 1, 1],
  ["row blocks, stride 2", 2, 1, 40, 61, 58, 24, 3, 3, 2, 1],
  ["more pad than taps", 2, 1, 16, 6, 6, 16, 1, 1, 1, 2],
  ["pad 3 of 3x3, stride 2", 2, 1, 16, 7, 9, 16, 3, 3, 2, 3],
  ["window of the whole image", 4, 2, 16, 5, 6, 33, 5, 6, 1, 0],
  ["spaced pixels", 2, 1, 512, 5, 6, 1024, 3, 3, 2, 1],
  ["one pixel", 6, 2, 48, 1, 1, 80, 3, 3, 1, 1],
];

/** The distinct convolutions of ResNet-50 at 224 x 224, and how often each occurs. */
function resnet50(): readonly { readonly c: Case; readonly count: number }[] {
  const all = new Map<string, { c: Case; count: number }>();
  const add = (C: number, h: number, OUT: number, r: number, stride: number, pad: number): void => {
    const name = `${r}x${r} ${C}-${OUT} @${h}${stride > 1 ? ` /${stride}` : ""}`;
    const seen = all.get(name);
    if (seen) seen.count++;
    else all.set(name, { c: [name, 8, 1, C, h, h, OUT, r, r, stride, pad], count: 1 });
  };
  add(3, 224, 64, 7, 2, 3);
  let C = 64;
  let h = 56;
  for (const [width, blocks, first] of [
    [64, 3, 1],
    [128, 4, 2],
    [256, 6, 2],
    [512, 3, 2],
  ] as const)
    for (let b = 0; b < blocks; b++) {
      const stride = b === 0 ? first : 1;
      add(C, h, width, 1, 1, 0);
      add(width, h, width, 3, stride, 1);
      if (b === 0) add(C, h, 4 * width, 1, stride, 0);
      h /= stride;
      add(width, h, 4 * width, 1, 1, 0);
      C = 4 * width;
    }
  return [...all.values()];
}

const value = (shape: readonly number[]): Value => ({ name: "v", type: { dtype: "f32", shape } });

/** The epilogues of the tests: none, two sums, a sum and moments. */
const epilogues: readonly Fused[] = [unfused, { ...unfused, sums: 2 }, { ...unfused, sums: 1, moments: true }];

/** Constants and launches of a kernel; the tiles are those for the epilogue `tiled`. */
function struct(
  spec: TemplateSpec,
  node: Node,
  images: number,
  groups: number,
  target: Target,
  tiled = epilogues[1] as Fused,
): string {
  const all = Object.entries(spec.constants(node, target, tiled));
  const constants = all.flatMap(([k, v]) => (typeof v === "number" ? [`${k} = ${v}`] : [])).join(", ");
  const types = all.flatMap(([k, v]) => (typeof v === "object" && "type" in v ? [`using ${k} = ${v.type};`] : []));
  const launches = epilogues.map((y) => {
    const l = spec.launch(node, { rows: images, groups }, target, y);
    return `{{${l.tasks[0] ?? 0}, ${l.tasks[1] ?? 0}}, ${l.workspaceBytes}, ${l.scratchBytes}}`;
  });
  const packed = spec.packed?.(node, target);
  const size = packed ? byteSize(packed) / 4 : 0; // in words
  return `{
    ${types.join(" ")}
    static constexpr int ${constants};
    static constexpr LaunchSize launch[] = {${launches.join(", ")}};
    static constexpr int64_t packed = ${size};
  };`;
}

/** The three ways to multiply: a prefix of the struct's name, and what is added to the arch's name. */
const kinds = [
  { prefix: "", precision: "f32", more: "" },
  { prefix: "Bf16", precision: "bf16", more: "" },
  { prefix: "Amx", precision: "bf16", more: "+amx" },
] as const;
type Kind = (typeof kinds)[number];

function structs(c: Case, index: number, count: number, level: string, { prefix, precision, more }: Kind): string {
  const [name, images, groups, C, H, W, OUT, R, S, stride, pad] = c;
  const target: Target = { device: "cpu", arch: level + more, ranks: [1], precision };
  const [P, Q] = [Math.floor((H + 2 * pad - R) / stride) + 1, Math.floor((W + 2 * pad - S) / stride) + 1];
  const [x, w, y] = [value([images, C, H, W]), value([OUT, C, R, S]), value([images, OUT, P, Q])];
  const attrs = { stride, pad };
  const node = (op: string, inputs: readonly Value[], outputs: readonly Value[]): Node => ({
    op,
    inputs,
    outputs,
    attrs,
    scope: name,
  });
  const of = (spec: TemplateSpec, n: Node, tiled?: Fused): string => struct(spec, n, images, groups, target, tiled);
  return `struct ${prefix}Case${index} {
  static constexpr const char* name = "${name}${prefix === "" ? "" : `, ${prefix.toLowerCase()}`}";
  static constexpr int images = ${images}, groups = ${groups}, count = ${count};
  struct Fprop ${of(convFprop, node("conv", [x, w], [y]))}
  struct FpropWithoutSums ${of(convFprop, node("conv", [x, w], [y]), unfused)}
  struct Dgrad ${of(convDgrad, node("conv_dgrad", [y, w], [x]))}
  struct Wgrad ${of(convWgrad, node("conv_wgrad", [y, x], [w]))}
  struct PackFprop ${of(packConvFprop, node("pack_conv_fprop", [w], []))}
  struct PackDgrad ${of(packConvDgrad, node("pack_conv_dgrad", [w], []))}
};
`;
}

function file(cases: readonly { readonly c: Case; readonly count: number }[]): string {
  const of = (level: string): string =>
    kinds
      .filter(({ more }) => more === "" || level === "x86-64-v4")
      .flatMap((kind) => cases.map(({ c, count }, i) => structs(c, i, count, level, kind)))
      .join("");
  const list = cases.map((_, i) => `CASE(${i})`).join(" ");
  return `// Written by make_conv_cases.ts. Do not edit.
struct LaunchSize { int64_t tasks[2], workspace, scratch; };
#if defined(__AVX512F__)
${of("x86-64-v4")}#else
${of("x86-64-v3")}#endif
#define ALL_CASES ${list}
`;
}

const folder = process.argv[2];
if (folder === undefined) throw new Error("usage: node make_conv_cases.js FOLDER");
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "conv_cases.inc"), file(testCases.map((c) => ({ c, count: 1 }))));
writeFileSync(join(folder, "conv_shapes.inc"), file(resnet50()));
