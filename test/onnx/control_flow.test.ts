// If, Loop, Scan and model-local functions, beside ONNX Runtime, and what of them is refused.

import test from "ava";
import { NdArray } from "../../compiler/ir/nd.js";
import { type Foreign, importForeign } from "../../compiler/onnx/foreign.js";
import { type Attribute, type OnnxFunction, type Tensor, tensorOf } from "../../compiler/onnx/model.js";
import type { Model, OnnxGraph } from "../../compiler/onnx/proto.js";
import { type Attrs, f32, i64, node, results, some } from "../support/foreign.js";
import { graph, model, values, withGraphs, x } from "../support/foreign_graphs.js";
import { OrtModel } from "../support/ort.js";
import { close } from "../support/rule_tests.js";

const bool = (v: boolean): Tensor => tensorOf("", "bool", [], Uint8Array.of(Number(v)));
const branches = {
  then_branch: graph([node("Add", ["x", "k"], ["t"])], {}, { t: ["f32", [2, 3]] }, { k: f32([3], [1, 2, 3]) }),
  else_branch: graph([node("Mul", ["x", "a"], ["e"])], {}, { e: ["f32", [2, 3]] }),
};
const loopBody = (kept: "go" | "more") =>
  graph(
    [
      node("Cast", ["i"], ["step"], { to: 1 }),
      node("Add", ["s", "step"], ["sum"]),
      node("Mul", ["sum", "x"], ["out"]),
      node("Identity", ["go"], ["same"]),
      node("Less", ["i", "two"], ["more"]),
    ],
    { i: ["i64", []], go: ["bool", []], s: ["f32", [2, 3]] },
    { [kept === "go" ? "same" : "more"]: ["bool", []], sum: ["f32", [2, 3]], out: ["f32", [2, 3]] },
    { two: i64([2], []) },
  );
const looped = (trips: string, kept: "go" | "more", body = loopBody(kept)) =>
  graph(
    [withGraphs(node("Loop", [trips, "yes", "x"], ["y", "all"]), { body })],
    x,
    { y: ["f32", [2, 3]], all: ["f32", [kept === "more" ? 3 : 5, 2, 3]] },
    { five: i64([5], []), yes: bool(true) },
  );
const scanBody = graph(
  [node("Add", ["s", "e"], ["next"]), node("Sub", ["next", "x0"], ["each"])],
  { s: ["f32", [2]], e: ["f32", [2]] },
  { next: ["f32", [2]], each: ["f32", [2]] },
);
const scanned = (attributes: Readonly<Record<string, Attribute>>, out: readonly number[]) =>
  graph(
    [
      withGraphs(
        node("Scan", ["zero", "x"], ["y", "all"], { num_scan_inputs: 1 }),
        { body: scanBody },
        { ...attributes, scan_input_axes: { kind: "ints", value: [1] } },
      ),
    ],
    x,
    { y: ["f32", [2]], all: ["f32", out] },
    { zero: f32([2], [0, 0.5]), x0: f32([2], [1, 2]) },
  );
const ints = (value: number): Attribute => ({ kind: "ints", value: [value] });

/** A loop of no iterations, whose body declares the shape of what it collects or does not. */
const none = (declared: boolean): OnnxGraph => {
  const body = loopBody("go");
  const outputs = body.outputs.map((v) => (v.name === "out" && !declared ? { ...v, shape: ["", "n"] } : v));
  return looped("zero", "go", { ...body, outputs });
};
const without = (g: OnnxGraph): OnnxGraph => ({
  ...g,
  outputs: values({ y: ["f32", [2, 3]], all: ["f32", [0, 2, 3]] }),
  initializers: [...g.initializers, { ...i64([0], []), name: "zero" }],
});

const scaled: OnnxFunction = {
  domain: "own",
  name: "Scaled",
  inputs: ["v", "bias"],
  outputs: ["r"],
  attributes: ["alpha"],
  opsets: new Map([["", 17]]),
  doc: "",
  nodes: [
    { ...node("LeakyRelu", ["v"], ["l"]), attributes: { alpha: { kind: "reference", value: "alpha", type: 1 } } },
    node("Add", ["l", "bias"], ["r"]),
  ],
};
const twice: OnnxFunction = {
  ...scaled,
  name: "Twice",
  inputs: ["p"],
  outputs: ["q"],
  attributes: [],
  opsets: new Map([
    ["", 17],
    ["own", 1],
  ]),
  nodes: [
    node("Scaled", ["p", "p"], ["l"], { alpha: "0.25" }, "own"),
    node("Scaled", ["l", "p"], ["q"], { alpha: "0.5" }, "own"),
  ],
};

