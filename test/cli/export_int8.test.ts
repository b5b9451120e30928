// moproc export --quantize int8, and --precision f16 on images, as a user runs them: images of a folder decide the
// ranges, the file is compared on others, and what is wrong with flags and folders is said with the remedy.

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import test from "ava";
import { elementsOf, type Tensor, tensorOf } from "../../compiler/onnx/model.js";
import { decodeNpz, writeNpz } from "../../compiler/onnx/npy.js";
import { decodeModel } from "../../compiler/onnx/proto.js";
import { fileDigest } from "../../compiler/util/digest.js";
import { type Ran, Shell } from "../support/cli.js";
import { noPythonWith, pythonWith } from "../support/python.js";

const shell = new Shell("int8");
test.after.always(() => shell.remove());

const VAL = 90;
let mopro = "";

test.before(() => {
  const sizes = `--classes 4 --images 240 --val ${VAL} --size 40 --noise 0 --ood 0 --variation 0.2`.split(" ");
  shell.done("data", "sample", "--layout", "imagenet", "--out", "data", ...sizes);
  const network = "-a resnet10 --width 0.125 --image-size 32 --low-dim 8 --moco_queue 16 -b 16".split(" ");
  const flags = "--data data --epochs 4 --lr 0.05 --crop-min 0.5 --quiet --exp-dir run".split(" ");
  shell.done("train", ...network, ...flags);
  mopro = "run/checkpoint_0003.safetensors";
});

const exported = (out: string, flags: string): Ran =>
  shell.moproc("export", "--resume", mopro, "-o", out, ...flags.split(" "));
function must(r: Ran): Ran {
  if (r.status !== 0) throw new Error(r.err);
  return r;
}
const json = (out: string, flags: string) => JSON.parse(must(exported(out, `${flags} --json`)).out);
const modelAt = (name: string) => decodeModel(readFileSync(shell.at(name)));

test.serial("a file of a quarter of the size, with what was done and how well it agrees on other images", (t) => {
  const flags = "--head both --quantize int8 --images data/val --calibration-images 40 --verify";
  const { out } = must(exported("q.onnx", flags));
  t.regex(
    out,
    /^ {2}int8: 0\.3 MB beside 1\.0 MB in f32; 16 tensors with \d+ numbers are i8, \d+ values u8; 33 nodes/m,
  );
  t.regex(out, /^ {2}int8: 5 nodes stay as they are: 1 Mul, 1 ReduceSum, 1 Sqrt, 1 Max, 1 Div$/m);
  t.regex(out, /^ {2}int8: ranges by mse on 40 of 90 images of data\/val$/m);
  t.regex(out, /^ {4}largest logit: the same for \d of 4 images of --images$/m);
  t.regex(out, /^ {2}int8 beside f32, both in ONNX Runtime, on 50 other images of data\/val:$/m);
  t.regex(out, /^ {4}embedding largest difference \S+ of values up to \S+ \S+ relative, tolerance 0\.25; mean \S+$/m);
  t.regex(out, /^ {4}largest logit: the same for \d\d of 50 images$/m);
  t.regex(out, /^ {4}top-1 on 50 images in folders of classes: f32 \S+ %, int8 \S+ %$/m);
  const m = modelAt("q.onnx");
  t.is(m.metadata.get("precision"), "int8");
  t.is(m.metadata.get("calibration"), "mse, 40 images");
  t.false(m.graph.initializers.some((i) => i.type === "f32" && i.dims.length > 1));
});

test.serial("the same command gives the same bytes; --json has the numbers of the text", (t) => {
  const flags = "--quantize int8 --images data/val --input uint8 --opset 13 --calibration-images 128";
  const { int8, images, check, agreement, bytes, metadata, inputs } = json("a.onnx", flags);
  must(exported("b.onnx", flags));
  t.is(fileDigest(shell.at("a.onnx")), fileDigest(shell.at("b.onnx")));
  t.is(bytes, readFileSync(shell.at("a.onnx")).length);
  t.true(int8.bytesF32 > 3 * bytes);
  // the folder has fewer images, so that none is left for the comparison
  const all = { folder: "data/val", found: VAL, calibration: VAL, check: VAL, separate: false, unreadable: [] };
  t.deepEqual(images, all);
  t.is(agreement.images, VAL);
  t.is(agreement.right.images, VAL);
  t.true(agreement.equal >= 0.9 * VAL, `${agreement.equal}`);
  t.true(Math.abs(agreement.right.model - agreement.right.f32) <= 0.1 * VAL);
  const [d] = agreement.differences;
  t.true(d.relative > 1e-3 && d.relative < 0.25 && d.mean < d.relative / 2, JSON.stringify(d));
  t.true(check.done && check.tolerance === 0.25);
  t.is(metadata.precision, "int8");
  t.deepEqual(inputs, [{ name: "image", type: "u8", shape: ["batch", 32, 32, 3] }]);
  t.regex(must(exported("a.onnx", flags)).out, /on 90 images of the calibration, because the folder has no others/);
});

