// Checkpoints that other programs wrote: every verb reads the same network from them, and says what it chose and what
// it left out.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("checkpoints");
test.after.always(() => shell.remove());

const network = ["--image-size", "32", "-b", "8"];
const model = "-a resnet10 --width 0.125 --num-class 4 --low-dim 8 --moco_queue 16".split(" ").concat(network);
const checkpoint = "exp/checkpoint_0000.safetensors";

test.before(() => {
  shell.done(
    "data",
    "sample",
    "--layout",
    "imagenet",
    "--out",
    "data",
    ..."--classes 4 --images 32 --val 12".split(" "),
  );
  shell.done("train", ...model, "--data", "data", "--exp-dir", "exp", "--epochs", "1", "--quiet");
  const script = join(root, "test", "support", "foreign_checkpoints.py");
  const r = spawnSync("python3", [script, checkpoint, "."], { cwd: shell.dir, encoding: "utf8" });
  if (r.status !== 0) throw new Error(r.stderr);
});

let predictions = 0;
/** What predict prints about the file, and the predictions. */
function predicted(file: string): { said: string; csv: string } {
  const csv = `p${predictions++}.csv`;
  const said = shell.done("predict", "--resume", file, ...network, "data/val", "--csv", csv, "--top", "4");
  return { said, csv: shell.text(csv) };
}

test("predict: the same network from every program's file gives the same predictions, to the bit", (t) => {
  const own = predicted(checkpoint).csv.replaceAll(/,n\d+,/g, ",,"); // only our file has the names of the classes
  const files: readonly (readonly [string, readonly RegExp[]])[] = [
    ["plain.pth", []],
    [
      "wrapped.pth",
      [
        /names are read without the prefix module\._orig_mod\.backbone\./,
        /not read: args, best, config, lambda\n/,
        /not read: \d+ objects that are no data: .*1 argparse\.Namespace.* 1 pathlib\.PosixPath.*1 torch\.device/,
      ],
    ],
    ["protocol3.pth", [/its weights are those under model\n/, /without the prefix model\./]],
    ["protocol4.pth", [/its weights are those under model\n/]],
    ["protocol5.pth", [/its weights are those under model\n/]],
    ["stream.pth", [/its weights are those under model_state_dict\n/, /without the prefix module\./]],
    ["averages.pth", [/those under net\n/, /has weights under model_ema\.state_dict, too; .*--weights-key/]],
    ["parameters.pth", []],
    ["counters.pth", [/has no BatchNorm counter for \d+ tensors/]],
    ["detectron2.pth", []],
    ["timm.safetensors", []],
    ["wrapped.safetensors", [/without the prefix model\.backbone\./]],
    ["F64.pth", [/\d+ tensors are f64 and become f32, which rounds the values\n/]],
  ];
  for (const [file, says] of files) {
    const { said, csv } = predicted(file);
    t.is(csv, own, file);
    for (const line of says) t.regex(said, line, file);
  }
  for (const type of ["F16", "BF16"]) {
    const { said, csv } = predicted(`${type}.pth`);
    t.is(csv, predicted(`${type}.widened.pth`).csv);
    t.regex(said, new RegExp(`\\d+ tensors are ${type.toLowerCase()} and become f32\\n`));
  }
});

test("finetune, export and evaluation begin with such a file; a classifier of another size is named", (t) => {
  const tune = ["finetune", "--data", "data", ...network, "--low-resource", "1", "--epochs", "1", "--quiet"];
  const out = shell.done(...tune, "--model-path", "wrapped.pth", "--exp-dir", "tuned");
  t.regex(out, /wrapped\.pth: the network to begin with; its classifier too/);
  const three = shell.moproc(...tune, "--model-path", "three.pth", "--num-class", "4", "--exp-dir", "new head");
  t.is(three.status, 0, three.err);
  t.regex(three.err, /three\.pth has 3 classes, --num-class says 4: a new classifier of 4 classes is trained/);
  const keep = ["--init-classifier", "keep", "--num-class", "4", "--exp-dir", "no"];
  const kept = shell.moproc(...tune, "--model-path", "three.pth", ...keep);
  t.is(kept.status, 2);
  t.regex(kept.err, /--init-classifier keep: three\.pth has 3 classes, but --num-class says 4; use --num-class 3/);
  const d2 = shell.done(...tune, "--model-path", "detectron2.pth", "--exp-dir", "of d2");
  t.regex(d2, /its classifier too/);
  const made = shell.done("export", "--resume", "wrapped.pth", ...network.slice(0, 2), "-o", "m.onnx", "--no-check");
  t.regex(made, /note: wrapped\.pth: names are read without the prefix module\._orig_mod\.backbone\./);
  t.true(existsSync(shell.at("m.onnx")));
});

