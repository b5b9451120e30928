// BitCast: the bytes of constants as elements of another type, and whole numbers of one width.

import test from "ava";
import { NdArray } from "../../compiler/ir/nd.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import {
  dataTypes,
  type Elements,
  type ElementType,
  elementsOf,
  type Model,
  tensorOf,
} from "../../compiler/onnx/model.js";
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

test("whole numbers that are computed wrap around", (t) => {
  const m = foreignModel({ nodes: [node("BitCast", ["x"], ["y"], { to: numberOf("u16") })], opset: 26 });
  const graph = {
    ...m.graph,
    inputs: [{ name: "x", type: "i16" as const, shape: [3] }],
    outputs: [{ name: "y", type: "u16" as const, shape: [3] }],
  };
  const x = new NdArray([3], Float64Array.of(-1, 0, 32767));
  t.deepEqual([...(results(importForeign({ ...m, graph }), [x])[0] as NdArray).data], [65535, 0, 32767]);
});

const refused: Readonly<Record<string, readonly [Model, RegExp]>> = {
  "another width": [ofConstant("f32", "f64", Float32Array.of(1)), /operator BitCast .*f32 has not as many bits as f64/],
  "no truth values": [ofConstant("u8", "bool", Uint8Array.of(2)), /elements that are no truth values/],
  "floats that are computed": [
    foreignModel({
      nodes: [node("BitCast", ["x"], ["z"], { to: 6 }), node("Cast", ["z"], ["y"], { to: 1 })],
      inputs: { x: [2] },
      opset: 26,
    }),
    /operator BitCast .*f32 as i32 is supported only for constants/,
  ],
};
for (const [what, [m, message]] of Object.entries(refused))
  test(`refused: ${what}`, (t) => {
    t.throws(() => importForeign(m), { message });
  });
