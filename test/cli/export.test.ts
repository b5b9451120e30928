// moproc export as a user runs it: from a checkpoint of a training run to a checked file, the model's metadata, and bad
// input, which is refused with exit code 2, a message that names the cause, and no file left.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import test from "ava";
import { decodeModel } from "../../compiler/onnx/proto.js";
import { fileDigest } from "../../compiler/util/digest.js";
import { root } from "../../compiler/util/root.js";
import { edited, metadata, refusedCheckpoints, refusedFlags } from "../support/bad_checkpoints.js";
import { noPythonWith, pythonWith } from "../support/python.js";

const dir = join(root, "build", "test");
mkdirSync(dir, { recursive: true });
const scratch = mkdtempSync(join(dir, "export with space-"));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));
const at = (name: string): string => join(scratch, name);

interface Result {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function run(file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Result {
  const r = spawnSync(file, args, { cwd: scratch, encoding: "utf8", env: { ...process.env, ...env } });
  return { status: r.status, out: r.stdout, err: r.stderr };
}

function moproc(args: readonly string[], env: NodeJS.ProcessEnv = {}): Result {
  return run(process.execPath, [join(root, "build", "js", "tools", "cli", "main.js"), ...args], env);
}

/** `flags`: separated by spaces. */
const exported = (from: string, to: string, flags = "", env: NodeJS.ProcessEnv = {}): Result =>
  moproc(["export", "--resume", from, "-o", to, ...flags.split(" ").filter((f) => f !== "")], env);

function must(r: Result): Result {
  if (r.status !== 0) throw new Error(r.err);
  return r;
}

/** Trains a few steps and returns the checkpoint's name in the scratch folder. */
function checkpoint(task: "mopro" | "classifier"): string {
  const sizes = "-a resnet10 --width 0.125 -b 8 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 16";
  must(moproc(["compile", ...sizes.split(" "), "--task", task, "-o", `${task}-binary`]));
  const steps = ["--synthetic", "--steps", "6", "--lr", "0.02", "--exp-dir", task];
  must(run(at(`${task}-binary/train`), steps));
  return join(task, readdirSync(at(task)).find((f) => f.endsWith(".safetensors")) as string);
}

let mopro = "";
let classifier = "";
test.before(() => {
  mopro = checkpoint("mopro");
  classifier = checkpoint("classifier");
  const names = ["n01440764 tench, Tinca tinca", "n01443537 goldfish", "n01484850 großer Hai\r", "n01491361 shark"];
  writeFileSync(at("synsets.txt"), `${names.join("\n")}\n`);
  writeFileSync(at("three.txt"), "a\nb\nc\n");
  writeFileSync(at("hole.txt"), "a\n\nb\nc\n");
});

const modelAt = (name: string) => decodeModel(readFileSync(at(name)));
const weightsAt = (name: string) =>
  modelAt(name).graph.initializers.map((w) => [w.name, Buffer.from(w.data as Uint8Array).toString("hex")]);
const leftovers = (): string[] => readdirSync(scratch).filter((f) => f.includes(".tmp") || f === "refused.onnx");

test.serial("a checkpoint to a verified file, with what a user has to know in it", (t) => {
  const r = exported(mopro, "m.onnx", "--head both --classes synsets.txt --verify");
  t.is(r.status, 0, r.err);
  t.regex(r.out, /^m\.onnx: 1\.0 MB, opset 17, \d+ nodes, BatchNorm folded$/m);
  t.regex(r.out, /in {2}image +f32\[batch, 3, 32, 32\]/);
  t.regex(r.out, /onnxruntime \d+\.\d+\.\d+ beside the compiled network, batches of 1, 3, 4:/);
  const line = /^ +(\w+) +largest difference \S+ of values up to \S+: (\S+) relative, tolerance 0\.0001$/gm;
  const found = [...r.out.matchAll(line)].map((m) => [m[1], Number(m[2])] as const);
  t.deepEqual(
    found.map(([name]) => name),
    ["logits", "embedding"],
  );
  t.true(found.every(([, d]) => d >= 0 && d < 1e-5));
  const m = modelAt("m.onnx");
  t.is(m.producer, "moproc");
  t.deepEqual(Object.fromEntries(m.metadata), {
    producer: `moproc ${m.producerVersion}`,
    task: "mopro",
    arch: "resnet10",
    width: "0.125",
    head: "both",
    encoder: "query",
    embedding_size: "8",
    classes: "4",
    class_names: '["n01440764 tench, Tinca tinca","n01443537 goldfish","n01484850 großer Hai","n01491361 shark"]',
    input: "float32 NCHW, RGB, (value / 255 - mean) / std",
    mean: "[0.485,0.456,0.406]",
    std: "[0.229,0.224,0.225]",
    resize: "shorter side to 37, antialiased bilinear",
    crop: "centre 32",
    batch_norm: "folded",
    precision: "f32",
    source: mopro.split("/").at(-1),
    source_sha256: fileDigest(at(mopro)),
    source_epoch: "0",
  });
  t.deepEqual(leftovers(), []);
});

test.serial("bytes, the key encoder, BatchNorm kept, another operator set; published spelling of flags", (t) => {
  const flags = "--head features --which key --input=uint8 --keep_bn --opset 13 --verify --json";
  const r = exported(mopro, "k.onnx", flags);
  t.is(r.status, 0, r.err);
  const result = JSON.parse(r.out);
  t.deepEqual(result.inputs, [{ name: "image", type: "u8", shape: ["batch", 32, 32, 3] }]);
  t.is(result.outputs[0].name, "features");
  t.true(result.check.done && result.check.differences[0].relative < 1e-5);
  const m = modelAt("k.onnx");
  t.is(m.opsets.get(""), 13);
  t.is(m.metadata.get("encoder"), "key");
  t.is(m.metadata.get("batch_norm"), "kept");
  t.is(m.metadata.get("input"), "uint8 NHWC, RGB, 0 to 255");
  t.true(m.graph.nodes.some((n) => n.op === "BatchNormalization"));
});

test.serial("--precision f16: the file is verified, and the size, the tensors and the agreement are said", (t) => {
  const text = must(exported(mopro, "h.onnx", "--head both --input uint8 --precision f16 --verify"));
  t.regex(text.out, /^ {2}f16: 0\.5 MB beside 1\.0 MB in f32; 32 tensors with \d+ numbers; \d+ nodes compute in f16/m);
  t.regex(text.out, /logits +largest difference \S+ of values up to \S+: \S+ relative, tolerance 0\.01$/m);
  t.regex(text.out, /largest logit: the same for \d of 4 images of random bytes, which are no photographs/);
  const r = must(exported(mopro, "h13.onnx", "--precision f16 --opset 13 --keep-bn --verify --json"));
  const { f16, bytes, check, metadata, inputs, outputs } = JSON.parse(r.out);
  must(exported(mopro, "s13.onnx", "--opset 13 --keep-bn --no-check"));
  // the f32 file's metadata has a `precision` of the same length
  t.is(f16.bytesF32, readFileSync(at("s13.onnx")).length);
  t.true(Math.abs(f16.bytesF32 - bytes - 2 * f16.numbers) < 1000, `${bytes} ${JSON.stringify(f16)}`);
  t.is(f16.tensors, 67);
  t.is(check.tolerance, 0.01);
  t.is(check.top1.images, 4);
  const { relative } = check.differences[0];
  t.true(relative > 1e-6 && relative < 0.01, `${relative}`);
  t.is(metadata.precision, "f16");
  t.deepEqual(
    [...inputs, ...outputs].map((v) => v.type),
    ["f32", "f32"],
  );
  const strict = exported(mopro, "refused.onnx", "--precision f16 --tolerance 1e-6 --verify");
  t.is(strict.status, 2);
  t.regex(strict.err, /refused\.onnx differs from the compiled network in logits by .*more than 0\.000001 relative/);
  t.deepEqual(leftovers(), []);
});

test.serial("a plain classifier: its logits and features", (t) => {
  for (const head of ["classifier", "features"]) {
    const r = exported(classifier, "c.onnx", `--head ${head} --verify`);
    t.is(r.status, 0, r.err);
    t.is(modelAt("c.onnx").metadata.get("task"), "classifier");
  }
  const r = exported(classifier, "refused.onnx", "--head both");
  t.is(r.status, 2);
  t.regex(r.err, /--head both: the network has no embedding/);
});

test.serial("--verify: above the tolerance no file is left; without it the result is said and kept", (t) => {
  const r = exported(mopro, "refused.onnx", "--tolerance 1e-12 --verify");
  t.is(r.status, 2);
  t.regex(r.err, /--verify: refused\.onnx differs from the compiled network in logits by .*more than 1e-12/);
  t.deepEqual(leftovers(), []);
  const said = exported(mopro, "refused.onnx", "--tolerance 1e-12");
  t.is(said.status, 0, said.err);
  t.regex(said.out, /logits .* relative, MORE than the tolerance/);
  rmSync(at("refused.onnx"));
});

test.serial("without ONNX Runtime: said plainly; an error with --verify; an old file survives", (t) => {
  const hooks = at("no-ort-hooks.mjs");
  const error = `Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" })`;
  writeFileSync(
    hooks,
    `export async function resolve(name, context, next) {
       if (name === "onnxruntime-node") throw ${error};
       return next(name, context);
     }`,
  );
  const register = `import { register } from "node:module";\nregister(${JSON.stringify(pathToFileURL(hooks).href)});\n`;
  writeFileSync(at("no-ort.mjs"), register);
  const env = { NODE_OPTIONS: `--import ${pathToFileURL(at("no-ort.mjs")).href}` };
  const r = exported(mopro, "n.onnx", "", env);
  t.is(r.status, 0, r.err);
  t.regex(r.out, /not checked: onnxruntime-node is not installed/);
  const before = fileDigest(at("n.onnx"));
  const strict = exported(mopro, "n.onnx", "--head features --verify", env);
  t.is(strict.status, 1);
  t.regex(strict.err, /--verify: onnxruntime-node is not installed/);
  t.is(fileDigest(at("n.onnx")), before);
  t.deepEqual(leftovers(), []);
});

test.serial("without a C++ compiler: said plainly; an error with --verify", (t) => {
  // another compiler is another artefact, so the one in the cache does not serve
  const env = { CXX: "no-such-compiler" };
  const r = exported(mopro, "x.onnx", "", env);
  t.is(r.status, 0, r.err);
  t.regex(r.out, /not checked: the network cannot be compiled here: .*no-such-compiler/);
  const strict = exported(mopro, "refused.onnx", "--verify", env);
  t.is(strict.status, 1);
  t.regex(strict.err, /--verify: the network cannot be compiled here: .*no-such-compiler/);
  t.deepEqual(leftovers(), []);
});

test.serial("--no-check: the same file, and it says that nobody looked", (t) => {
  must(exported(mopro, "a.onnx"));
  t.regex(must(exported(mopro, "b.onnx", "--no-check")).out, /not checked: --no-check/);
  t.is(fileDigest(at("a.onnx")), fileDigest(at("b.onnx")));
});

test.serial("an older checkpoint: flags and shapes say the sizes, the image size is assumed aloud", (t) => {
  const gone = {
    arch: undefined,
    task: undefined,
    width: undefined,
    low_dim: undefined,
    image_size: undefined,
  };
  writeFileSync(at("old.safetensors"), edited(readFileSync(at(mopro)), metadata(gone)));
  const nothing = exported("old.safetensors", "refused.onnx");
  t.is(nothing.status, 2);
  t.regex(nothing.err, /old\.safetensors: does not say its architecture: give it with -a/);
  const assumed = must(exported("old.safetensors", "old.onnx", "--arch resnet10 --no-check"));
  t.regex(assumed.out, /image +f32\[batch, 3, 224, 224\]/);
  t.regex(assumed.out, /note: the checkpoint does not say its image size: 224 pixels/);
  const flags = "-a resnet10 --image-size 32 --width 0.125 --low-dim 8 --verify";
  must(exported("old.safetensors", "old.onnx", flags));
  must(exported(mopro, "new.onnx", "--no-check"));
  t.deepEqual(weightsAt("old.onnx"), weightsAt("new.onnx"));
});

for (const [what, args, message] of refusedFlags) {
  test.serial(`refused: ${what}`, (t) => {
    const r = moproc(["export", "--resume", mopro, ...(args.includes("-o") ? [] : ["-o", "refused.onnx"]), ...args]);
    t.is(r.status, 2, r.out);
    t.regex(r.err, message);
    t.deepEqual(leftovers(), []);
  });
}

for (const [what, edit, message] of refusedCheckpoints) {
  test.serial(`refused: a checkpoint with ${what}`, (t) => {
    writeFileSync(at("changed.safetensors"), edited(readFileSync(at(mopro)), edit));
    const r = exported("changed.safetensors", "refused.onnx");
    t.is(r.status, 2, r.out);
    t.regex(r.err, message);
    t.deepEqual(leftovers(), []);
  });
}

test.serial("refused: no checkpoint, no such file, a file that is none, a key encoder that is not there", (t) => {
  t.regex(moproc(["export", "-o", "refused.onnx"]).err, /--resume/);
  t.regex(moproc(["export", "--resume", mopro]).err, /--out/);
  t.regex(exported("none.safetensors", "refused.onnx").err, /none\.safetensors: no such file/);
  writeFileSync(at("empty.safetensors"), "");
  t.regex(exported("empty.safetensors", "refused.onnx").err, /empty\.safetensors: not a safetensors file/);
  t.regex(exported(classifier, "refused.onnx", "--which key").err, /--which key: .* has no key encoder/);
  t.deepEqual(leftovers(), []);
});

const converter = join(root, "build", "native", "moproc-convert");
const withConverter = existsSync(converter) ? test.serial : test.serial.skip;
withConverter("a PyTorch checkpoint is the same model (skipped where moproc-convert is not built)", (t) => {
  must(run(converter, [mopro, "published.pth.tar"]));
  const size = "--image-size 32"; // the published format does not say it
  must(exported("published.pth.tar", "p.onnx", `--head both --verify ${size}`));
  must(exported(mopro, "s.onnx", "--head both --no-check"));
  t.deepEqual(weightsAt("p.onnx"), weightsAt("s.onnx"));
  t.is(modelAt("p.onnx").metadata.get("source_sha256"), fileDigest(at("published.pth.tar")));

  must(run(converter, [mopro, "vision.pth", "--to", "torchvision"])); // has no projection
  must(exported("vision.pth", "v.onnx", `--verify ${size}`));
  const none = exported("vision.pth", "refused.onnx", `--head embedding ${size}`);
  t.is(none.status, 2);
  t.regex(none.err, /--head embedding: the network has no embedding/);

  writeFileSync(at("cut.pth.tar"), readFileSync(at("published.pth.tar")).subarray(0, 5000));
  const cut = exported("cut.pth.tar", "refused.onnx");
  t.is(cut.status, 2);
  t.regex(cut.err, /cut\.pth\.tar/);
  t.deepEqual(leftovers(), []);
});

const python = pythonWith("onnx");
const withChecker = python ? test.serial : test.serial.skip;
withChecker(`onnx.checker accepts every kind of file${python ? "" : `: ${noPythonWith("onnx")}`}`, (t) => {
  const files: string[] = [];
  for (const opset of [13, 15, 16, 17]) {
    for (const input of ["--input float", "--input uint8 --keep-bn"]) {
      files.push(`checked${files.length}.onnx`);
      must(exported(mopro, files.at(-1) as string, `--no-check --head both --opset ${opset} ${input}`));
    }
  }
  const check = "onnx.checker.check_model(onnx.load(f), full_check=True)";
  const r = run(python as string, [
    "-c",
    `import onnx, sys\nfor f in sys.argv[1:]:\n    ${check}\nprint('ok')`,
    ...files,
  ]);
  t.is(r.out.trim(), "ok", r.err);
});
