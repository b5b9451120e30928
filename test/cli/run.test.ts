// OUT/run, the binary of a user's own graphs: series of inputs, checkpoints, outputs; and the same files through the
// addon, which computes the same bits.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { load, type Values } from "node-cuda-rt";
import { root } from "../../compiler/util/root.js";
import { type Ran, Shell } from "../support/cli.js";
import { readSafetensors, type Tensors, writeSafetensors } from "../support/replay.js";

const shell = new Shell("run");
const series = 12;
const batch = 64;
const format = "moproc-test-1";

test.before(() => {
  shell.done("compile", join(root, "docs", "examples", "mlp.ts"), "-o", "mlp");
  write("in.safetensors", new Map([...points(series), ["note", { shape: [1], data: Float32Array.of(1) }]]));
  write("one.safetensors", points(1));
});
test.after.always(() => shell.remove());

/** Points of two classes in the plane, which a line nearly separates; with one batch, without the axis of a series. */
function points(batches: number): Tensors {
  const n = batches * batch;
  const axes = batches > 1 ? [batches, batch] : [batch];
  const target = BigInt64Array.from({ length: n }, (_, i) => BigInt(i % 2));
  const x = Float32Array.from({ length: 2 * n }, (_, i) => Math.sin(7.3 * i) + (Math.floor(i / 2) % 2));
  return new Map<string, { shape: readonly number[]; data: Values }>([
    ["x", { shape: [...axes, 2], data: x }],
    ["target", { shape: axes, data: target }],
  ]);
}

const write = (name: string, tensors: Tensors): void => writeSafetensors(shell.at(name), tensors, { format });
const read = (name: string) => readSafetensors(shell.at(name));
const bytes = (name: string): Buffer => readFileSync(shell.at(name));
const floats = (name: string, tensor: string): readonly number[] =>
  Array.from(read(name).tensors.get(tensor)?.data ?? [], Number);

function run(...args: readonly string[]): Ran {
  const r = spawnSync(shell.at("mlp", "run"), args, { cwd: shell.dir, encoding: "utf8" });
  return { status: r.status, out: r.stdout, err: r.stderr };
}
/** Runs steps of training that must succeed; returns what is printed. */
function steps(n: number, ...args: readonly string[]): string {
  const r = run("step", "--inputs", "in.safetensors", "--set", "lr=0.05", "--steps", `${n}`, ...args);
  if (r.status !== 0) throw new Error(r.err);
  return r.out;
}

test("a run in two parts has the bits of one run, and the bits of the addon", async (t) => {
  const out = steps(30, "--seed", "7", "--checkpoint", "whole", "--outputs", "whole.out");
  t.regex(out, /in\.safetensors: not used by this program: note\n/);
  t.regex(out, /the state begins from seed 7\n/);
  t.regex(out, /30 steps repeat the series of 12 inputs\n/);
  t.regex(out, /step: 30 of 30 steps in .*\nlast step: loss [\d.e-]+ {2}correct \d+\n/);
  t.regex(out, /whole: the state after 30 steps\nwhole\.out: loss f32\[30,1\], correct f32\[30,1\]\n/);
  steps(17, "--seed", "7", "--checkpoint", "parts");
  t.regex(steps(13, "--checkpoint", "parts", "--threads", "1"), /the state is that of parts, after 17 steps/);
  t.true(bytes("parts").equals(bytes("whole")));

  const artefact = load(shell.at("mlp"));
  artefact.initState(7);
  const x = read("in.safetensors").tensors.get("x")?.data as Float32Array;
  const target = read("in.safetensors").tensors.get("target")?.data as BigInt64Array;
  const losses: number[] = [];
  for (let i = 0; i < 30; i++) {
    const k = i % series;
    const inputs = { x: x.slice(k * batch * 2, (k + 1) * batch * 2), target: target.slice(k * batch, (k + 1) * batch) };
    const step = await artefact.run("step", { ...inputs, lr: Float32Array.of(0.05) });
    losses.push(Number(step.loss?.[0]));
  }
  t.deepEqual(floats("whole.out", "loss"), losses);
  t.true((losses.at(-1) as number) < (losses[0] as number));
  artefact.save(shell.at("saved"));
  for (const [name, tensor] of read("whole").tensors) t.deepEqual(read("saved").tensors.get(name), tensor, name);
  t.is(read("saved").tensors.size, read("whole").tensors.size);
});

