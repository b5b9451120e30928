// `moproc run --cases`: what each kind of case is told to be, that one bad case does not stop the others, and how
// outputs are compared.

import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import test from "ava";
import type { Model, Tensor } from "../../compiler/onnx/model.js";
import { elementsOf, tensorOf } from "../../compiler/onnx/model.js";
import { decodeTensorFile, encodeModel, encodeTensorFile } from "../../compiler/onnx/proto.js";
import { compare, compareAll } from "../../tools/cli/cases/compare.js";
import { WorkerProcess } from "../../tools/cli/cases/worker_process.js";
import { Shell } from "../support/cli.js";
import { f32, foreignModel, i64, node } from "../support/foreign.js";

const shell = new Shell("cases");
test.after.always(() => shell.remove());

/** Writes a case with one set of data, or several. */
function write(
  name: string,
  model: Model | string,
  ...sets: readonly (readonly [readonly Tensor[], readonly Tensor[]])[]
) {
  mkdirSync(shell.at(name), { recursive: true });
  writeFileSync(shell.at(name, "model.onnx"), typeof model === "string" ? model : encodeModel(model));
  for (const [i, [inputs, outputs]] of sets.entries()) {
    const dir = shell.at(name, `test_data_set_${i}`);
    mkdirSync(dir);
    for (const [kind, tensors] of [
      ["input", inputs],
      ["output", outputs],
    ] as const)
      for (const [k, t] of tensors.entries()) writeFileSync(`${dir}/${kind}_${k}.pb`, encodeTensorFile(t));
  }
}

const relu = foreignModel({ nodes: [node("Relu", ["x"], ["y"])], inputs: { x: [4] } });
/** A model whose kernel has a comment with the name of the input. */
const scaled = foreignModel({
  nodes: [node("LeakyRelu", ["troublesome"], ["y"], { alpha: "0.123" })],
  inputs: { troublesome: [4] },
});
const x = f32([4], [-1, 0, 2, 3]);
const right = f32([4], [0, 0, 2, 3]);
const leaky = f32([4], [-0.123, 0, 2, 3]);

interface Results {
  readonly counts: Readonly<Record<string, number>>;
  readonly cases: readonly {
    readonly name: string;
    readonly status: string;
    readonly operator: string;
    readonly opset: number;
    readonly reason?: string;
    readonly error?: number;
    readonly constants?: readonly string[];
    readonly folded?: boolean;
  }[];
}
const read = (file: string): Results => JSON.parse(shell.text(file)) as Results;

