// Malicious ONNX files: every one is refused quickly, with a message that names fault and place, and without a crash.

import test from "ava";
import { Builder } from "../../compiler/ir/builder.js";
import type { Graph } from "../../compiler/ir/types.js";
import { importStep } from "../../compiler/onnx/import.js";
import type { Model, OnnxGraph, OnnxNode, Tensor, ValueInfo } from "../../compiler/onnx/model.js";
import { numbersTensor } from "../../compiler/onnx/model.js";
import { decodeModel, encodeModel } from "../../compiler/onnx/proto.js";
import * as op from "../../compiler/ops/index.js";
import { stepModel } from "../support/ort_step.js";
import { uniform } from "../support/random.js";
import { initialStates } from "../support/training.js";

/** A step with a weight: standard operators, constants, functions with attributes. */
function small(): Graph {
  const b = Builder.create("tiny");
  const x = b.input("x", { dtype: "f32", shape: [2, 3] });
  const w = b.state("w", { dtype: "f32", shape: [2, 3] }, { kind: "normal", std: 0.5 });
  const y = op.relu(b.in("layer"), op.matmul(b.in("layer"), x, w, { tb: true }));
  b.update(w, op.scale(b, op.add(b, w, x), { factor: 0.9 }));
  return b.finish([op.sum(b, y, { axes: [1] })]);
}
const model = stepModel(small(), initialStates(small(), 1));
const bytes = encodeModel(model);

test("the file is right as it is", (t) => {
  t.is(importStep(decodeModel(bytes)).graph.nodes.length, 5);
});

test(`cut off at every one of ${bytes.length} bytes`, (t) => {
  for (let n = 0; n < bytes.length; n++) {
    const error = t.throws(() => importStep(decodeModel(bytes.subarray(0, n))), undefined, `${n} bytes are accepted`);
    t.true(
      (error as Error).message.length > 10 && !/internal|undefined/.test((error as Error).message),
      (error as Error).message,
    );
  }
});

test("a changed byte is refused, or is one that changes nothing but a name or a number", (t) => {
  const next = uniform(5);
  let refused = 0;
  for (let i = 0; i < bytes.length; i++)
    for (const change of [0x01, 0x80, 1 + Math.floor(255 * next())]) {
      const changed = bytes.slice();
      changed[i] = (changed[i] as number) ^ change;
      const start = performance.now();
      try {
        importStep(decodeModel(changed));
      } catch (e) {
        refused++;
        if (!(e instanceof Error) || e instanceof TypeError || /^internal/.test(e.message))
          t.fail(`byte ${i} ^ ${change}: ${e}`);
      }
      t.true(performance.now() - start < 2000, `byte ${i} ^ ${change}`);
    }
  t.log(`${refused} of ${3 * bytes.length} refused`);
  t.true(refused > bytes.length);
});

const withGraph = (change: Partial<OnnxGraph>): Model => ({ ...model, graph: { ...model.graph, ...change } });
const withNode = (i: number, change: Partial<OnnxNode>): Model =>
  withGraph({ nodes: model.graph.nodes.map((n, j) => (i === j ? { ...n, ...change } : n)) });
const withInput = (change: Partial<ValueInfo>): Model =>
  withGraph({ inputs: model.graph.inputs.map((v, i) => (i === 0 ? { ...v, ...change } : v)) });
const withMeta = (key: string, change: (h: Record<string, unknown>) => void): Model => {
  const h = JSON.parse(model.metadata.get(key) as string) as Record<string, unknown>;
  change(h);
  return { ...model, metadata: new Map([...model.metadata, [key, JSON.stringify(h)]]) };
};
const at = (opName: string): number => model.graph.nodes.findIndex((n) => n.op === opName);
const state = model.graph.initializers[0] as Tensor;
const claiming = (dims: readonly number[]): Model =>
  withGraph({ initializers: [{ ...state, dims }, ...model.graph.initializers.slice(1)] });