test("load_state takes what run wrote, and run what save wrote", async (t) => {
  steps(5, "--seed", "2", "--checkpoint", "five");
  const artefact = load(shell.at("mlp"));
  t.deepEqual(artefact.load_state(shell.at("five")), []);
  const weights = artefact.get("fc1.weight");
  t.deepEqual([...weights], floats("five", "fc1.weight"));
  const x = read("one.safetensors").tensors.get("x")?.data as Float32Array;
  const { logits } = await artefact.run("predict", { x });
  artefact.save(shell.at("five.saved"));
  const r = run("predict", "--inputs", "one.safetensors", "--from", "five.saved", "--outputs", "logits");
  t.is(r.status, 0, r.err);
  t.deepEqual(floats("logits", "logits"), [...(logits as Float32Array)]);
  t.deepEqual(read("logits").tensors.get("logits")?.shape, [batch, 2]);
  t.is(read("logits").metadata.program, "predict");

  // weights of another program: without metadata of ours, and without momenta
  const [momenta, params] = [true, false].map((m) =>
    [...read("five").tensors].filter(([name]) => name.startsWith("optimizer.momentum.") === m),
  ) as [[string, unknown][], [string, unknown][]];
  writeSafetensors(shell.at("weights"), new Map(params) as Tensors, {});
  const [note, ...others] = artefact.load_state(shell.at("weights"));
  t.regex(note as string, /weights has no momentum for 4 tensors: they begin with zero/);
  t.deepEqual(others, []);
  t.deepEqual([...artefact.get("fc1.weight")], [...weights]);
  for (const [name] of momenta)
    t.true(
      [...artefact.get(name)].every((v) => v === 0),
      name,
    );
});

test("a file that does not fit changes nothing of the state", (t) => {
  const artefact = load(shell.at("mlp"));
  artefact.initState(4);
  artefact.save(shell.at("before"));
  const tensors = [...read("before").tensors];
  const bad: [RegExp, Tensors][] = [
    [/tensor fc2\.bias is missing/, new Map(tensors.filter(([n]) => n !== "fc2.bias"))],
    [/no tensor frob/, new Map([...tensors, ["frob", { shape: [1], data: Float32Array.of(0) }]])],
    [
      /tensor fc2\.bias is f32\[2,1\], the artefact needs f32\[2\]/,
      new Map([...tensors, ["fc2.bias", { shape: [2, 1], data: new Float32Array(2) }]]),
    ],
  ];
  for (const [message, file] of bad) {
    writeSafetensors(shell.at("bad"), new Map([...file].map(([n, v]) => [n, v])), { format: "moproc-state-1" });
    t.throws(() => artefact.load_state(shell.at("bad")), { message });
    artefact.save(shell.at("after"));
    t.true(bytes("after").equals(bytes("before")), String(message));
  }
  t.throws(() => artefact.load_state(shell.at("nowhere")), { message: /nowhere/ });
  writeFileSync(shell.at("mine"), "mine");
  t.throws(() => artefact.save(shell.at("mine")), { message: /mine: exists, and moproc did not write it/ });
  t.throws(() => artefact.save(shell.at("no", "folder")), { message: /no\/folder/ });
  t.is(shell.text("mine"), "mine");
});

