// Model-local functions whose attributes have values of their own (FunctionProto.attribute_proto): as Python's onnx
// writes them, and written by us, beside ONNX Runtime; and what of them is refused.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { NdArray } from "../../compiler/ir/nd.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import type { Attribute, OnnxFunction } from "../../compiler/onnx/model.js";
import { decodeModel, encodeModel, type Model } from "../../compiler/onnx/proto.js";
import { root } from "../../compiler/util/root.js";
import { f32, foreignModel, node, results } from "../support/foreign.js";
import { OrtModel } from "../support/ort.js";
import { noPythonWith, pythonWith } from "../support/python.js";
import { close } from "../support/rule_tests.js";

const x = new NdArray([2, 3], Float64Array.of(-2.5, 0.5, 1.25, 0.75, -1, 3));

const leaky = (defaults: Readonly<Record<string, Attribute>>, attributes: readonly string[] = []): OnnxFunction => ({
  domain: "own",
  name: "Leaky",
  inputs: ["v"],
  outputs: ["r"],
  attributes,
  defaults,
  opsets: new Map([["", 17]]),
  doc: "",
  nodes: [
    { ...node("LeakyRelu", ["v"], ["r"]), attributes: { alpha: { kind: "reference", value: "slope", type: 1 } } },
  ],
});
const slope = { kind: "float", value: 0.25 } as const;

function calling(attributes: Readonly<Record<string, string>>, ...functions: readonly OnnxFunction[]): Model {
  const m = foreignModel({ nodes: [node("Leaky", ["x"], ["y"], attributes, "own")], inputs: { x: [2, 3] } });
  return decodeModel(encodeModel({ ...m, opsets: new Map([...m.opsets, ["own", 1]]), functions }));
}

test("the value of a function's attribute is used if the call does not set it", async (t) => {
  for (const [attributes, alpha] of [
    [{}, 0.25],
    [{ slope: "0.5" }, 0.5],
  ] as const) {
    const m = calling(attributes, leaky({ slope }));
    const [y] = results(importForeign(m), [x]) as [NdArray];
    const want = NdArray.fill([2, 3], (i) => (x.data[i] as number) * ((x.data[i] as number) < 0 ? alpha : 1));
    t.deepEqual(y.data, want.data);
    const ort = await OrtModel.load(m);
    close(t, y, (await ort.run(new Map([["x", x]]))).get("y") as NdArray, 1e-6);
  }
});

test("values belong to the function that has them, whatever the order", (t) => {
  const other = { ...leaky({ slope: { kind: "float", value: 0.75 } }), name: "Other" };
  const none = { ...leaky({}), name: "None", defaults: undefined as never };
  for (const list of [
    [none, leaky({ slope }), other],
    [other, none, leaky({ slope })],
  ]) {
    const m = calling({}, ...list);
    t.deepEqual(
      m.functions.map((f) => f.defaults?.slope),
      list.map((f) => f.defaults?.slope as Attribute | undefined),
    );
    t.is(results(importForeign(m), [x])[0]?.data[0], -2.5 * 0.25);
  }
});

const body = foreignModel({ nodes: [node("Relu", ["x"], ["y"])], inputs: { x: [1] } }).graph;
const refused: Readonly<Record<string, readonly [OnnxFunction, RegExp]>> = {
  "an attribute with a value and without one": [
    leaky({ slope }, ["slope"]),
    /attribute slope of function Leaky is there twice/,
  ],
  "a reference as a value": [
    leaky({ slope: { kind: "reference", value: "other", type: 1 } }),
    /attribute slope of function Leaky has no value, but a reference to other/,
  ],
  "a graph as a value": [
    leaky({ slope: { kind: "graph", value: body } }),
    /attribute slope of function Leaky has a graph as its value, which is not supported/,
  ],
  "a value of another kind": [
    leaky({ slope: { kind: "tensor", value: f32([1], [1]) } }),
    /operator LeakyRelu .*attribute alpha is tensor, not float/,
  ],
};
for (const [what, [f, message]] of Object.entries(refused))
  test(`refused: ${what}`, (t) => {
    t.throws(() => importForeign(calling({}, f)), { message });
  });

const python = pythonWith("onnx", "onnxruntime");
if (python === undefined)
  test.skip(`functions of Python's onnx: ${noPythonWith("onnx", "onnxruntime")}`, (t) => t.pass());
else
  test("functions that Python's onnx writes compute what ONNX Runtime computes", async (t) => {
    const dir = join(root, "build", "test");
    mkdirSync(dir, { recursive: true });
    const made = mkdtempSync(join(dir, "functions-"));
    const r = spawnSync(python, [join(root, "test", "onnx", "functions_check.py"), made], { encoding: "utf8" });
    t.is(r.status, 0, r.stderr);
    const names = readdirSync(made).flatMap((f) => /^(.*)\.onnx$/.exec(f)?.[1] ?? []);
    t.is(names.length, 5);
    for (const name of names) {
      const m = decodeModel(readFileSync(join(made, `${name}.onnx`)));
      const { x: given, y: want } = JSON.parse(readFileSync(join(made, `${name}.json`), "utf8")) as Record<
        "x" | "y",
        number[]
      >;
      const array = (xs: readonly number[]): NdArray => new NdArray([2, 3], Float64Array.from(xs));
      close(t, results(importForeign(m), [array(given)])[0] as NdArray, array(want), 1e-5, 1e-6);
      const again = await OrtModel.load(m); // what we write has the values, too
      t.deepEqual([...((await again.run(new Map([["x", array(given)]]))).get("y") as NdArray).data], want, name);
    }
    rmSync(made, { recursive: true });
  });
