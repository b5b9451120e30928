// retrain and lowshot of networks that another program wrote as ONNX: the network stays as it is.

import { readFileSync, writeFileSync } from "node:fs";
import test from "ava";
import { readModel } from "../../compiler/onnx/files.js";
import { elementsOf } from "../../compiler/onnx/model.js";
import { encodeModel } from "../../compiler/onnx/proto.js";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { Shell } from "../support/cli.js";
import { networks } from "../support/foreign_networks.js";

const shell = new Shell("foreign features");
test.after.always(() => shell.remove());

const model = networks.mobile();
const retrain = "retrain mobile.onnx --data data --annotation labels.json -b 16 --quiet".split(" ");
const lowshot = "lowshot --dataset voc --voc-path voc --shots 2 --draws 2 -b 16 --quiet".split(" ");

test.before(() => {
  shell.done(..."data sample --out data --classes 4 --images 96 --val 16 --size 40 --ood 0".split(" "));
  shell.done(..."data sample --out voc --layout voc --images 60 --val 40 --size 40".split(" "));
  writeFileSync(shell.at("mobile.onnx"), encodeModel(model));
  const lines = shell.text("data", "info", "train_filelist_google.txt").trim().split("\n");
  const images = lines.map((l) => l.replace(/ \d+$/, ""));
  const labels = lines.map((l) => Number(/\d+$/.exec(l)?.[0]));
  writeFileSync(shell.at("labels.json"), JSON.stringify({ images, labels }));
});

/** The numbers of a tensor of a checkpoint. */
function tensor(checkpoint: string, name: string): number[] {
  const file = SafetensorsFile.open(shell.at(checkpoint));
  const floats = [...file.floats(name)];
  file.close();
  return floats;
}

test.serial("retrain trains a new classifier of the data's classes on the file's features, and goes on", (t) => {
  const said = shell.moproc(...retrain, "--exp-dir", "whole", "--epochs", "2", "--lr", "0.5");
  t.is(said.status, 0, said.err);
  t.notRegex(said.err, /are trained/);
  const last = "whole/checkpoint_0001.safetensors";
  for (const { name, type, dims } of model.graph.initializers)
    if (type === "f32" && dims.length > 1 && /^block/.test(name)) {
      const t0 = model.graph.initializers.find((i) => i.name === name);
      t.deepEqual(tensor(last, name), [...(elementsOf(t0 as never) as Float32Array)], name);
    }
  t.is(tensor(last, "fc.bias").length, 4);
  t.true(tensor(last, "fc.bias").every((x) => x !== 0));
  shell.done(...retrain, "--exp-dir", "half", "--epochs", "1", "--lr", "0.5");
  shell.done(...retrain, "--exp-dir", "half", "--epochs", "2", "--lr", "0.5", "--resume", "auto");
  t.deepEqual(tensor("half/checkpoint_0001.safetensors", "fc.weight"), tensor(last, "fc.weight"));
});

test.serial("lowshot measures the features of the file: those of a checkpoint with the same network", (t) => {
  const results = (file: string): unknown => JSON.parse(readFileSync(shell.at(file), "utf8")).results;
  shell.done(...lowshot, "mobile.onnx", "--output", "file.json");
  shell.done(...lowshot, "--model-path", "whole/checkpoint_0001.safetensors", "--output", "checkpoint.json");
  t.deepEqual(results("file.json"), results("checkpoint.json"));
  shell.done(...lowshot, "mobile.onnx", "--normalize", "bytes", "--output", "other.json");
  t.notDeepEqual(results("other.json"), results("file.json"));
});

test.serial("Dropout nodes of a file drop what --dropout says, in training only, and go on with the same bits", (t) => {
  writeFileSync(shell.at("squeezing.onnx"), encodeModel(networks.squeezing()));
  const flags = "--data data --task classifier -b 16 --lr 0.02 --quiet --epochs 2 --exp-dir".split(" ");
  const train = (exp: string, ...more: readonly string[]): string => shell.done("train", ...flags, exp, ...more);
  const last = (exp: string) => tensor(`${exp}/checkpoint_0001.safetensors`, "fc.weight");
  train("plain", "squeezing.onnx");
  train("dropped", "squeezing.onnx", "--dropout", "0.5");
  t.notDeepEqual(last("dropped"), last("plain"));
  train("stopped", "squeezing.onnx", "--dropout", "0.5", "--steps", "7");
  train("stopped", "--resume", "auto"); // which keeps the share
  t.deepEqual(last("stopped"), last("dropped"));
  shell.done("export", "--resume", "dropped/last.safetensors", "-o", "dropped.onnx", "--verify");
  const count = (file: string): number =>
    readModel(shell.at(file)).graph.nodes.filter((n) => n.op === "Dropout").length;
  t.is(count("dropped.onnx"), count("squeezing.onnx"));
  const r = shell.moproc("train", "mobile.onnx", ...flags, "none", "--dropout", "0.5");
  t.is(r.status, 2, r.err);
  t.regex(r.err, /--dropout 0\.5: mobile has no dropout; vit_s_16 and vit_b_16 have it, and networks from ONNX files/);
});

const refused: Readonly<Record<string, readonly [args: string, reason: RegExp]>> = {
  "a model where a checkpoint belongs": [
    "evaluate --data data --resume mobile.onnx",
    /mobile.onnx: is an ONNX model, not a checkpoint; `moproc finetune mobile.onnx` trains it/,
  ],
  "a model behind a flag": [
    "lowshot --dataset voc --voc-path voc --model-path mobile.onnx",
    /name it without a flag: moproc lowshot mobile.onnx/,
  ],
  "a checkpoint, too": [
    "lowshot mobile.onnx --dataset voc --voc-path voc --model-path whole/last.safetensors",
    /mobile.onnx: is the network to begin with, so leave out --model-path/,
  ],
  "a checkpoint for retraining, too": [
    "retrain mobile.onnx --data data --annotation labels.json --resume whole/last.safetensors",
    /mobile.onnx: is the network to begin with, so leave out --resume/,
  ],
  "a flag for a model without one": [
    "lowshot --dataset voc --voc-path voc --model-path whole/last.safetensors --feature x",
    /--feature: only a network from an ONNX file has it/,
  ],
};
for (const [what, [args, reason]] of Object.entries(refused))
  test.serial(`refused: ${what}`, (t) => {
    const r = shell.moproc(...args.split(" "));
    t.is(r.status, 2, r.err);
    t.regex(r.err, reason);
  });
