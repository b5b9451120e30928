// Checkpoints to and from PyTorch: `moproc convert` as a user runs it, its files in PyTorch itself, and a run that
// continues with the same bits after its checkpoint went through PyTorch.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { root } from "../../compiler/util/root.js";
import { noPythonWith, pythonWith } from "../support/python.js";

const dir = join(root, "build", "test");
mkdirSync(dir, { recursive: true });
const scratch = mkdtempSync(join(dir, "pytorch-"));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));

const fixture = (name: string): string => join(root, "test", "fixtures", "torch", name);
const at = (name: string): string => join(scratch, name);

interface Result {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function run(command: string, ...args: readonly string[]): Result {
  const r = spawnSync(command, args, { cwd: scratch, encoding: "utf8" });
  return { status: r.status, out: r.stdout, err: r.stderr };
}

const moproc = (...args: readonly string[]): Result =>
  run(process.execPath, join(root, "build", "js", "tools", "cli", "main.js"), ...args);

/** Runs a program that must succeed; its standard output. */
function done(t: ExecutionContext, r: Result): string {
  t.is(r.status, 0, r.err);
  return r.out;
}

const python = pythonWith("torch", "numpy");
const check = join(root, "test", "formats", "pytorch_check.py");
/** A test that needs PyTorch; skipped by name without. */
const withTorch = python
  ? (name: string, body: (t: ExecutionContext, torch: (...args: readonly string[]) => void) => void): void =>
      void test(name, (t) => body(t, (...args) => void done(t, run(python, check, ...args))))
  : (name: string): void => void test.skip(`${name}: ${noPythonWith("torch", "numpy")}`, (t) => t.pass());

test("convert --help names every format; bad use and bad files exit with 2 and leave nothing", (t) => {
  const help = done(t, moproc("convert", "--help"));
  for (const word of ["pth.tar", "torchvision", ".safetensors", "detectron2", "--to", "--network", "--arch"])
    t.true(help.includes(word), word);
  writeFileSync(at("cut.tar"), readFileSync(fixture("published.stream.pth.tar")).subarray(0, 20000));
  writeFileSync(at("evil.pkl"), "\x80\x02cos\nsystem\nX\x04\x00\x00\x00id>x\x85R.", "latin1");
  const refused: readonly (readonly [readonly string[], RegExp])[] = [
    [["one"], /two files are needed/],
    [["cut.tar", "refused.safetensors"], /cut\.tar: pickle, byte 20000: ends too early/],
    [["evil.pkl", "refused.safetensors"], /evil\.pkl: pickle, byte 2, opcode GLOBAL: mentions 'os\.system'/],
    [["nowhere.pth", "refused.safetensors"], /nowhere\.pth: No such file/],
    [[fixture("torchvision.pth"), "refused.onnx"], /refused\.onnx: its extension names no format; give --to/],
    [
      [fixture("torchvision.pth"), "refused.tar", "--arch", "resnet18"],
      /--network resnet18: .* has the tensors of resnet10/,
    ],
    [[fixture("torchvision.pth"), "refused.tar", "--frob"], /--frob/],
  ];
  for (const [args, message] of refused) {
    const r = moproc("convert", ...args);
    t.is(r.status, 2, args.join(" "));
    t.regex(r.err, message);
    t.is(r.err.trim().split("\n").length, 1);
  }
  t.deepEqual(
    readdirSync(at(".")).filter((f) => f.startsWith("refused") || f === "x"),
    [],
  );
});

test("convert: what it did and what it left out is said", (t) => {
  const out = done(t, moproc("convert", fixture("published.zip.pth.tar"), "said.pkl"));
  t.regex(
    out,
    /published\.zip\.pth\.tar \(PyTorch checkpoint, 159 tensors, momentum of 42\) -> said\.pkl \(detectron2\)/,
  );
  t.regex(out, /left out: 78 of encoder_k, 6 of encoder_q, prototypes, queue, queue_ptr\n/);
  t.regex(out, /left out: momentum of 42 parameters\n/);
});

withTorch(
  "PyTorch loads what convert writes from either form of checkpoint, and its optimizer steps alike",
  (t, torch) => {
    for (const form of ["zip", "stream"]) {
      const from = fixture(`published.${form}.pth.tar`);
      done(t, moproc("convert", from, `${form}.safetensors`));
      done(t, moproc("convert", `${form}.safetensors`, `${form}.pth.tar`));
      torch("published", at(`${form}.pth.tar`), from);
      done(t, moproc("convert", from, `${form}.pkl`));
      torch("detectron2", at(`${form}.pkl`), fixture("detectron2.pkl"));
    }
  },
);

withTorch("PyTorch loads a state_dict that went to MoPro's names and back", (t, torch) => {
  done(t, moproc("convert", fixture("torchvision.pth"), "tv.safetensors"));
  done(t, moproc("convert", "tv.safetensors", "tv.pth", "--to", "torchvision"));
  torch("state_dict", at("tv.pth"), fixture("torchvision.pth"));
});

const tiny = [
  "-a",
  "resnet10",
  "--width",
  "0.125",
  "-b",
  "8",
  "--image-size",
  "32",
  "--num-class",
  "4",
  "--low-dim",
  "8",
  "--moco_queue",
  "16",
];
const flags = ["--synthetic", "--epochs", "3", "--seed", "5", "--start_clean_epoch", "2"]; // an epoch is 10 steps

withTorch(
  "a run saved, restored and saved again by PyTorch goes on with the bits of one that never stopped",
  (t, torch) => {
    done(t, moproc("compile", ...tiny, "-o", "tiny"));
    const train = (...args: readonly string[]): string => done(t, run(at("tiny/train"), ...flags, ...args));
    train("--steps", "25", "--exp-dir", "whole");
    train("--steps", "20", "--exp-dir", "cut", "--checkpoint-format", "pth.tar");
    torch("resave", at("cut/checkpoint_0001.pth.tar"), at("again.zip.pth.tar"), at("again.stream.pth.tar"));
    for (const form of ["zip", "stream"]) {
      const out = train("--steps", "5", "--exp-dir", form, "--resume", at(`again.${form}.pth.tar`));
      t.regex(out, /again\.\w+\.pth\.tar: epoch 2, step 0, 0 images seen/);
      const digest = (exp: string): string => {
        const file = readFileSync(at(`${exp}/checkpoint_0002_000005.safetensors`));
        const header = JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE(0))).toString()) as {
          __metadata__: { sha256: string };
        };
        return header.__metadata__.sha256;
      };
      t.is(digest(form), digest("whole"));
      t.true(statSync(at(`${form}/checkpoint_0002_000005.safetensors`)).size > 100000);
    }
  },
);