const withFunction = (name: string, change: Partial<OnnxGraph>): Model => ({
  ...withGraph(change),
  functions: model.functions.map((f) => ({ ...f, name })),
});
const nest = (depth: number): OnnxGraph => ({
  ...model.graph,
  initializers: [],
  nodes:
    depth === 0
      ? []
      : [
          {
            ...(model.graph.nodes[0] as OnnxNode),
            attributes: { body: { kind: "graph", value: nest(depth - 1) } },
          },
        ],
});

const lies: Readonly<Record<string, readonly [Model, RegExp]>> = {
  "an unknown operator": [
    withNode(at("Relu"), { op: "Frob" }),
    /node layer\/relu \(operator Frob of domain ai\.onnx\): this operator is not supported/,
  ],
  "an unknown domain": [
    withNode(at("Relu"), { domain: "com.example" }),
    /operator Relu of domain com\.example\): .*not supported/,
  ],
  "an unknown function of ours": [
    withNode(at("Scale"), { op: "Frob" }),
    /operator Frob of domain moproc\): this operator is not supported/,
  ],
  "a file that is not ours": [{ ...model, metadata: new Map() }, /no moproc\.step/],
  "an attribute nobody reads": [
    withNode(at("Relu"), { attributes: { slope: { kind: "float", value: 1 } } }),
    /layer\/relu .*attribute slope is not supported/,
  ],
  "an attribute of another kind": [
    withNode(at("Gemm"), { attributes: { transB: { kind: "float", value: 1 } } }),
    /attribute transB is float, not int/,
  ],
  "a factor": [
    withNode(at("Gemm"), {
      attributes: { transB: { kind: "int", value: 1 }, alpha: { kind: "float", value: 2 } },
    }),
    /a factor \(alpha or beta\) is not supported/,
  ],
  "too many inputs": [withNode(at("Relu"), { inputs: ["x", "x"] }), /relu .*it has 2 inputs/],
  "too many outputs": [withNode(at("Relu"), { outputs: ["layer.relu", "other"] }), /it has 2 outputs/],
  "a cycle": [
    withNode(at("Gemm"), { inputs: ["layer.relu", "w"] }),
    /matmul .*layer\.relu is made by a later node, or by one that needs it/,
  ],
  "a node that needs itself": [
    withNode(at("Relu"), { inputs: ["layer.relu"] }),
    /layer\.relu is made by .* one that needs it/,
  ],
  "an unknown value": [withNode(at("Relu"), { inputs: ["nowhere"] }), /nowhere is not computed by the graph/],
  "two nodes with one result": [
    withGraph({ nodes: [...model.graph.nodes, model.graph.nodes[at("Relu")] as OnnxNode] }),
    /layer\.relu is defined twice/,
  ],
  "operands that do not fit": [withInput({ shape: [2, 4] }), /matmul .*inner dimensions differ: 4 and 3/],
  "a declared shape that is not so": [
    withGraph({
      values: model.graph.values.map((v) => (v.name === "layer.relu" ? { ...v, shape: [2, 5] } : v)),
    }),
    /layer\.relu is declared as f32\[2,5\], but is f32\[2,2\]/,
  ],
  "a declared type that is not so": [
    withGraph({ outputs: model.graph.outputs.map((v) => ({ ...v, type: "i64" as const })) }),
    /is declared as i64/,
  ],
  "an input of any shape": [withInput({ shape: ["N", 3] }), /input x: its shape is not fixed/],
  "an input without shape": [withInput({ shape: undefined }), /input x: its shape is not fixed/],
  "a huge input": [withInput({ shape: [2 ** 40, 3] }), /input x: f32\[1099511627776,3\] would take/],
  "a type that an operator does not take": [withInput({ type: "i64" }), /Gemm.*: a must be floating point .* not i64/],
  "a type of no use": [withInput({ type: "u16" }), /a must be floating point \(.*\), not u16/],
  "an input twice": [withGraph({ inputs: [...model.graph.inputs, ...model.graph.inputs] }), /input x is there twice/],
  "state that is not an input": [withGraph({ inputs: model.graph.inputs.slice(0, 1) }), /state w is not an input/],
  "state without a value": [
    withGraph({ initializers: model.graph.initializers.slice(1) }),
    /state w is not an initializer/,
  ],
  "an input with a default": [
    withGraph({ initializers: [...model.graph.initializers, { ...state, name: "x" }] }),
    /input x has an initializer but is not a state/,
  ],
  "an initializer twice": [
    withGraph({ initializers: [...model.graph.initializers, state] }),
    /initializer w is there twice/,
  ],
  "an output too many": [
    withGraph({
      outputs: [...model.graph.outputs, { name: "layer.relu", type: "f32", shape: [2, 2] }],
      values: [],
    }),
    /output layer\.relu is neither/,
  ],
  "an output too few": [
    withGraph({ outputs: model.graph.outputs.slice(1) }),
    /returned by the program but is not an output/,
  ],
  "a name for a file": [withGraph({ name: "../../tiny" }), /is not a valid name of a program/],
  "an old operator set": [
    {
      ...model,
      opsets: new Map([
        ["", 9],
        ["moproc", 1],
      ]),
    },
    /operator set 9/,
  ],
  "other functions of ours": [
    {
      ...model,
      opsets: new Map([
        ["", 18],
        ["moproc", 2],
      ]),
    },
    /version 2 of the functions of moproc/,
  ],
  "a body that means something else": [
    {
      ...model,
      functions: model.functions.map((f) => ({
        ...f,
        nodes: f.nodes.map((n) => (n.op === "Mul" ? { ...n, op: "Add" } : n)),
      })),
    },
    /scale .*the body of its function is not the one/,
  ],
  "no functions": [{ ...model, functions: [] }, /the model has no function of this name/],
  "a function twice": [
    { ...model, functions: [...model.functions, ...model.functions] },
    /function moproc::Scale is there twice/,
  ],
  "an attribute of a function that has another value": [
    withNode(at("Scale"), { attributes: { factor: { kind: "int", value: 3 } } }),
    /the body of its function is not the one/,
  ],
  "a name that would be source": [
    withNode(at("Relu"), { outputs: ["y\nint main() { return 1; }"] }),
    /the name "y\\nint main.*is not printable/,
  ],
  "a name that would swallow a line": [withNode(at("Relu"), { name: "layer\\/relu" }), /is not printable/],
  "a text for a number": [
    withNode(at("Scale"), { attributes: { factor: { kind: "string", value: "1); abort(" } } }),
    /attribute factor has a type that no op of moproc takes/,
  ],
  "a missing attribute": [
    withNode(at("Scale"), { attributes: {} }),
    /scale \(operator Scale of domain moproc\): its attributes \(none\) are not those of the op/,
  ],
  "two training infos": [
    { ...model, training: [...model.training, ...model.training] },
    /must have one training info, but has 2/,
  ],
  "no training info": [{ ...model, training: [] }, /must have one training info, but has 0/],
  "an algorithm elsewhere": [
    { ...model, training: model.training.map((i) => ({ ...i, algorithm: model.graph })) },
    /nodes of its own/,
  ],
  "an update of what is no state": [
    { ...model, training: model.training.map((i) => ({ ...i, updates: [["x", "scale"]] as const })) },
    /x, which is not a state/,
  ],
  "an update of another shape": [
    {
      ...model,
      training: model.training.map((i) => ({
        ...i,
        updates: [["w", model.graph.outputs[0]?.name as string]] as const,
      })),
      graph: { ...model.graph, outputs: model.graph.outputs.slice(0, 1) },
    },
    /update of %w is f32\[2\], the state is f32\[2,3\]/,
  ],
  "metadata of a version to come": [
    withMeta("moproc.step", (h) => (h.version = 2)),
    /moproc\.step: version 2 is not 1/,
  ],
  "no groups": [withMeta("moproc.step", (h) => (h.groups = 0)), /groups/],
  "a role nobody knows": [
    withMeta("moproc.step", (h) => (h.state = [{ name: "w", role: "boss", init: { kind: "constant", value: 0 } }])),
    /state has the entry .*boss/,
  ],
  "a copy of nothing": [
    withMeta("moproc.step", (h) => (h.state = [{ name: "w", role: "param", init: { kind: "copy", of: "v" } }])),
    /a copy of v, which is not a state/,
  ],
  "outputs that are none": [withMeta("moproc.step", (h) => (h.outputs = ["nowhere"])), /nowhere is not computed/],
  "an artefact's name with a path": [withMeta("moproc.plan", (h) => (h.name = "../x")), /moproc\.plan: name/],
  "settings that are objects": [withMeta("moproc.plan", (h) => (h.meta = { arch: {} })), /moproc\.plan: meta/],
  "metadata that is no JSON": [
    { ...model, metadata: new Map([...model.metadata, ["moproc.step", "{"]]) },
    /metadata moproc\.step/,
  ],
  "a tensor shorter than it says": [claiming([2, 4]), /initializer w: f32\[2,4\] takes 32 bytes, there are 24/],
  "a tensor of no size": [claiming([2 ** 50, 2 ** 50]), /initializer w: no tensor has shape/],
  "a tensor of many axes": [claiming(Array(40).fill(1)), /no tensor has shape/],
  "graphs in graphs": [{ ...model, graph: nest(20) }, /nested too deeply/],
  "a constant of any size": [
    withGraph({
      nodes: [
        {
          ...(model.graph.nodes[0] as OnnxNode),
          op: "ConstantOfShape",
          inputs: ["shape"],
          attributes: { value: { kind: "tensor", value: numbersTensor("", "f32", [1], [1]) } },
        },
      ],
      initializers: [...model.graph.initializers, numbersTensor("shape", "i64", [2], [2 ** 40, 2 ** 40])],
    }),
    /ConstantOfShape .*would take/,
  ],
  "labels of any number": [
    withFunction("SoftmaxCrossEntropy", {
      nodes: [
        {
          name: "l",
          op: "SoftmaxCrossEntropy",
          domain: "moproc",
          inputs: ["z", "y", "k"],
          outputs: ["l"],
          attributes: { groups: { kind: "int", value: 1 } },
        },
      ],
      inputs: [
        ...model.graph.inputs,
        { name: "z", type: "f32", shape: [2, 2 ** 32] },
        { name: "y", type: "i64", shape: [2] },
        { name: "k", type: "f32", shape: [2] },
      ],
    }),
    /a table of 4294967296 numbers/,
  ],
};
for (const [what, [lie, message]] of Object.entries(lies))
  test(`refused: ${what}`, (t) => {
    t.throws(() => importStep(decodeModel(encodeModel(lie))), { message });
  });

