// Foreign models with data for their inputs: which inputs become constants, and what is known then.

import test from "ava";
import type { NdArray } from "../../compiler/ir/nd.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import { bindInputs, importWithData } from "../../compiler/onnx/foreign_data.js";
import { type Elements, type ElementType, elementsOf, type Model, tensorOf } from "../../compiler/onnx/model.js";
import { Unsupported } from "../../compiler/onnx/unsupported.js";
import { array, f32, foreignModel, i64, node, results } from "../support/foreign.js";
import { close } from "../support/rule_tests.js";

/** The model with other element types of inputs and outputs than f32. */
function typed(m: Model, types: Readonly<Record<string, ElementType>>): Model {
  const as = <V extends { readonly name: string; readonly type: ElementType }>(v: V): V => ({
    ...v,
    type: types[v.name] ?? v.type,
  });
  return { ...m, graph: { ...m.graph, inputs: m.graph.inputs.map(as), outputs: m.graph.outputs.map(as) } };
}

const x = f32([2, 3], [1, 2, 3, 4, 5, 6], "x");

test("an input becomes a constant if a value that depends on it decides a shape, and no other input does", (t) => {
  const m = typed(
    foreignModel({
      nodes: [
        node("Cast", ["n"], ["wide"], { to: 7 }),
        node("Concat", ["wide", "rest"], ["to"], { axis: 0 }),
        node("Reshape", ["x", "to"], ["r"]),
        node("Add", ["r", "z"], ["y"]),
      ],
      inputs: { x: ["a", "b"], n: [1], z: [1] },
      constants: { rest: i64([-1]) },
    }),
    { n: "i32" },
  );
  const data = new Map([x, tensorOf("n", "i32", [1], Int32Array.of(3)), f32([1], [10], "z")].map((v) => [v.name, v]));
  const { foreign, bound } = importWithData(m, data);
  t.deepEqual(bound, ["n"]);
  t.deepEqual([...foreign.inputs.keys()], ["x", "z"]);
  t.deepEqual([...foreign.outputs], [["y", "y"]]);
  const got = results(foreign, [array([2, 3], [1, 2, 3, 4, 5, 6]), array([1], [10])]);
  close(t, got[0] as NdArray, array([3, 2], [11, 12, 13, 14, 15, 16]), 0, 0);
});

test("an operator that is supported on constants only binds all its inputs", (t) => {
  const m = typed(
    foreignModel({ nodes: [node("Range", ["a", "b", "c"], ["y"])], inputs: { a: [], b: [], c: [] } }),
    {},
  );
  const data = new Map([f32([], [1], "a"), f32([], [2], "b"), f32([], [0.25], "c")].map((v) => [v.name, v]));
  const { foreign, bound } = importWithData(m, data);
  t.deepEqual(bound, ["a", "b", "c"]);
  t.deepEqual(foreign.outputs.size, 0);
  t.deepEqual(elementsOf(foreign.folded.get("y") as typeof x), Float32Array.of(1, 1.25, 1.5, 1.75));
});

for (const [type, from, to] of [
  ["u8", Uint8Array.of(3, 0), Uint8Array.of(253, 0)],
  ["i16", Int16Array.of(-32768, 5), Int16Array.of(-32768, -5)],
  ["u64", BigUint64Array.of(1n, 0n), BigUint64Array.of(2n ** 64n - 1n, 0n)],
  ["f16", Uint16Array.of(0x3c00, 0x8000), Uint16Array.of(0xbc00, 0)],
  ["f64", Float64Array.of(0.1, -0), Float64Array.of(-0.1, 0)],
] as const satisfies readonly (readonly [ElementType, Elements, Elements])[])
  test(`outputs that are constants keep ${type}`, (t) => {
    const m = typed(
      foreignModel({ nodes: [node("Neg", ["c"], ["y"])], constants: { c: tensorOf("c", type, [2], from) } }),
      { y: type },
    );
    const y = importWithData(m, new Map()).foreign.folded.get("y");
    t.is(y?.type, type);
    t.deepEqual(elementsOf(y as typeof x), to);
  });

