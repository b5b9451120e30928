// `moproc run` of ONNX models, against the reference evaluator and against values that are computed here; and
// `moproc compile --bind`.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { NdArray } from "../../compiler/ir/nd.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import { elementsOf, type Tensor, tensorOf } from "../../compiler/onnx/model.js";
import { decodeNpy, decodeNpz, encodeNpy, writeNpz } from "../../compiler/onnx/npy.js";
import { decodeModel, encodeModel, encodeTensorFile } from "../../compiler/onnx/proto.js";
import { root } from "../../compiler/util/root.js";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { writeSafetensors } from "../../compiler/util/safetensors_writer.js";
import { foreignProgram } from "../../tools/cli/foreign_program.js";
import { Shell } from "../support/cli.js";
import { f32, foreignModel, i64, node, results, some } from "../support/foreign.js";
import { readNpz } from "../support/npz.js";

const shell = new Shell("run onnx");
test.after.always(() => shell.remove());

/** y = relu(x w) + bias and rows = y reshaped to the shape that the caller gives. */
const net = foreignModel({
  nodes: [
    node("MatMul", ["x", "w"], ["a"]),
    node("Relu", ["a"], ["b"]),
    node("Add", ["b", "bias"], ["y"]),
    node("Reshape", ["y", "shape"], ["rows"]),
  ],
  inputs: { x: ["batch", 3], shape: ["rank"] },
  constants: { w: f32([3, 4], [...some([3, 4]).data]), bias: f32([4], [1, -1, 0, 0.5]) },
  outputs: ["y", "rows"],
});
/** The same with integers as the shape; foreignModel() makes inputs of f32. */
const typed = {
  ...net,
  graph: {
    ...net.graph,
    inputs: net.graph.inputs.map((v) => (v.name === "shape" ? { ...v, type: "i64" as const } : v)),
  },
};
writeFileSync(shell.at("net.onnx"), encodeModel(typed));
const x = { ...f32([5, 3], [...some([5, 3]).data]), name: "x" };
const shape = { ...i64([2, -1]), name: "shape" };
const want = results(
  importForeign(
    {
      ...net,
      graph: {
        ...net.graph,
        inputs: net.graph.inputs.filter((v) => v.name === "x"),
        initializers: [...net.graph.initializers, shape],
      },
    },
    new Map([["batch", 5]]),
  ),
  [some([5, 3])],
);

function close(t: ExecutionContext, got: ArrayLike<number>, { data }: NdArray): void {
  t.is(got.length, data.length);
  for (const [i, w] of data.entries())
    t.true(Math.abs((got[i] as number) - w) <= 1e-5 + 1e-5 * Math.abs(w), `element ${i} is ${got[i]}, not ${w}`);
}

test.serial("inputs of an .npz; the data give open extents, and an input that decides a shape is a constant", (t) => {
  writeNpz(shell.at("in.npz"), new Map([x, shape].map((v) => [v.name, v])));
  const ran = shell.moproc("run", "net.onnx", "--inputs", "in.npz", "--outputs", "out.npz");
  t.is(ran.status, 0, ran.err);
  t.regex(ran.err, /^note: net\.onnx: constants of the program, with their values: shape$/m);
  t.regex(ran.out, /^out\.npz: y f32\[5,4\], rows f32\[2,10\]$/m);
  const out = readNpz(readFileSync(shell.at("out.npz")));
  t.deepEqual([...out.keys()], ["y", "rows"]);
  t.deepEqual(out.get("rows")?.shape, [2, 10]);
  close(t, out.get("y")?.data as Float32Array, want[0] as NdArray);
  close(t, out.get("rows")?.data as Float32Array, want[1] as NdArray);
});

test.serial("folders of tensors, and .safetensors, give the same", (t) => {
  mkdirSync(shell.at("order"));
  writeFileSync(shell.at("order", "input_0.pb"), encodeTensorFile(x));
  writeFileSync(shell.at("order", "input_1.pb"), encodeTensorFile(shape));
  writeFileSync(shell.at("order", "output_0.pb"), "not read");
  mkdirSync(shell.at("names"));
  writeFileSync(shell.at("names", "x.npy"), encodeNpy(x));
  writeFileSync(shell.at("names", "shape.pb"), encodeTensorFile(shape));
  const of = (v: Tensor, dtype: "F32" | "I64") => ({ name: v.name, dtype, shape: v.dims, bytes: v.data as Uint8Array });
  writeSafetensors(shell.at("in.safetensors"), [of(x, "F32"), of(shape, "I64")], { format: "moproc-test" });
  for (const inputs of ["order", "names", "in.safetensors"]) {
    const ran = shell.moproc("run", "net.onnx", "--inputs", inputs, "--outputs", "out.safetensors", "--dim", "batch=5");
    t.is(ran.status, 0, ran.err);
    const out = SafetensorsFile.open(shell.at("out.safetensors"));
    close(t, out.floats("y"), want[0] as NdArray);
    t.deepEqual(out.entry("rows").shape, [2, 10]);
    out.close();
  }
});