test("a program that changes no state leaves the checkpoint as it is; --only chooses outputs", (t) => {
  steps(3, "--checkpoint", "kept", "--outputs", "kept.out", "--only", "correct");
  t.deepEqual([...read("kept.out").tensors.keys()], ["correct"]);
  const before = bytes("kept");
  const r = run("predict", "--inputs", "in.safetensors", "--outputs", "kept.logits", "--checkpoint", "kept");
  t.is(r.status, 0, r.err);
  t.regex(r.out, /kept: not written again, because predict changes no state\n/);
  t.regex(r.out, /kept\.logits: logits f32\[12,64,2\]\n/);
  t.true(bytes("kept").equals(before));
  // the twelve batches one by one
  const one = run("predict", "--inputs", "one.safetensors", "--outputs", "one.logits", "--from", "kept");
  t.is(one.status, 0, one.err);
  t.deepEqual(floats("one.logits", "logits"), floats("kept.logits", "logits").slice(0, 2 * batch));
});

test("outputs are stacked if there are steps or a series, of one slice too", (t) => {
  const x = read("one.safetensors").tensors.get("x");
  write("series of one", new Map([["x", { shape: [1, batch, 2], data: x?.data as Values }]]));
  const shape = (...args: readonly string[]): readonly number[] | undefined => {
    const r = run("predict", ...args, "--outputs", "stacked");
    t.is(r.status, 0, r.err);
    return read("stacked").tensors.get("logits")?.shape;
  };
  t.deepEqual(shape("--inputs", "one.safetensors"), [batch, 2]);
  t.deepEqual(shape("--inputs", "series of one"), [1, batch, 2]);
  t.deepEqual(shape("--inputs", "one.safetensors", "--steps", "1"), [1, batch, 2]);
  t.deepEqual(shape("--inputs", "one.safetensors", "--steps", "3"), [3, batch, 2]);
});

test("--from begins a checkpoint; the same command again continues the checkpoint", (t) => {
  steps(4, "--seed", "5", "--checkpoint", "begin");
  t.regex(steps(3, "--from", "begin", "--checkpoint", "goes on"), /the state is that of begin, after 4 steps/);
  t.regex(
    steps(2, "--from", "begin", "--checkpoint", "goes on"),
    /goes on exists, so --from begin is not read\nthe state is that of goes on, after 7 steps/,
  );
  steps(9, "--seed", "5", "--checkpoint", "at once");
  t.true(bytes("goes on").equals(bytes("at once")));
  t.is(read("begin").metadata["steps.step"], "4");
});

test("--check names the first NaN, --profile the kernels", (t) => {
  const nan = { shape: [batch, 2], data: new Float32Array(2 * batch).fill(Number.NaN) };
  write("nan.safetensors", new Map([["x", nan]]));
  const r = run("predict", "--inputs", "nan.safetensors", "--check");
  t.not(r.status, 0);
  t.regex(r.err, /nan at .*|NaN|not finite/i);
  t.is(run("predict", "--inputs", "nan.safetensors").status, 0);
  t.regex(run("predict", "--inputs", "one.safetensors", "--profile").out, /matmul.*\d/);
});

test("a signal ends the run after a step; the checkpoint is that of the steps that ran", async (t) => {
  const args = ["step", "--inputs", "in.safetensors", "--set", "lr=0.001", "--only", "loss"];
  const files = ["--checkpoint", "stopped", "--outputs", "stopped.out", "--save-seconds", "0.01"];
  const child = spawn(shell.at("mlp", "run"), [...args, ...files, "--steps", "100000000"], { cwd: shell.dir });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  const ended = new Promise<number | null>((done) => child.on("close", done));
  while (!existsSync(shell.at("stopped")) && child.exitCode === null) await new Promise((done) => setTimeout(done, 10));
  child.kill("SIGTERM");
  t.is(await ended, 75);
  const ran = Number(/step: (\d+) of 100000000 steps/.exec(out)?.[1]);
  t.true(ran > 0);
  t.is(read("stopped").metadata["steps.step"], `${ran}`);
  t.deepEqual(read("stopped.out").tensors.get("loss")?.shape, [ran, 1]);
  t.true(out.includes(`the same command with --steps ${100000000 - ran} continues`), out);
});