test("values without elements are constants, and the rest is computed", (t) => {
  const m = foreignModel({
    nodes: [node("Slice", ["x"], ["none"], { starts: [2], ends: [2], axes: [0] }), node("Relu", ["x"], ["y"])],
    inputs: { x: ["a", 3], empty: [0, 2] },
    outputs: ["none", "y", "empty"],
    opset: 9,
  });
  const { foreign, bound } = importWithData(m, new Map([x, f32([0, 2], [], "empty")].map((v) => [v.name, v])));
  t.deepEqual(bound, ["empty"]);
  t.deepEqual([...foreign.folded.keys()], ["none", "empty"]);
  t.deepEqual(foreign.folded.get("none")?.dims, [0, 3]);
  t.deepEqual(foreign.folded.get("empty")?.dims, [0, 2]);
  t.deepEqual([...foreign.outputs.keys()], ["y"]);
});

test("data for an input with an initializer replace it", (t) => {
  const m = foreignModel({
    nodes: [node("Add", ["x", "w"], ["y"])],
    inputs: { x: [2, 3] },
    constants: { w: f32([3], [1, 1, 1]) },
    listed: true,
    irVersion: 3,
  });
  const sum = (data: readonly (typeof x)[]): number[] => {
    const { foreign } = importWithData(m, new Map(data.map((v) => [v.name, v])));
    return [...(results(foreign, [array([2, 3], [1, 2, 3, 4, 5, 6])])[0] as NdArray).data];
  };
  t.deepEqual(sum([x]), [2, 3, 4, 5, 6, 7]);
  t.deepEqual(sum([x, f32([3], [0, 10, 20], "w")]), [1, 12, 23, 4, 15, 26]);
});

test("what two inputs share must be equal, and an extent of a constant is known for the others", (t) => {
  const m = foreignModel({ nodes: [node("Add", ["x", "z"], ["y"])], inputs: { x: ["n", 3], z: ["n", 1] } });
  const of = (n: number): ReadonlyMap<string, typeof x> =>
    new Map([x, f32([n, 1], Array(n).fill(1), "z")].map((v) => [v.name, v]));
  t.deepEqual(importWithData(m, of(2)).foreign.graph.outputs[0]?.type.shape, [2, 3]);
  t.throws(() => importWithData(m, of(1)), { message: /input z: its data are f32\[1,1\], but extent 0, n, is 2/ });
  const bound = bindInputs(m, new Map([["z", f32([2, 1], [1, 1])]]));
  t.deepEqual(
    importForeign(bound).graph.inputs.map((v) => v.type.shape),
    [[2, 3]],
  );
});

test("states of a program can have names of their own, and so can the program", (t) => {
  const m = foreignModel({
    nodes: [node("Add", ["x", "w"], ["y"])],
    inputs: { x: [3] },
    constants: { w: f32([3], [1, 2, 3]) },
  });
  const { graph, values } = importForeign(m, new Map(), { program: "third", statePrefix: "third." });
  t.is(graph.name, "third");
  t.deepEqual([graph.state.map((s) => s.name), [...values.keys()]], [["third.w"], ["third.w"]]);
});

test("what is not supported is told from what is not valid, with its operators", (t) => {
  const many = foreignModel({
    nodes: [node("Gru", ["x"], ["a"], {}, "com.example"), node("Relu", ["a"], ["y"])],
    inputs: { x: [2] },
  });
  t.deepEqual(t.throws(() => importForeign(many), { instanceOf: Unsupported })?.operators, ["com.example::Gru"]);
  const open = foreignModel({ nodes: [node("Reshape", ["x", "n"], ["y"])], inputs: { x: [2], n: [1] } });
  const refused = t.throws(() => importForeign(open), { instanceOf: Unsupported });
  t.deepEqual([refused?.operators, refused?.needed], [["Reshape"], ["n"]]);
  const odd = foreignModel({ nodes: [node("Relu", ["z"], ["y"])], inputs: { x: [2] } });
  t.false(t.throws(() => importForeign(odd)) instanceof Unsupported);
});

test("messages about data show no control characters of names", (t) => {
  const m = foreignModel({ nodes: [node("Relu", ["x\b"], ["y"])], inputs: { "x\b": [2, 2] } });
  const message = /^input x\\b: its data are f32\[2,3\], but extent 1 is 2$/;
  t.throws(() => bindInputs(m, new Map([["x\b", x]])), { message });
  t.throws(() => importWithData(m, new Map([["x\b", x]])), { message: /x\\b/ });
});
