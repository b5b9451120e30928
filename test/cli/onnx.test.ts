// A training run that is exported as ONNX and imported again: the artefact is the same, starts from the same state, and
// trains on with the same bits. A file that does not fit is refused by name.

import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test from "ava";
import { type Artefact, load, type Values } from "node-cuda-rt";
import { root } from "../../compiler/util/root.js";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { uniform } from "../support/random.js";
import { published } from "../support/training.js";

mkdirSync(join(root, "build", "test"), { recursive: true });
const scratch = mkdtempSync(join(root, "build", "test", "cli-onnx-"));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));

interface Result {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}
function start(command: string, args: readonly string[]): Result {
  const r = spawnSync(command, args, { cwd: scratch, encoding: "utf8" });
  return { status: r.status, out: r.stdout, err: r.stderr };
}
const moproc = (...args: readonly string[]): Result =>
  start(process.execPath, [join(root, "build", "js", "tools", "cli", "main.js"), ...args]);
const train = (dir: string, ...args: readonly string[]): Result =>
  start(join(scratch, dir, "train"), ["--synthetic", ...args]);
const losses = (r: Result): string[] =>
  [...r.out.matchAll(/^step \d+ \w+ +loss .*?(?= +[\d.]+ images)/gm)].map((m) => m[0]);

const flags = [
  "-a",
  "resnet10",
  "--width",
  "0.125",
  "-b",
  "8",
  "--bn-groups",
  "2",
  "--image-size",
  "32",
  "--num-class",
  "4",
  "--low-dim",
  "8",
  "--moco_queue",
  "12",
];
const programs = ["warmup", "proto", "clean", "evaluate", "embed"];
const filesIn = (dir: string): string[] => programs.map((p) => join(dir, `${p}.onnx`));

test.serial("a new run, out and back", (t) => {
  t.is(moproc("compile", ...flags, "-o", "original").status, 0);
  const out = moproc("export", "--training", ...flags, "--seed", "3", "-o", "new");
  t.is(out.status, 0, out.err);
  t.deepEqual(readdirSync(join(scratch, "new")).toSorted(), programs.map((p) => `${p}.onnx`).toSorted());
  const back = moproc("compile", ...filesIn("new"), "-o", "back");
  t.is(back.status, 0, back.err);
  t.regex(back.out, /the files' state is in .*back\/init\.safetensors; train --resume/);
  t.is(
    readFileSync(join(scratch, "back", "plan.json"), "utf8"),
    readFileSync(join(scratch, "original", "plan.json"), "utf8"),
  );
  t.regex(moproc("compile", ...filesIn("new"), "-o", "back").out, /unchanged/);
  const [want, got] = [
    train("original", "--seed", "3", "--steps", "12"),
    train("back", "--resume", join("back", "init.safetensors"), "--steps", "12"),
  ];
  t.is(got.status, 0, got.err);
  t.is(losses(want).length, 12);
  t.deepEqual(losses(got), losses(want));
});

test.serial("a run under way, out and back, goes on with the same bits", async (t) => {
  t.is(train("original", "--seed", "5", "--steps", "15", "--exp-dir", "run").status, 0);
  const checkpoint = join("run", "checkpoint_0001_000005.safetensors");
  const out = moproc("export", "--training", ...flags, "--resume", checkpoint, "--opset", "20", "-o", "later");
  t.is(out.status, 0, out.err);
  const back = moproc("compile", ...filesIn("later"), "-o", "back_later");
  t.is(back.status, 0, back.err);
  const init = join("back_later", "init.safetensors");
  const [want, got] = [
    train("original", "--resume", checkpoint, "--steps", "4"),
    train("back_later", "--resume", init, "--steps", "4"),
  ];
  t.regex(got.out, /epoch 1, step 5, 120 images seen/);
  t.is(losses(want).length, 4);
  t.deepEqual(losses(got), losses(want));

  const [a, b] = [load(join(scratch, "original")), load(join(scratch, "back_later"))];
  fill(a, join(scratch, checkpoint));
  fill(b, join(scratch, init));
  for (const p of ["warmup", "proto", "clean", "clean"])
    t.deepEqual(await b.run(p, batch()), await a.run(p, batch()), p);
  const states = a.state.filter((s) => s.role !== "derived");
  t.true(states.length > 200);
  for (const s of states) t.deepEqual(b.get(s.name), a.get(s.name), s.name);
});

function fill(a: Artefact, path: string): void {
  const file = SafetensorsFile.open(path);
  for (const { name, dtype } of file.tensors.values()) {
    const { buffer } = file.bytes(name);
    a.set(name, dtype === "I64" ? new BigInt64Array(buffer) : new Float32Array(buffer));
  }
  file.close();
}

function batch(): Record<string, Values> {
  const next = uniform(9);
  const image = (): Uint8Array => Uint8Array.from({ length: 8 * 3 * 32 * 32 }, () => 256 * next());
  const hyper = Object.entries(published).map(([k, v]) => [`hyper.${k}`, Float32Array.of(v)]);
  return {
    img: image(),
    img_aug: image(),
    target: BigInt64Array.from([0, 1, 2, 3, 3, 2, 1, 0], BigInt),
    order: BigInt64Array.from([3, 0, 6, 1, 7, 2, 5, 4], BigInt),
    ...Object.fromEntries(hyper),
  };
}

test.serial("what is refused", (t) => {
  const cut = join(scratch, "cut.onnx");
  writeFileSync(cut, readFileSync(join(scratch, "new", "warmup.onnx")).subarray(0, 10_000));
  copyFileSync(join(scratch, "new", "warmup.onnx"), join(scratch, "twice.onnx"));
  const old = join(scratch, "run", "checkpoint_0001_000005.safetensors");
  const other = flags.map((f, i) => (flags[i - 1] === "--moco_queue" ? "16" : f));
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["compile", "cut.onnx"], /cut\.onnx: not an ONNX model, or cut off: .*byte/],
    [["compile", "nowhere.onnx"], /nowhere\.onnx: no such file/],
    [["compile", "new/warmup.onnx", "twice.onnx"], /twice\.onnx: holds the program warmup, as does new\/warmup\.onnx/],
    [
      ["compile", "new/warmup.onnx", "later/proto.onnx"],
      /later\/proto\.onnx: is not of the same export as new\/warmup\.onnx/,
    ],
    [["compile", "new/warmup.onnx", "step.ts"], /step\.ts: .*\.onnx/],
    [["export", "--training", ...flags, "-o", "none", "--opset", "17"], /--opset.*18 to 21/],
    [
      ["export", "--training", ...flags, "-o", "none", "--resume", "nowhere.safetensors"],
      /nowhere\.safetensors: .*no such file/,
    ],
    [
      ["export", "--training", ...other, "-o", "none", "--resume", old],
      /checkpoint_0001.*tensor queue is F32\[8,12\], but the programs need f32\[8,16\]/,
    ],
    [
      ["export", "--training", ...flags, "-a", "resnet18", "-o", "none", "--resume", old],
      /its arch is resnet10, but the flags say resnet18/,
    ],
    [
      ["export", "--training", ...flags, "--task", "classifier", "-o", "none", "--resume", old],
      /its task is mopro, but the flags say classifier/,
    ],
  ];
  for (const [args, message] of cases) {
    const r = moproc(...args);
    t.is(r.status, 2, args.join(" "));
    t.regex(r.err, message);
  }
  t.false(existsSync(join(scratch, "none")));
});