const models: Readonly<Record<string, Model>> = {
  "If, the first branch": model(
    graph(
      [withGraphs(node("If", ["c"], ["y"]), branches)],
      x,
      { y: ["f32", [2, 3]] },
      { c: bool(true), a: f32([], [3]) },
    ),
  ),
  "If, the other one, by a condition that is computed": model(
    graph(
      [
        node("Shape", ["x"], ["s"]),
        node("Size", ["s"], ["n"]),
        node("Less", ["n", "one"], ["c"]),
        withGraphs(node("If", ["c"], ["y"]), branches),
      ],
      x,
      { y: ["f32", [2, 3]] },
      { one: i64([1], []), a: f32([], [3]) },
    ),
  ),
  "Loop of five": model(looped("five", "go")),
  "Loop until its condition fails": model(looped("five", "more")),
  "Loop without a number": model(looped("", "more", loopBody("more"))),
  "Loop of none, whose body declares its shapes": model(without(none(true))),
  "Loop of none, whose body does not": model(without(none(false))),
  Scan: model(scanned({}, [3, 2])),
  "Scan backwards, along another axis": model(
    scanned({ scan_input_directions: ints(1), scan_output_axes: ints(1), scan_output_directions: ints(1) }, [2, 3]),
  ),
  "functions that call each other": model(
    graph([node("Twice", ["x"], ["h"], {}, "own"), node("Twice", ["h"], ["y"], {}, "own")], x, { y: ["f32", [2, 3]] }),
    [scaled, twice],
  ),
  "a loop in a loop": model(
    graph(
      [
        withGraphs(node("Loop", ["five", "yes", "x"], ["y"]), {
          body: graph(
            [
              withGraphs(node("Loop", ["i", "go", "s"], ["t"]), {
                body: graph(
                  [node("Add", ["u", "x"], ["v"]), node("Identity", ["g"], ["h"])],
                  { j: ["i64", []], g: ["bool", []], u: ["f32", [2, 3]] },
                  { h: ["bool", []], v: ["f32", [2, 3]] },
                ),
              }),
              node("Identity", ["go"], ["same"]),
            ],
            { i: ["i64", []], go: ["bool", []], s: ["f32", [2, 3]] },
            { same: ["bool", []], t: ["f32", [2, 3]] },
          ),
        }),
      ],
      x,
      { y: ["f32", [2, 3]] },
      { five: i64([5], []), yes: bool(true) },
    ),
  ),
};

for (const [name, m] of Object.entries(models))
  test(name, async (t) => {
    const f: Foreign = importForeign(m);
    const input = some([2, 3]);
    const got = results(f, [input]);
    const want = await (await OrtModel.load(m)).run(new Map([["x", input]]));
    for (const [i, v] of m.graph.outputs.entries()) {
      t.deepEqual(f.graph.outputs[i]?.type.shape, want.get(v.name)?.shape);
      close(t, got[i] as NdArray, want.get(v.name) as NdArray);
    }
  });

const cond: Attrs = {};
const refused: Readonly<Record<string, readonly [() => Model, RegExp]>> = {
  "a condition that is known only when the program runs": [
    () =>
      model(
        graph(
          [
            node("ReduceSum", ["x"], ["s"], { keepdims: 0 }),
            node("Less", ["s", "a"], ["c"]),
            withGraphs(node("If", ["c"], ["y"], cond), branches),
          ],
          x,
          { y: ["f32", [2, 3]] },
          { a: f32([], [3]) },
        ),
      ),
    /node of y \(operator If .*its condition \(c\) must be a constant/,
  ],
  "a loop without an end": [() => model(looped("", "go")), /operator Loop .*it has more than 10000 iterations/],
  "a branch that is missing": [
    () =>
      model(
        graph(
          [withGraphs(node("If", ["c"], ["y"]), { else_branch: branches.else_branch })],
          x,
          { y: ["f32", [2, 3]] },
          {
            c: bool(true),
            a: f32([], [3]),
          },
        ),
      ),
    /attribute then_branch is missing, not a graph/,
  ],
  "a function that calls itself": [
    () =>
      model(graph([node("Twice", ["x"], ["y"], {}, "own")], x, { y: ["f32", [2, 3]] }), [
        { ...twice, nodes: [node("Other", ["p"], ["q"], {}, "own")] },
        { ...twice, name: "Other", nodes: [node("Twice", ["p"], ["q"], {}, "own")] },
      ]),
    /function own::Twice calls itself, through own::Twice, own::Other, own::Twice/,
  ],
  "a name in a branch that nothing makes": [
    () => model(graph([withGraphs(node("If", ["c"], ["y"]), branches)], x, { y: ["f32", [2, 3]] }, { c: bool(true) })),
    /nothing makes its input a/,
  ],
  "an operator in a branch that is not supported": [
    () =>
      model(
        graph(
          [
            withGraphs(node("If", ["c"], ["y"]), {
              ...branches,
              then_branch: graph([node("StringConcat", ["x", "x"], ["t"])], {}, { t: ["f32", [2, 3]] }),
            }),
          ],
          x,
          { y: ["f32", [2, 3]] },
          { c: bool(true), a: f32([], [3]) },
        ),
      ),
    /1 of its operators are not supported in operator set 17: StringConcat/,
  ],
};
for (const [name, [make, message]] of Object.entries(refused))
  test(`refused: ${name}`, (t) => {
    t.throws(() => importForeign(make()), { message });
  });

test("small numbers are computed at import; a weight that is scaled stays the state that could be trained", (t) => {
  const scaled = (n: number): Foreign => {
    const w = f32(
      [n],
      Array.from({ length: n }, (_, i) => i),
    );
    const nodes = [node("Sin", ["w"], ["s"]), node("Add", ["x", "s"], ["y"])];
    return importForeign(model(graph(nodes, { x: ["f32", [n]] }, { y: ["f32", [n]] }, { w })));
  };
  const names = (f: Foreign): string[] => f.graph.state.map((v) => v.name);
  t.deepEqual(names(scaled(64)), ["s"]);
  t.deepEqual(names(scaled(65)), ["w"]);
  const input = some([64]);
  const want = input.data.map((v, i) => v + Math.sin(i));
  close(t, results(scaled(64), [input])[0] as NdArray, new NdArray([64], want));
});