test.serial("outputs that are constants keep their element type, and nothing is compiled", (t) => {
  const value = tensorOf("", "i8", [1], Int8Array.of(-3));
  const big = tensorOf("big", "u64", [2], BigUint64Array.of(2n ** 64n - 1n, 7n));
  const m = foreignModel({
    nodes: [node("ConstantOfShape", ["shape"], ["small"], { value }), node("Identity", ["big"], ["same"])],
    inputs: { shape: ["rank"] },
    constants: { big },
    outputs: ["small", "same"],
  });
  const types = { shape: "i64", small: "i8", same: "u64" } as const;
  const as = (v: (typeof m.graph.inputs)[number]) => ({ ...v, type: types[v.name as "shape"] });
  const { graph } = m;
  writeFileSync(
    shell.at("constants.onnx"),
    encodeModel({ ...m, graph: { ...graph, inputs: graph.inputs.map(as), outputs: graph.outputs.map(as) } }),
  );
  writeNpz(shell.at("shape.npz"), new Map([["shape", i64([2, 0])]]));
  const ran = shell.moproc("run", "constants.onnx", "--inputs", "shape.npz", "--outputs", "constants.safetensors");
  t.is(ran.status, 0, ran.err);
  t.notRegex(ran.err, /compiled/);
  t.regex(ran.out, /small i8\[2,0\], same u64\[2\]/);
  const out = SafetensorsFile.open(shell.at("constants.safetensors"));
  t.is(out.entry("small").dtype, "I8");
  t.deepEqual(new BigUint64Array(out.bytes("same").buffer), BigUint64Array.of(2n ** 64n - 1n, 7n));
  out.close();
});

test.serial("compile --bind makes an input a constant", (t) => {
  writeFileSync(shell.at("shape.npy"), encodeNpy(shape));
  const made = shell.moproc("compile", "net.onnx", "--dim", "batch=5", "--bind", "shape=shape.npy", "-o", "built");
  t.is(made.status, 0, made.err);
  const plan = JSON.parse(shell.text("built", "plan.json")) as {
    programs: { name: string; inputs: number[]; outputs: number[] }[];
    tensors: { name: string; type: { shape: number[] } }[];
  };
  const main = plan.programs.find((p) => p.name === "main");
  t.deepEqual(
    main?.inputs.map((i) => plan.tensors[i]?.name),
    ["x"],
  );
  t.deepEqual(plan.tensors[main?.outputs[1] as number]?.type.shape, [2, 10]);
});

test("what is refused names the file and the remedy", (t) => {
  const npz = (name: string, ...tensors: readonly Tensor[]): string => {
    writeNpz(shell.at(name), new Map(tensors.map((v) => [v.name, v])));
    return name;
  };
  writeFileSync(shell.at("mine.npz"), "PK, but not moproc's");
  mkdirSync(shell.at("odd"));
  writeFileSync(shell.at("odd", "y.npy"), encodeNpy(x));
  const both = npz("both.npz", x, shape);
  const run = (inputs: string, outputs = "refused.npz") => ["net.onnx", "--inputs", inputs, "--outputs", outputs];
  for (const [args, message] of [
    [["net.onnx"], /with a model, --inputs and --outputs must be given/],
    [[], /give the model, or --cases DIR/],
    [run("missing.npz"), /missing\.npz: no such file or folder/],
    [run("odd"), /odd\/y\.npy: the model has no such input; they are x, shape/],
    [run("net.onnx"), /net\.onnx: its name must end in \.npz or \.safetensors/],
    [run(npz("x.npz", x)), /net\.onnx: there are no data for its inputs shape/],
    [run(npz("rank.npz", { ...x, dims: [15] }, shape)), /input x is f32\[batch,3\], its data are f32\[15\]/],
    [run(npz("type.npz", x, { ...f32([2], [2, -1]), name: "shape" })), /shape is i64\[rank\], its data are f32\[2\]/],
    [run(npz("extent.npz", { ...x, dims: [3, 5] }, shape)), /input x: its data are f32\[3,5\], but extent 1 is 3/],
    [[...run(both), "--dim", "batch=4"], /input x: its data are f32\[5,3\], but extent 0, batch, is 4/],
    [[...run(both), "--dim", "width=4"], /--dim width: no input of the model has such an extent/],
    [[...run(both), "--out", "o"], /--out: does not go with a model/],
    [run(both, "mine.npz"), /mine\.npz: exists, and moproc did not write it/],
    [run(both, "no/folder/out.npz"), /no\/folder\/out\.npz: no\/folder is no folder/],
    [run(both, "out.npy"), /out\.npy: its name must end in \.npz or \.safetensors/],
    [["--cases", "."], /with --cases, --out must be given/],
    [["--cases", "odd", "--out", "o"], /odd: no folder in it has a model\.onnx/],
  ] as const) {
    const r = shell.moproc("run", ...args);
    t.is(r.status, 2, r.err);
    t.regex(r.err, message);
  }
  for (const [args, message] of [
    [["net.onnx", "--bind", "shape"], /--bind.*NAME=FILE|a name, = and a file/],
    [["net.onnx", "--bind", "z=odd/y.npy"], /the model has no input z; its inputs are x, shape/],
    [["net.onnx", "--bind", "shape=odd/y.npy"], /input shape is i64\[rank\], its data are f32\[5,3\]/],
    [["net.onnx", "--bind", "z=both.npz"], /both\.npz: holds no tensor z/],
    [["-a", "resnet10", "--bind", "x=both.npz"], /--bind: only a \.onnx file has inputs/],
  ] as const) {
    const r = shell.moproc("compile", ...args, "-o", "refused");
    t.not(r.status, 0);
    t.regex(r.err, message);
  }
});

