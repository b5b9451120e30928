// Models of other exporters as a whole: the ONNX project's own cases, what is refused, and how names, weights and open
// extents are taken.

import test from "ava";
import type { NdArray } from "../../compiler/ir/nd.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import type { Model } from "../../compiler/onnx/model.js";
import { tensorOf } from "../../compiler/onnx/model.js";
import { decodeModel, encodeModel } from "../../compiler/onnx/proto.js";
import { array, f32, foreignModel, i64, node, type Parts, results } from "../support/foreign.js";
import { arrayOf, onnxCases } from "../support/onnx_cases.js";
import { close, x23 } from "../support/rule_tests.js";

for (const c of onnxCases())
  test(`ONNX's case ${c.name}`, (t) => {
    const f = importForeign(c.model);
    const given = new Set(c.model.graph.initializers.map((x) => x.name));
    t.true(c.sets.length > 0);
    for (const { inputs, outputs } of c.sets) {
      const fed = inputs.filter((_, i) => !given.has(c.model.graph.inputs[i]?.name ?? "")).map(arrayOf);
      const got = results(f, fed);
      t.is(got.length, outputs.length);
      outputs.forEach((want, i) => {
        t.is(f.graph.outputs[i]?.type.dtype, want.type as "f32");
        close(t, got[i] as NdArray, arrayOf(want), 1e-3, 1e-7);
      });
    }
  });
test("there are cases of all four kinds", (t) => {
  const kinds = onnxCases().map((c) => c.name.split("/")[0] as string);
  t.deepEqual([...new Set(kinds)].toSorted(), ["node", "node-legacy", "pytorch-converted", "pytorch-operator"]);
  t.true(kinds.length > 30);
});