test("what cannot run is refused with the reason, and nothing is written", (t) => {
  const x = (shape: readonly number[]) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) });
  write("x1.safetensors", new Map([["x", x([64, 3])]]));
  write("x2.safetensors", new Map([["x", { shape: [64, 2], data: new Float64Array(128) }]]));
  write("x3.safetensors", new Map([...points(2), ["x", x([3, 64, 2])]]));
  writeFileSync(shell.at("text"), "text");
  steps(1, "--checkpoint", "a.state", "--outputs", "a.out");
  const given = ["--inputs", "one.safetensors"];
  const refused: [RegExp, readonly string[]][] = [
    [/^run: which program\? .*\n {2}step: x f32\[64,2\], target i64\[64\], lr f32\[\] -> loss.*\n {2}predict: /, given],
    [/^run: mlp has no program frob; it has step predict\n/, ["frob"]],
    [/program step needs inputs that are not given: lr f32\[\]; --inputs FILE or --set/, ["step", ...given]],
    [/x1\.safetensors: x is f32\[64,3\], the program needs f32\[64,2\]/, ["predict", "--inputs", "x1.safetensors"]],
    [/x2\.safetensors: x is f64\[64,2\], the program needs f32\[64,2\]/, ["predict", "--inputs", "x2.safetensors"]],
    [/x is a series of 3, target of 2|target is a series of 2, x of 3/, ["step", "--inputs", "x3.safetensors"]],
    [/--set lr: must be NAME=NUMBER/, ["step", "--set", "lr"]],
    [/--set lr=1e: what follows = must be a number/, ["step", "--set", "lr=1e"]],
    [/--set target=0\.5: the input's type does not hold/, ["step", "--set", "target=0.5"]],
    [/--set lr=2: this input is given twice/, ["step", "--set", "lr=1", "lr=2"]],
    [/x is also given by --set/, ["predict", ...given, "--set", "x=1"]],
    [/program step has no input frob; it has x target lr/, ["step", "--set", "frob=1"]],
    [/program predict has no output loss; it has logits/, ["predict", ...given, "--outputs", "n", "--only", "loss"]],
    [/--only needs --outputs FILE/, ["predict", ...given, "--only", "logits"]],
    [/unknown flag --input; did you mean --inputs\?/, ["predict", "--input", "one.safetensors"]],
    [/text: exists, and moproc did not write it/, ["predict", ...given, "--outputs", "text"]],
    [/a\.state: exists, and is not a file of a program's outputs/, ["predict", ...given, "--outputs", "a.state"]],
    [/a\.out: exists, and is not a file of an artefact's state/, ["predict", ...given, "--checkpoint", "a.out"]],
    [/b is given as both --checkpoint and --outputs/, ["predict", ...given, "--outputs", "b", "--checkpoint", "./b"]],
    [/nowhere: /, ["predict", "--inputs", "nowhere", "--outputs", "n"]],
    [/no folder\/n/, ["predict", ...given, "--outputs", "no folder/n"]],
    [/--gpu 0: this artefact is compiled for the CPU/, ["predict", ...given, "--gpu", "0"]],
    [/--steps 0: must be 1 or more/, ["predict", ...given, "--steps", "0"]],
  ];
  const files = ["text", "a.state", "a.out", "one.safetensors"].map((f) => [f, bytes(f)] as const);
  for (const [message, args] of refused) {
    const r = run(...args);
    t.is(r.status, 2, `${args}: ${r.out}${r.err}`);
    t.regex(r.err, message, `${args}`);
  }
  for (const [f, old] of files) t.true(bytes(f).equals(old), f);
  t.false(existsSync(shell.at("n")));
});

test("help lists the programs; the training verbs name the binary that can run them", (t) => {
  const help = run("--help");
  t.regex(help.out, /^usage: .*mlp\/run PROGRAM --inputs FILE/);
  t.regex(help.out, /programs\n {2}step: x f32.*\n {2}predict: x f32\[64,2\] -> logits f32\[64,2\]\n$/);
  t.false(existsSync(shell.at("mlp", "train")));
  const train = shell.moproc("train", "--synthetic", "--steps", "1", "--artefact", "mlp");
  t.is(train.status, 2);
  t.regex(train.err, /mlp: holds graphs of your own, which no training verb can run; see mlp\/run --help/);
});