test.serial(
  "images are those of evaluate: on all of them f32 is as right as evaluate says; --precision f16, too",
  (t) => {
    const { agreement, images, check } = json("h.onnx", "--precision f16 --images data/val --verify");
    t.deepEqual([images.calibration, images.check, agreement.images], [0, VAL, VAL]);
    const said = shell.done("evaluate", "--resume", mopro, "--data", "data");
    t.is(((100 * agreement.right.f32) / VAL).toFixed(2), /top-1 ([\d.]+) %/.exec(said)?.[1] ?? "");
    t.true(agreement.right.f32 > VAL / 3, `${agreement.right.f32} of ${VAL}; chance is a quarter`);
    t.true(agreement.equal >= VAL - 1);
    t.true(agreement.differences[0].relative < 0.01);
    t.false(check.random);
    const text = must(exported("h.onnx", "--precision f16 --images data/val --check-images 20")).out;
    t.regex(text, /^ {2}f16 beside f32, both in ONNX Runtime, on 20 images of data\/val:$/m);
  },
);

test.serial("a packed folder gives the same file as the folder that was packed", (t) => {
  shell.done("data", "pack", "data", "--out", "packed");
  const flags = "--quantize int8 --calibration-images 20 --check-images 20 --images";
  const [plain, packed] = [json("plain.onnx", `${flags} data/val`), json("packed.onnx", `${flags} packed/val`)];
  t.is(packed.images.found, VAL);
  t.is(fileDigest(shell.at("plain.onnx")), fileDigest(shell.at("packed.onnx")));
  t.deepEqual(packed.agreement, plain.agreement);
});

test.serial("images without class folders, unreadable ones, and very few", (t) => {
  mkdirSync(shell.at("flat", "deep"), { recursive: true });
  const first = shell.start("find", "data/val", "-name", "*.JPEG").out.split("\n")[0] as string;
  for (const name of ["a.jpg", "b\nc.jpg", "deep/d.jpg"]) cpSync(shell.at(first), shell.at("flat", name));
  writeFileSync(shell.at("flat", "broken.jpg"), "no picture");
  writeFileSync(shell.at("flat", ".hidden.jpg"), "no picture");
  const { images, agreement, int8 } = json(
    "f.onnx",
    "--quantize int8 --images flat --ranges minmax --calibration-images 4",
  );
  t.deepEqual([images.found, images.calibration, images.check, images.separate], [4, 3, 3, false]);
  t.is(images.unreadable.length, 1);
  t.regex(images.unreadable[0], /^broken\.jpg: /);
  t.is(agreement.right, undefined);
  t.is(int8.ranges, "minmax");
  const { out } = must(exported("f.onnx", "--quantize int8 --images flat --no-check --calibration-images 4"));
  t.regex(out, /int8: 3 images are few/);
  t.regex(out, /1 image cannot be read and is left out, such as broken\.jpg: /);
  t.regex(out, /not checked: --no-check/);
  mkdirSync(shell.at("two"));
  cpSync(shell.at("flat", "broken.jpg"), shell.at("two", "a.jpg"));
  cpSync(shell.at("flat", "a.jpg"), shell.at("two", "b.jpg"));
  const two = json("f.onnx", "--quantize int8 --images two").images; // b is drawn, and a cannot be read
  t.deepEqual([two.calibration, two.check, two.separate, two.unreadable.length], [1, 1, false, 1]);
  mkdirSync(shell.at("broken"));
  cpSync(shell.at("flat", "broken.jpg"), shell.at("broken", "broken.jpg"));
  const none = exported("refused.onnx", "--quantize int8 --images broken");
  t.is(none.status, 2);
  t.regex(none.err, /--images broken: none of the images drawn can be read, such as broken\.jpg: /);
  rmSync(shell.at("broken"), { recursive: true });
});

test.serial("without --calibration-images at most half of the folder is calibrated on", (t) => {
  const half = json("d.onnx", "--quantize int8 --images data/val --check-images 1000").images;
  t.deepEqual([half.calibration, half.check, half.separate], [VAL / 2, VAL / 2, true]);
});