test("convert --weights-key takes the other weights, and says which there are", (t) => {
  shell.done("convert", "averages.pth", "ema.safetensors", "--weights-key", "model_ema");
  const file = SafetensorsFile.open(shell.at("ema.safetensors"));
  const name = [...file.tensors.keys()].find((n) => n.endsWith("conv1.weight")) as string;
  t.true(file.floats(name).every((v) => v === 0)); // the script's other weights
  file.close();
  const r = shell.moproc("convert", "averages.pth", "no.safetensors", "--weights-key", "nothing");
  t.is(r.status, 2);
  t.regex(r.err, /--weights-key nothing: averages\.pth has no weights under this key/);
});

test("a single network under MoPro's names is a classifier, not a checkpoint of MoPro", (t) => {
  shell.done("convert", "plain.pth", "single.safetensors");
  const file = SafetensorsFile.open(shell.at("single.safetensors"));
  t.false(file.tensors.has("prototypes"));
  const head = Buffer.from(file.floats("encoder_q.classifier.weight").buffer);
  file.close();
  const size = network.slice(0, 2);
  for (const from of ["plain.pth", "single.safetensors"]) {
    shell.done("export", "--resume", from, ...size, "-o", `${from}.onnx`, "--no-check");
    t.true(readFileSync(shell.at(`${from}.onnx`)).includes(head), from);
  }
  t.is(predicted("single.safetensors").csv, predicted("plain.pth").csv);
  const clean = shell.moproc("clean", "--data", "data", "--resume", "single.safetensors", ...network);
  t.is(clean.status, 2);
  t.regex(clean.err, /single\.safetensors: has no prototypes, so it is not a checkpoint of MoPro/);
  const key = shell.moproc("export", "--resume", "single.safetensors", ...size, "--which", "key", "-o", "no.onnx");
  t.is(key.status, 2);
  t.regex(key.err, /--which key: single\.safetensors has no key encoder/);
});

test("what cannot be read is refused by name before anything is built", (t) => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ["deep.pth", /deep\.pth: its stem is a series of convolutions, as in ResNet-D.*conv1\.0\.weight f32\[64,3,7,7\]/],
    [
      "harmful.pth",
      /harmful\.pth: entry 'archive\/data\.pkl': pickle, byte \d+, opcode GLOBAL: mentions 'posix\.system'/,
    ],
    [
      "model.pth",
      /model\.pth: holds an object of class torchvision\.models\.resnet\.ResNet.*torch\.save\(model\.state/,
    ],
  ];
  for (const [file, message] of refused)
    for (const verb of [
      ["predict", "--resume", file, ...network, "data/val"],
      ["convert", file, "no.safetensors"],
      ["export", "--resume", file, "-o", "no.onnx", "--no-check"],
    ]) {
      const r = shell.moproc(...verb);
      t.is(r.status, 2, verb.join(" "));
      t.regex(r.err, message, verb.join(" "));
    }
  const sparse = shell.moproc("predict", "--resume", "sparse.pth", ...network, "data/val");
  t.is(sparse.status, 2);
  t.regex(
    sparse.err,
    /tensor bn1\.bias is an object of class torch\._utils\._rebuild_sparse_tensor, which is not read/,
  );
});

test("train --resume: a single network is not a run of MoPro, and the message says what reads it", (t) => {
  const mopro = ["--task", "mopro", "--data", "data", "--resume", "wrapped.pth", "--exp-dir", "no"];
  const r = shell.moproc("train", ...model, ...mopro);
  t.is(r.status, 2);
  t.regex(r.err, /wrapped\.pth: holds a single network, not the state of MoPro.*finetune, lowshot, predict/);
  const classifier = [...model, "--task", "classifier", "--data", "data", "--exp-dir", "resumed", "--epochs", "8"];
  const adam = shell.moproc("train", ...classifier, "--resume", "wrapped.pth");
  t.is(adam.status, 2);
  t.regex(
    adam.err,
    /optimizer: is not SGD with momentum: its state has exp_avg, step \(Adam's\), and no momentum_buffer/,
  );
  t.regex(adam.err, /--reset-optimizer continues with zero momentum/);
  const out = shell.done("train", ...classifier, "--resume", "wrapped.pth", "--reset-optimizer", "--quiet");
  t.regex(out, /wrapped\.pth: epoch 7, step 0/);
  t.regex(out, /all momentum begins with zero \(--reset-optimizer\)/);
});