test("an .npz of numpy is read as it is", (t) => {
  const file = readFileSync(join(root, "test", "fixtures", "parity-trace", "a.batches_u8.npz"));
  const other = readNpz(file); // another reader
  const ours = decodeNpz(file);
  t.deepEqual([...ours.keys()], [...other.keys()]);
  t.true(ours.size > 0);
  for (const [name, array] of other) {
    t.deepEqual(ours.get(name)?.dims, array.shape);
    t.deepEqual(elementsOf(ours.get(name) as Tensor), array.data);
  }
});

test("every element type goes through .npy", (t) => {
  for (const [type, values] of [
    ["f16", Uint16Array.of(0x3c00, 1)],
    ["bf16", Uint16Array.of(0x3f80, 1)],
    ["f64", Float64Array.of(0.1, -2)],
    ["i8", Int8Array.of(-128, 127)],
    ["u16", Uint16Array.of(0, 65535)],
    ["i16", Int16Array.of(-32768, 7)],
    ["u32", Uint32Array.of(2 ** 32 - 1, 7)],
    ["u64", BigUint64Array.of(2n ** 64n - 1n, 7n)],
    ["bool", Uint8Array.of(1, 0)],
  ] as const) {
    const tensor = tensorOf("a", type, [2], values);
    const bytes = Buffer.from(encodeNpy(tensor));
    const back = decodeNpy(bytes, "a");
    t.is(back.type, type);
    t.deepEqual(elementsOf(back), values);
    t.is((bytes.length - values.byteLength) % 64, 0);
  }
});

test("damaged .npy and .npz files are refused", (t) => {
  const npy = Buffer.from(encodeNpy(x));
  const changed = (from: string, to: string): Buffer => Buffer.from(npy.toString("latin1").replace(from, to), "latin1");
  for (const [bytes, message] of [
    [Buffer.from("PK"), /no \.npy file/],
    [npy.subarray(0, npy.length - 4), /f32\[5,3\] takes 60 bytes, there are 56/],
    [changed("<f4", ">f4"), /big-endian/],
    [changed("<f4", "<c8"), /element type c8 is not supported/],
    [changed("False", "True "), /Fortran order; save numpy\.ascontiguousarray/],
  ] as const)
    t.throws(() => decodeNpy(bytes, "x"), { message });
  writeNpz(shell.at("whole.npz"), new Map([["x", x]]));
  const npz = readFileSync(shell.at("whole.npz"));
  t.throws(() => decodeNpz(npz.subarray(0, -20)), { message: /no end record/ });
  const flipped = Buffer.from(npz);
  flipped[150] = (flipped[150] as number) ^ 1;
  t.throws(() => decodeNpz(flipped), { message: /x\.npy is damaged/ });
});

test("a GPU that is not there is told before the model is read", (t) => {
  const args = "run none.onnx --inputs in.npz --outputs out.npz --target cuda".split(" ");
  const r = shell.start("env", "CUDA_VISIBLE_DEVICES=", process.execPath, shell.main, ...args);
  t.is(r.status, 2);
  t.regex(r.err, /--target cuda: there is no GPU here/);
});

test.serial("weights that a file does not align are copied one after the other, not all before the run", (t) => {
  const size = 1 << 20;
  const names = ["a", "bb", "ccc", "dddd", "eeeee", "ffffff", "ggggggg", "hhhhhhhh"]; // so that some are not aligned
  const m = foreignModel({
    nodes: names.map((name, i) => node("Add", [i === 0 ? "x" : `y${i - 1}`, name], [`y${i}`])),
    inputs: { x: [size] },
    constants: Object.fromEntries(names.map((name, i) => [name, f32([size], Array<number>(size).fill(i))])),
    outputs: [`y${names.length - 1}`],
  });
  const read = decodeModel(encodeModel(m));
  const before = process.memoryUsage().arrayBuffers;
  const data = new Map([["x", { ...f32([size], Array<number>(size).fill(1)), name: "x" }]]);
  const { job } = foreignProgram(read, data, new Map(), { program: "main", statePrefix: "" });
  t.is(Object.keys(job.states).length, names.length);
  const made = (process.memoryUsage().arrayBuffers - before) / (4 * size);
  t.true(made < 3, `memory of ${made} tensors`); // the input, of 8 weights none
  t.is((Object.values(job.states).at(-1) as Float32Array)[5], names.length - 1);
});