const relu = node("Relu", ["x"], ["y"]);
const x: Parts["inputs"] = { x: [2, 3] };
const refused: Readonly<Record<string, readonly [Parts, RegExp]>> = {
  "all operators without a rule, with their numbers": [
    {
      nodes: [
        node("Gru", ["x"], ["a"], {}, "com.example"),
        node("StringConcat", ["a"], ["b"]),
        node("StringConcat", ["b"], ["c"]),
        node("Relu", ["c"], ["y"]),
      ],
      inputs: x,
    },
    /^2 of its operators are not supported in operator set 17: StringConcat \(2, first in .*com\.example::Gru \(1,/,
  ],
  "an operator that this version does not have yet": [
    { nodes: [node("Mish", ["x"], ["y"])], inputs: x, opset: 17 },
    /not supported in operator set 17: Mish \(1/,
  ],
  "the reasons of several nodes, but not those of nodes after them": [
    {
      nodes: [
        node("Clip", ["x", "", "six"], ["a"]),
        node("Relu", ["a"], ["b"]),
        node("Gelu", ["x"], ["c"], { approximate: "erf" }),
        node("Add", ["b", "c"], ["y"]),
      ],
      inputs: x,
      constants: { six: f32([1, 1], [6]) },
      opset: 20,
    },
    /^2 of its nodes are not supported: node of a \(operator Clip .*is \[1,1\].*; node of c \(operator Gelu .*erf/,
  ],
  "an extent of 0 that does not keep the extent": [
    { nodes: [node("Reshape", ["x", "s"], ["y"], { allowzero: 1 })], inputs: x, constants: { s: i64([0, 3]) } },
    /Reshape .*\[2,3\] cannot be reshaped to \[0,3\]/,
  ],
  "an attribute that no rule reads": [
    { nodes: [node("Relu", ["x"], ["y"], { slope: "0.5" })], inputs: x },
    /node of y \(operator Relu of domain ai\.onnx\): attribute slope is not supported/,
  ],
  "an input that no rule reads": [
    { nodes: [node("Relu", ["x", "x"], ["y"])], inputs: x },
    /operator Relu .*input 1 \(x\) is not supported/,
  ],
  "an input that is missing": [{ nodes: [node("Add", ["x", ""], ["y"])], inputs: x }, /Add .*input 1 is missing/],
  "a shape that only the caller knows": [
    { nodes: [node("Reshape", ["x", "s"], ["y"])], inputs: { ...x, s: [2] } },
    /Reshape .*input 1 \(s\) must be a constant/,
  ],
  "a dropout of training": [
    {
      nodes: [node("Dropout", ["x", "", "yes"], ["y"])],
      inputs: x,
      constants: { yes: tensorOf("", "bool", [], Uint8Array.of(1)) },
    },
    /Dropout .*it is a dropout of training/,
  ],
  "a conversion to floats of 8 bits": [
    { nodes: [node("Cast", ["x"], ["y"], { to: 17 })], inputs: x },
    /Cast .*a conversion from f32 to this element type is not supported/,
  ],
  "a constant that is too large": [
    { nodes: [node("ConstantOfShape", ["s"], ["y"])], constants: { s: i64([2 ** 20, 2 ** 20]) } },
    /ConstantOfShape .*a constant f32\[1048576,1048576\] is too large/,
  ],
  "a name that is defined twice": [
    { nodes: [node("Abs", ["x"], ["y"]), relu], inputs: x },
    /node of y \(operator Relu .*: its output y is defined twice/,
  ],
  "a name that nothing makes": [{ nodes: [node("Abs", ["q"], ["y"])], inputs: x }, /nothing makes its input q/],
  "a cycle": [
    { nodes: [node("Add", ["x", "b"], ["a"]), node("Neg", ["a"], ["b"]), node("Abs", ["b"], ["y"])], inputs: x },
    /Add .*its input b is made by a later node, or by one that needs this one/,
  ],
  "an output that nothing makes": [{ nodes: [], inputs: x, outputs: ["z"] }, /nothing makes the output z/],
  "an extent that is left open": [
    { nodes: [relu], inputs: { x: ["batch", 3] } },
    /input x leaves the extent batch open; give it with --dim batch=N/,
  ],
  "an open extent without a name": [{ nodes: [relu], inputs: { x: ["", 3] } }, /--dim x:0=N/],
  "an operator set after those that are known": [{ nodes: [relu], inputs: x, opset: 29 }, /known are 1 to 28/],
};
for (const [name, [parts, message]] of Object.entries(refused))
  test(`refused: ${name}`, (t) => {
    const error = t.throws(() => importForeign(foreignModel(parts)), { message });
    t.notRegex((error as Error).message, /internal|undefined/);
  });

test("nodes that no output needs are left out, also those of unknown operators", (t) => {
  const f = importForeign(foreignModel({ nodes: [node("StringConcat", ["x"], ["z"]), relu], inputs: x }));
  t.is(f.graph.nodes.length, 1);
});

test("weights are states with the model's values, whether or not they are listed as inputs", (t) => {
  const nodes = [
    node("ConstantOfShape", ["shape"], ["w"], { value: f32([1], [0.5]) }),
    node("MatMul", ["x", "w"], ["a"]),
    node("Add", ["a", "b"], ["y"]),
  ];
  const constants = { shape: i64([3, 2]), b: f32([2], [1, 2]), unused: f32([1], [9]) };
  for (const [irVersion, listed] of [
    [3, true],
    [4, false],
    [13, false],
  ] as const) {
    const f = importForeign(foreignModel({ nodes, inputs: x, constants, irVersion, listed, opset: 9 }));
    t.is(f.graph.name, "main");
    t.deepEqual(
      f.graph.state.map((s) => [s.name, s.role, s.type.shape]),
      [
        ["w", "param", [3, 2]],
        ["b", "param", [2]],
      ],
    );
    t.deepEqual([...f.values.keys()], ["w", "b"]);
    t.deepEqual(
      [f.graph.inputs, f.graph.outputs].map(([v]) => v?.name),
      ["x", "y"],
    );
    close(t, results(f, [x23])[0] as NdArray, array([2, 2], [-0.25, 0.75, 3.25, 4.25]));
  }
});

test("the statistics of a normalisation are no parameters", (t) => {
  const constants = Object.fromEntries(["g", "b", "m", "v"].map((name) => [name, f32([3], [1, 1, 1])]));
  const nodes = [node("BatchNormalization", ["x", "g", "b", "m", "v"], ["y"])];
  const f = importForeign(foreignModel({ nodes, inputs: x, constants }));
  t.deepEqual(
    f.graph.state.map((s) => s.role),
    ["param", "param", "buffer", "buffer"],
  );
});

test("outputs keep their names: an input, a weight, one value twice", (t) => {
  const nodes = [
    node("Identity", ["x"], ["same"]),
    node("Identity", ["w"], ["weight"]),
    relu,
    node("Identity", ["y"], ["again"]),
  ];
  const outputs = ["same", "weight", "y", "again", "x"];
  const f = importForeign(foreignModel({ nodes, inputs: x, constants: { w: f32([1], [7]) }, outputs }));
  t.deepEqual(
    f.graph.outputs.map((v) => v.name),
    outputs,
  );
  const positive = array([2, 3], [0, 0, 0, 0.5, 1, 3]);
  const want = [x23, array([1], [7]), positive, positive, x23];
  for (const [i, y] of results(f, [x23]).entries()) close(t, y, want[i] as NdArray);
});

test("names that could end a comment of the source are changed, and the table says so", (t) => {
  const strange = "a\n\\é";
  const nodes = [node("Add", [strange, "__metadata__"], ["y\t"])];
  const constants = { ["__metadata__"]: f32([1], [1]) };
  const f = importForeign(foreignModel({ nodes, inputs: { [strange]: [2, 3] }, constants, outputs: ["y\t"] }));
  const name = "a___";
  t.deepEqual(
    [...f.renamed],
    [
      [strange, name],
      ["__metadata__", "__metadata___"],
      ["y\t", "y_"],
    ],
  );
  t.deepEqual([f.graph.inputs[0]?.name, f.graph.outputs[0]?.name], [name, "y_"]);
  close(t, results(f, [x23])[0] as NdArray, array([2, 3], [-1, 0.5, 1, 1.5, 2, 4]));
});

test("open extents are given by name, or by input and axis", (t) => {
  const m = foreignModel({ nodes: [relu], inputs: { x: ["batch", ""] } });
  const f = importForeign(
    m,
    new Map([
      ["batch", 2],
      ["x:1", 3],
    ]),
  );
  t.deepEqual(f.graph.inputs[0]?.type.shape, [2, 3]);
  t.throws(
    () =>
      importForeign(
        m,
        new Map([
          ["batch", 2],
          ["x:1", 3],
          ["width", 4],
        ]),
      ),
    {
      message: "--dim width: no input of the model has such an extent",
    },
  );
});

test("a declared type that the model does not have", (t) => {
  const m = foreignModel({ nodes: [relu], inputs: x });
  const declared = (shape: readonly number[]): Model => ({
    ...m,
    graph: { ...m.graph, outputs: [{ name: "y", type: "f32", shape }] },
  });
  t.throws(() => importForeign(declared([2, 4])), { message: "output y is declared f32[2,4], but is f32[2,3]" });
  t.notThrows(() => importForeign(declared([2, 3])));
});

test("a model with a changed byte is refused, or imported without a crash", (t) => {
  const c = onnxCases().find(({ name }) => name.endsWith("test_operator_chunk"));
  const bytes = encodeModel(c?.model as Model);
  let refusals = 0;
  for (let i = 0; i < bytes.length; i++)
    for (const change of [0x01, 0x80, 0x7f]) {
      const changed = bytes.slice();
      changed[i] = (changed[i] as number) ^ change;
      try {
        importForeign(decodeModel(changed));
      } catch (e) {
        refusals++;
        if (!(e instanceof Error) || e instanceof TypeError || /^internal/.test(e.message))
          t.fail(`byte ${i} ^ ${change}: ${e}`);
      }
    }
  t.true(refusals > bytes.length);
});