test.serial("each case has its status, and its outputs are written", (t) => {
  write("all/node/good", relu, [[x], [right]], [[f32([4], [1, 2, 3, 4])], [f32([4], [1, 2, 3, 4])]]);
  write("all/node/near", relu, [[x], [f32([4], [0, 0, 2.001, 3])]]);
  write("all/node/far", relu, [[x], [f32([4], [0, 0, 2.01, 3.01])]]);
  write("all/node/allowed", relu, [[x], [f32([4], [0, 0, 2.01, 3.01])]]);
  write("all/node/own", relu, [[x], [f32([4], [0, 0, 2.01, 3.01])]]);
  writeFileSync(shell.at("all/node/own/data.json"), '{"rtol": 0.01}');
  writeFileSync(shell.at("all/tolerances.json"), '{"overrides": {"node/allow*": {"rtol": 0, "atol": 0.02}}}');
  write("all/node/second", relu, [[x], [right]], [[x], [x]]);
  write("all/node/shape", relu, [[x], [f32([2, 2], [0, 0, 2, 3])]]);
  write("all/node/type", relu, [[x], [i64([0, 0, 2, 3])]]);
  write("all/node/more", relu, [[x], [right, right]]);
  write("all/node/given", relu, [[], [right]]);
  write("all/node/bare", relu);
  write("all/node/damaged", "no model");
  write("all/other/unknown", foreignModel({ nodes: [node("Gru", ["x"], ["y"])], inputs: { x: [4] } }), [[x], [x]]);
  write("all/leaky", scaled, [[x], [leaky]]);
  const slashes = foreignModel({
    nodes: [node("Add", ["a/x:0", "w/b"], ["sum"]), node("Mul", ["sum", "b/x:0"], ["y/out:0"])],
    inputs: { "a/x:0": ["n", 2], "b/x:0": ["n", 2] },
    constants: { "w/b": f32([2], [1, 2]) },
    outputs: ["y/out:0"],
  });
  write("all/slashes", slashes, [
    [f32([2, 2], [1, 2, 3, 4]), f32([2, 2], [1, 10, 100, 1000])],
    [f32([2, 2], [2, 40, 400, 6000])],
  ]);
  const flat = foreignModel({
    nodes: [node("ConstantOfShape", ["x"], ["y"], { value: f32([1], [2]) })],
    inputs: { x: [1] },
  });
  const graph = { ...flat.graph, inputs: flat.graph.inputs.map((v) => ({ ...v, type: "i64" as const })) };
  write("all/folded", { ...flat, graph }, [[i64([0])], [f32([0], [])]]);
  const ran = shell.moproc("run", "--cases", "all", "--out", "out", "--json", "all.json");
  t.is(ran.status, 1, ran.err);
  const { cases, counts } = read("all.json");
  t.deepEqual(Object.fromEntries(cases.map((c) => [c.name, c.status])), {
    folded: "passed",
    leaky: "passed",
    "node/allowed": "passed",
    "node/bare": "error",
    "node/damaged": "error",
    "node/far": "failed",
    "node/given": "error",
    "node/good": "passed",
    "node/more": "failed",
    "node/near": "passed",
    "node/own": "passed",
    "node/second": "failed",
    "node/shape": "failed",
    "node/type": "failed",
    "other/unknown": "unsupported",
    slashes: "passed",
  });
  t.deepEqual(counts, { passed: 7, failed: 5, unsupported: 1, error: 3 });
  const reason = (name: string): string => cases.find((c) => c.name === name)?.reason ?? "";
  t.regex(
    reason("node/far"),
    /test_data_set_0: output 0 \(y\): element \[2\] is 2, expected 2\.00999.*2 of 4 elements/,
  );
  t.regex(reason("node/second"), /test_data_set_1: output 0 \(y\): element \[0\] is 0, expected -1$/);
  t.regex(reason("node/shape"), /its shape is \[4\], expected \[2,2\]/);
  t.regex(reason("node/type"), /its element type is f32, expected i64/);
  t.regex(reason("node/more"), /there are 1 outputs, expected 2/);
  t.regex(reason("node/given"), /there are no data for its inputs x/);
  t.regex(reason("node/bare"), /no folder test_data_set_0/);
  t.regex(reason("node/damaged"), /not an ONNX model/);
  t.regex(reason("other/unknown"), /Gru/);
  const near = cases.find((c) => c.name === "node/near");
  t.true(Math.abs((near?.error as number) - 0.001) < 1e-6);
  t.like(near, { operator: "Relu", opset: 17 });
  t.like(
    cases.find((c) => c.name === "folded"),
    { constants: ["x"], folded: true },
  );
  t.regex(ran.out, /^passed +node\/near: largest error 0\.001, 50 % of the tolerance$/m);
  t.regex(ran.out, /^unsupported +other\/unknown: Gru: /m);
  t.regex(ran.out, /^16 cases: 7 passed, 5 failed, 1 unsupported, 3 errors$/m);
  const output = decodeTensorFile(readFileSync(shell.at("out/node/far/test_data_set_0/output_0.pb")));
  t.deepEqual(elementsOf(output), Float32Array.of(0, 0, 2, 3));
  t.true(existsSync(shell.at("out/folded/test_data_set_0/output_0.pb")));
  t.false(existsSync(shell.at("out/other/unknown/test_data_set_0/output_0.pb")));
});