/** A graph in an attribute of a node of a graph, and so on. */
function nested(depth: number): Uint8Array {
  const field = (tag: number, content: Buffer): Buffer => {
    const length: number[] = [];
    for (let n = content.length; n > 0 || length.length === 0; n >>>= 7) length.push((n & 127) | (n > 127 ? 128 : 0));
    return Buffer.concat([Buffer.from([tag, ...length]), content]);
  };
  let graph: Buffer = Buffer.alloc(0);
  for (let i = 0; i < depth; i++) graph = field(0x0a, field(0x2a, field(0x32, graph))); // node, attribute, g
  return field(0x3a, graph);
}

test("bytes that are no model", (t) => {
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [Buffer.alloc(0), /its IR version is 0/],
    [Buffer.from("not a model at all"), /not an ONNX model/],
    [Buffer.from([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), /the IR version/],
    [
      Buffer.from([0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
      /cut off: at byte 6 a field needs \d+ more, but the file ends at 6/,
    ],
    [nested(5000), /graphs are nested too deeply/],
    [Buffer.from(Array.from({ length: 100_000 }, () => [0xf3, 0x01]).flat()), /at byte 0 .* is a group/],
    [Buffer.from([0x08, 0x08]), /imports no version of any operators/],
  ];
  for (const [file, message] of cases) t.throws(() => decodeModel(file), { message });
});