test.serial("moproc compiles the file and gives the values of ONNX Runtime", async (t) => {
  must(exported("r.onnx", "--quantize int8 --images data/val --input uint8 --head both --no-check"));
  const ort = await import("onnxruntime-node");
  const n = 4;
  const bytes = Uint8Array.from({ length: n * 32 * 32 * 3 }, (_, i) => (i * 7919 + (i >> 5) * 31) % 256);
  const image = tensorOf("image", "u8", [n, 32, 32, 3], bytes);
  writeNpz(shell.at("x.npz"), new Map([["image", image]]));
  shell.done("run", "r.onnx", "--inputs", "x.npz", "--outputs", "y.npz");
  const own = decodeNpz(readFileSync(shell.at("y.npz")));
  const session = await ort.InferenceSession.create(shell.at("r.onnx"), { logSeverityLevel: 3 });
  const got = await session.run({ image: new ort.Tensor("uint8", bytes, [n, 32, 32, 3]) });
  for (const name of ["logits", "embedding"]) {
    const a = elementsOf(own.get(name) as Tensor) as Float32Array;
    const b = got[name]?.data as Float32Array;
    const largest = b.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    t.is(a.length, b.length);
    a.forEach((v, i) => void t.true(Math.abs(v - (b[i] as number)) < 0.01 * largest, `${name} ${i}: ${v} ${b[i]}`));
  }
  await session.release();
});

const refused: readonly (readonly [string, RegExp])[] = [
  ["--quantize int8", /--quantize int8 needs --images DIR/],
  ["--quantize int4 --images data/val", /--quantize.*'int4' is invalid/],
  ["--quantize int8 --precision f16 --images data/val", /--quantize int8 and --precision f16 exclude each other/],
  ["--quantize int8 --keep-bn --images data/val", /--quantize int8 and --keep-bn exclude each other/],
  ["--quantize int8 --images nowhere", /--images nowhere: no such folder/],
  ["--quantize int8 --images run", /--images run: has no image in it or in its folders/],
  ["--images data/val", /--images: is for --quantize int8 and --precision f16 only/],
  ["--precision f16 --ranges mse", /--ranges: is for --quantize int8 only/],
  ["--precision f16 --calibration-images 9", /--calibration-images: is for --quantize int8 only/],
  ["--precision f16 --check-images 9", /--check-images: is for a check with --images DIR only/],
  ["--precision f16 --images data/val --no-check", /--images: is for the check, which --no-check leaves out/],
  ["--quantize int8 --images data/val --calibration-images 0", /--calibration-images.*at least 1/],
  ["--quantize int8 --images data/val --tolerance 1e-6 --verify", /differs from the compiled network in logits by/],
];
for (const [flags, reason] of refused)
  test.serial(`refused: ${flags}`, (t) => {
    const r = exported("refused.onnx", flags);
    t.is(r.status, 2, r.out);
    t.regex(r.err, reason);
    t.is(shell.start("ls", shell.dir).out.includes("refused.onnx"), false);
  });

test.serial("without ONNX Runtime nothing can be calibrated, and the message has the remedy", (t) => {
  const error = `Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" })`;
  const hooks = `export async function resolve(name, context, next) {
    if (name === "onnxruntime-node") throw ${error};
    return next(name, context);
  }`;
  writeFileSync(shell.at("hooks.mjs"), hooks);
  const url = JSON.stringify(pathToFileURL(shell.at("hooks.mjs")).href);
  writeFileSync(shell.at("no-ort.mjs"), `import { register } from "node:module";\nregister(${url});\n`);
  const flags = "--quantize int8 --images data/val -o refused.onnx".split(" ");
  const args = ["--import", pathToFileURL(shell.at("no-ort.mjs")).href, shell.main, "export", "--resume", mopro];
  const r = shell.start(process.execPath, ...args, ...flags);
  t.is(r.status, 1);
  t.regex(r.err, /--quantize int8: onnxruntime-node is not installed \(npm install onnxruntime-node\)/);
});

const python = pythonWith("onnx");
const withChecker = python ? test.serial : test.serial.skip;
withChecker(`onnx.checker accepts the files${python ? "" : `: ${noPythonWith("onnx")}`}`, (t) => {
  const files = [13, 17, 18].map((opset) => {
    const flags = `--quantize int8 --images data/val --head both --opset ${opset} --calibration-images 4 --no-check`;
    must(exported(`checked${opset}.onnx`, flags));
    return `checked${opset}.onnx`;
  });
  const program = `
import onnx, sys
for f in sys.argv[1:]:
    m = onnx.load(f)
    onnx.checker.check_model(m, full_check=True)
    onnx.shape_inference.infer_shapes(m, check_type=True, strict_mode=True)
print('ok')`;
  const r = shell.start(python as string, "-c", program, ...files);
  t.is(r.out.trim(), "ok", r.err);
});
