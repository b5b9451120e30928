// BitCast: the bytes of constants as elements of another type, and whole numbers of one width.

import test from "ava";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph } from "../../compiler/ir/types.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import {
  dataTypes,
  type Elements,
  type ElementType,
  elementsOf,
  type Model,
  tensorOf,
} from "../../compiler/onnx/model.js";
import { bf16, f16 } from "../../compiler/util/float.js";
import { compiled } from "../support/compiled.js";
import { foreignModel, node, results } from "../support/foreign.js";

const numberOf = (type: ElementType): number => dataTypes.indexOf(type);

/** y = BitCast(w) for the constant w. */
function ofConstant(from: ElementType, to: ElementType, values: Elements): Model {
  const m = foreignModel({
    nodes: [node("BitCast", ["w"], ["y"], { to: numberOf(to) })],
    constants: { w: tensorOf("w", from, [values.length], values) },
    opset: 26,
  });
  return { ...m, graph: { ...m.graph, outputs: [{ name: "y", type: to, shape: undefined }] } };
}

const pairs: readonly (readonly [ElementType, ElementType, Elements, Elements])[] = [
  ["f32", "i32", Float32Array.of(1, -2, 0.5), Int32Array.of(0x3f800000, -0x40000000, 0x3f000000)],
  ["u32", "f32", Uint32Array.of(0x40490fdb, 0xff800000), Float32Array.of(Math.PI, Number.NEGATIVE_INFINITY)],
  ["f64", "i64", Float64Array.of(-1, 2), BigInt64Array.of(-0x4010000000000000n, 0x4000000000000000n)],
  ["u64", "f64", BigUint64Array.of(0x3ff8000000000000n), Float64Array.of(1.5)],
  ["i8", "u8", Int8Array.of(-1, 3), Uint8Array.of(255, 3)],
  ["f16", "bf16", Uint16Array.of(0x3c00, 0x8001), Uint16Array.of(0x3c00, 0x8001)],
  ["u8", "bool", Uint8Array.of(0, 1), Uint8Array.of(0, 1)],
];
for (const [from, to, values, want] of pairs)
  test(`constants of ${from} as ${to}`, (t) => {
    const f = importForeign(ofConstant(from, to, values), new Map(), { fold: true });
    const y = f.folded.get("y");
    t.is(y?.type, to);
    t.deepEqual(y && elementsOf(y), want);
  });

/** y = BitCast(x) for the input x. */
function ofInput(from: ElementType, to: ElementType, n: number): Model {
  const m = foreignModel({ nodes: [node("BitCast", ["x"], ["y"], { to: numberOf(to) })], opset: 26 });
  const graph = {
    ...m.graph,
    inputs: [{ name: "x", type: from, shape: [n] }],
    outputs: [{ name: "y", type: to, shape: [n] }],
  };
  return { ...m, graph };
}

test("whole numbers that are computed wrap around", (t) => {
  const x = new NdArray([3], Float64Array.of(-1, 0, 32767));
  t.deepEqual([...(results(importForeign(ofInput("i16", "u16", 3)), [x])[0] as NdArray).data], [65535, 0, 32767]);
});

// bit patterns with a sign, a denormal number, infinity, and as wide as the type
const words: readonly (readonly [ElementType, ElementType, Elements])[] = [
  ["f32", "i32", Float32Array.of(1, -2, 1e-42, -Infinity, NaN)],
  ["f32", "u32", Float32Array.of(1, -2, 1e-42, -Infinity, -0)],
  ["i32", "f32", Int32Array.of(0x3f800000, -1, 1, -0x80000000)],
  ["f64", "i64", Float64Array.of(-1, 5e-324, Math.PI)],
  ["u64", "f64", BigUint64Array.of(0x4009200000000000n, 1n, 0xfff0000000000000n)],
  ["f16", "i16", Uint16Array.of(0x3c00, 0x8001, 0x7c00, 0x7e00)],
  ["u16", "f16", Uint16Array.of(0x3c00, 0x8001, 0x7c00, 0x7e01)],
  ["bf16", "f16", Uint16Array.of(0x3f80, 0x8001, 0x7f80)],
  ["i16", "bf16", Int16Array.of(0x3f80, -0x7fff, 0x7fc1)],
  ["bf16", "u16", Uint16Array.of(0x3f80, 0x8001, 0xff80)],
];
const imported = words.map(([from, to, x]) => importForeign(ofInput(from, to, x.length)).graph);
const named = imported.map((g, i) => ({ ...g, name: `bits_${i}` }));
const artefact = compiled("bit_cast", named);
for (const [i, [from, to, x]] of words.entries())
  test.serial(`computed ${from} as ${to}: the bytes do not change`, async (t) => {
    const a = await artefact;
    const g = named[i] as Graph;
    const outputs = a.programs.find((p) => p.name === g.name)?.outputs ?? [];
    const y = (await a.run(g.name, { [g.inputs[0]?.name as string]: x }))[outputs[0]?.name as string] as Elements;
    t.is(g.outputs[0]?.type.dtype, to);
    t.deepEqual(bytes(y), bytes(x));
    // the reference gives the same numbers, up to its precision of 2^53
    const want = results({ graph: g, values: new Map() } as never, [new NdArray([x.length], numbers(from, x))])[0];
    t.deepEqual([...(want as NdArray).data], [...numbers(to, y)]);
  });

const bytes = (xs: Elements): number[] => [...new Uint8Array(xs.buffer, xs.byteOffset, xs.byteLength)];
const numbers = (type: ElementType, xs: Elements): Float64Array =>
  Float64Array.from(xs as ArrayLike<number | bigint>, (v) =>
    type === "f16" ? f16(Number(v)) : type === "bf16" ? bf16(Number(v)) : Number(v),
  );

const refused: Readonly<Record<string, readonly [Model, RegExp]>> = {
  "another width": [ofConstant("f32", "f64", Float32Array.of(1)), /operator BitCast .*f32 has not as many bits as f64/],
  "no truth values": [ofConstant("u8", "bool", Uint8Array.of(2)), /elements that are no truth values/],
  "numbers that are computed as truth values": [
    ofInput("u8", "bool", 2),
    /operator BitCast .*u8 as bool is supported only for constants/,
  ],
};
for (const [what, [m, message]] of Object.entries(refused))
  test(`refused: ${what}`, (t) => {
    t.throws(() => importForeign(m), { message });
  });