test.serial("a kernel that the compiler refuses is an error of its case alone", (t) => {
  write("some/a", relu, [[x], [right]]);
  write("some/b", scaled, [[x], [leaky]]);
  write("some/c", foreignModel({ nodes: [node("Sigmoid", ["x"], ["y"])], inputs: { x: [1] } }), [
    [f32([1], [0])],
    [f32([1], [0.5])],
  ]);
  writeFileSync(
    shell.at("picky"),
    [
      "#!/bin/sh",
      'for a; do case "$a" in *.cpp) grep -q troublesome "$a" && { echo "error: no" >&2; exit 1; };; esac; done',
      'exec g++ "$@"',
      "",
    ].join("\n"),
  );
  chmodSync(shell.at("picky"), 0o755);
  const cache = shell.at("cache");
  const run = ["run", "--cases", "some", "--out", "out-some", "--json", "some.json"];
  const ran = shell.start(
    "env",
    `CXX=${shell.at("picky")}`,
    `MOPROC_CACHE=${cache}`,
    process.execPath,
    shell.main,
    ...run,
  );
  t.is(ran.status, 1, ran.err);
  const { cases } = read("some.json");
  t.deepEqual(Object.fromEntries(cases.map((c) => [c.name, c.status])), { a: "passed", b: "error", c: "passed" });
  t.regex(cases.find((c) => c.name === "b")?.reason ?? "", /error: no/);
});

test.serial("a run that cannot be done, or does not end in time, does not stop the next one", async (t) => {
  write("work/a", relu, [[x], [right]]);
  t.is(shell.moproc("compile", "work/a/model.onnx", "-o", "built").status, 0);
  const worker = new WorkerProcess();
  t.teardown(() => worker.close());
  const job = { program: "main", states: {}, inputs: { x: Float32Array.of(-1, 0, 2, 3) } };
  await t.throwsAsync(worker.run(shell.at("missing"), job), { message: /missing/ });
  t.deepEqual((await worker.run(shell.at("built"), job)).y, Float32Array.of(0, 0, 2, 3));
  process.kill(worker.pid as number, "SIGSTOP");
  await t.throwsAsync(worker.run(shell.at("built"), job, 200), { message: /did not end within 0\.2 s/ });
  t.deepEqual((await worker.run(shell.at("built"), job)).y, Float32Array.of(0, 0, 2, 3));
  process.kill(worker.pid as number, "SIGSTOP"); // so that it cannot be faster than the next signal
  const running = worker.run(shell.at("built"), job);
  process.kill(worker.pid as number, "SIGKILL");
  await t.throwsAsync(running, { message: /was ended by SIGKILL/ });
  t.deepEqual((await worker.run(shell.at("built"), job)).y, Float32Array.of(0, 0, 2, 3));
});

test("outputs are compared in their own type", (t) => {
  const tolerance = { rtol: 1e-3, atol: 1e-7 };
  const same = (got: Tensor, want = got, at = tolerance): unknown => compare(got, want, at);
  const wide = (...xs: readonly number[]): Tensor => f32([xs.length], xs);
  t.deepEqual(same(wide(Number.NaN, Number.POSITIVE_INFINITY, 0)), { error: 0, share: 0 });
  t.regex(String(same(wide(Number.NaN), wide(1))), /element \[0\] is NaN, expected 1/);
  t.regex(String(same(wide(1), wide(Number.NaN))), /is 1, expected NaN/);
  t.regex(String(same(wide(1), wide(Number.POSITIVE_INFINITY))), /expected Infinity/);
  t.regex(
    String(same(wide(Number.NEGATIVE_INFINITY), wide(Number.POSITIVE_INFINITY))),
    /is -Infinity, expected Infinity/,
  );
  t.deepEqual(same(wide(), wide()), { error: 0, share: 0 });
  const big = (x: bigint): Tensor => tensorOf("", "i64", [1], BigInt64Array.of(x));
  t.regex(
    String(same(big(2n ** 62n + 1n), big(2n ** 62n), { rtol: 0, atol: 0.5 })),
    /is 4611686018427387905, expected/,
  );
  const half = (x: number): Tensor => tensorOf("", "f16", [1], Uint16Array.of(x));
  t.deepEqual(same(half(0x3c00), half(0x3c01), { rtol: 0, atol: 1 }), { error: 2 ** -10, share: 2 ** -10 });
  t.regex(String(same(half(0x3c00), half(0xbc00))), /is 1, expected -1/);
  const brain = (x: number): Tensor => tensorOf("", "bf16", [1], Uint16Array.of(x));
  t.regex(String(same(brain(0x3f80), brain(0x4000))), /is 1, expected 2/);
  t.regex(String(same(f32([2, 2], [1, 2, 3, 4]), f32([2, 2], [1, 2, 5, 4]))), /element \[1,0\] is 3, expected 5$/);
  t.is(compareAll([], [x], tolerance), "there are 0 outputs, expected 1");
});
