// MoPro on a network of another program whose own tensors have the names of MoPro's layers: each keeps its own values
// in training, after a resume, in exports and in the networks that begin with the checkpoint.

import { writeFileSync } from "node:fs";
import test from "ava";
import { readModel } from "../../compiler/onnx/files.js";
import { elementsOf, type Model } from "../../compiler/onnx/model.js";
import { encodeModel } from "../../compiler/onnx/proto.js";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { Shell } from "../support/cli.js";
import { networks } from "../support/foreign_networks.js";

const shell = new Shell("foreign-names");
test.after.always(() => shell.remove());

/** Tensors of the network `mobile` under names of MoPro's layers. */
const names: Readonly<Record<string, string>> = {
  "stem.weight": "fc1.weight",
  "block1.pointwise.weight": "fc2.weight",
  "block2.depthwise.weight": "classifier.weight",
  "block2.bn2.bias": "classifier.bias",
};

/** The network `mobile` with other names of tensors. */
function renamed(given: Readonly<Record<string, string>>): Model {
  const name = (old: string): string => given[old] ?? old;
  const m = networks.mobile();
  const { graph } = m;
  return {
    ...m,
    graph: {
      ...graph,
      initializers: graph.initializers.map((t) => ({ ...t, name: name(t.name) })),
      nodes: graph.nodes.map((n) => ({ ...n, inputs: n.inputs.map(name) })),
    },
  };
}
const model = renamed(names);

/** All f32 tensors of a checkpoint, with their shapes. */
function tensors(path: string): ReadonlyMap<string, readonly [shape: string, values: readonly number[]]> {
  const file = SafetensorsFile.open(shell.at(path));
  const floats = [...file.tensors].filter(([, e]) => e.dtype === "F32");
  const all = new Map(floats.map(([name, e]) => [name, [e.shape.join(), [...file.floats(name)]] as const]));
  file.close();
  return all;
}

const numbers = (m: Model, name: string): readonly number[] => {
  const t = m.graph.initializers.find((i) => i.name === name);
  return t ? [...(elementsOf(t) as Float32Array)] : [];
};

test("a network with tensors fc1, fc2 and classifier goes through MoPro, clean, retrain and export", (t) => {
  shell.done(..."data sample --out data --classes 4 --images 96 --val 40 --size 40 --noise 0 --ood 0".split(" "));
  writeFileSync(shell.at("own.onnx"), encodeModel(model));
  const flags =
    "--data data --quiet -b 16 --low-dim 8 --moco_queue 32 --lr 0.01 --start_clean_epoch 2 --epochs 3".split(" ");
  shell.done("train", "own.onnx", ...flags, "--exp-dir", "whole");
  const last = "whole/checkpoint_0002.safetensors";
  const trained = tensors(last);
  const shapes = (name: string): (string | undefined)[] =>
    ["encoder_q.", "encoder_q.moproc.", "encoder_k.", "encoder_k.moproc."].map((p) => trained.get(p + name)?.[0]);
  t.deepEqual(shapes("fc1.weight"), ["8,3,3,3", "2048,16", "8,3,3,3", "2048,16"]);
  t.deepEqual(shapes("fc2.weight"), ["16,8,1,1", "8,2048", "16,8,1,1", "8,2048"]);
  t.deepEqual(shapes("classifier.weight"), ["16,1,3,3", "4,16", "16,1,3,3", "4,16"]);
  t.deepEqual(shapes("classifier.bias"), ["16", "4", "16", "4"]);
  t.notDeepEqual(trained.get("encoder_q.fc1.weight")?.[1], numbers(model, "fc1.weight"));

  shell.done("train", "own.onnx", ...flags, "--exp-dir", "half", "--steps", "8");
  shell.done("train", ...flags, "--exp-dir", "half", "--resume", "auto");
  t.deepEqual(tensors("half/checkpoint_0002.safetensors"), trained);

  const out = shell.done("export", "--resume", last, "-o", "both.onnx", "--head", "both", "--verify");
  t.regex(out, /embedding.*f32\[1, 8\]/);
  const exported = readModel(shell.at("both.onnx"));
  const given = (name: string): readonly number[] | undefined => trained.get(`encoder_q.${name}`)?.[1];
  for (const name of Object.values(names)) {
    t.deepEqual(numbers(exported, name), given(name), name);
    t.deepEqual(numbers(exported, name).length, numbers(model, name).length, name);
  }
  t.deepEqual(numbers(exported, "moproc.fc2.weight"), given("moproc.fc2.weight"));
  t.deepEqual(numbers(exported, "fc.weight"), given("moproc.classifier.weight"));

  shell.done("clean", "--data", "data", "--resume", last, "-b", "32");
  const again = "retrain --data data --annotation pseudo_label.json --exp-dir again --epochs 1 -b 8 --quiet".split(" ");
  shell.done(...again, "--resume", last);
  const after = tensors("again/last.safetensors");
  for (const name of ["fc1.weight", "fc2.weight", "classifier.weight"])
    t.deepEqual(after.get(name)?.[1], given(name), name);
  t.is(after.get("fc.weight")?.[0], "4,16");
  t.deepEqual(
    [...after.keys()].filter((name) => name.includes("moproc.")),
    [],
  );
});

test("the classifier that a network keeps may have any of these names", (t) => {
  shell.done(..."data sample --out ten --classes 10 --images 64 --val 20 --size 40".split(" "));
  writeFileSync(
    shell.at("kept.onnx"),
    encodeModel(renamed({ "head.weight": "classifier.weight", "head.bias": "classifier.bias" })),
  );
  const flags = "--data ten --quiet -b 16 --low-dim 8 --moco_queue 32 --epochs 1 --head keep --exp-dir kept".split(" ");
  shell.done("train", "kept.onnx", ...flags);
  const last = "kept/last.safetensors";
  t.is(tensors(last).get("encoder_q.classifier.weight")?.[0], "16,10");
  shell.done("export", "--resume", last, "-o", "kept.t.onnx", "--verify");
  const tune = "--data ten --quiet -b 16 --epochs 1 --lr 0 --low-resource 1 --exp-dir tuned".split(" ");
  shell.done("finetune", ...tune, "--model-path", last);
  t.deepEqual(
    tensors("tuned/last.safetensors").get("classifier.weight"),
    tensors(last).get("encoder_q.classifier.weight"),
  );
});

test("a network with tensors fc.weight and fc.bias gets a new classifier of another name", (t) => {
  shell.done(..."data sample --out four --classes 4 --images 96 --val 40 --size 40 --noise 0 --ood 0".split(" "));
  const m = renamed({ "block1.pointwise.weight": "fc.weight", "block1.bn2.bias": "fc.bias" });
  writeFileSync(shell.at("fc.onnx"), encodeModel(m));
  const flags = "--data four --quiet -b 16".split(" ");
  const shapes = (path: string): (string | undefined)[] =>
    ["fc.weight", "fc.bias", "moproc.fc.weight", "moproc.fc.bias"].map((name) => tensors(path).get(name)?.[0]);
  const both = ["16,8,1,1", "16", "4,16", "4"];

  const classifier = [...flags, "--lr", "0.01", "--task", "classifier", "--epochs", "2"];
  shell.done("train", "fc.onnx", ...classifier, "--exp-dir", "fc");
  const last = "fc/checkpoint_0001.safetensors";
  t.deepEqual(shapes(last), both);
  t.notDeepEqual(tensors(last).get("fc.weight")?.[1], numbers(m, "fc.weight"));
  shell.done("train", "fc.onnx", ...classifier, "--exp-dir", "fc.half", "--steps", "4");
  shell.done("train", ...classifier, "--exp-dir", "fc.half", "--resume", "auto");
  t.deepEqual(tensors("fc.half/checkpoint_0001.safetensors"), tensors(last));
  shell.done("export", "--resume", last, "-o", "fc.t.onnx", "--verify");
  const exported = readModel(shell.at("fc.t.onnx"));
  for (const name of ["fc.weight", "moproc.fc.weight"])
    t.deepEqual(numbers(exported, name), tensors(last).get(name)?.[1], name);

  // a network that begins with a checkpoint: with its classifier, of a classifier and of MoPro, and with a new one
  const tune = [...flags, "--low-resource", "1", "--epochs", "1", "--lr", "0"];
  shell.done("finetune", ...tune, "--model-path", last, "--exp-dir", "fc.tuned");
  for (const name of ["fc.weight", "moproc.fc.weight"])
    t.deepEqual(tensors("fc.tuned/last.safetensors").get(name)?.[1], tensors(last).get(name)?.[1], name);
  const mopro = "--low-dim 8 --moco_queue 32 --start_clean_epoch 1 --epochs 2 --exp-dir fc.mopro".split(" ");
  shell.done("train", "fc.onnx", ...flags, "--lr", "0.01", ...mopro);
  const noisy = "fc.mopro/last.safetensors";
  shell.done("finetune", ...tune, "--model-path", noisy, "--exp-dir", "fc.again");
  const again = tensors("fc.again/last.safetensors");
  t.deepEqual(again.get("fc.weight")?.[1], tensors(noisy).get("encoder_q.fc.weight")?.[1]);
  t.deepEqual(again.get("moproc.fc.weight")?.[1], tensors(noisy).get("encoder_q.classifier.weight")?.[1]);
  shell.done("clean", "--data", "four", "--resume", noisy, "-b", "32");
  const alone = "retrain --data four --annotation pseudo_label.json --exp-dir fc.alone --epochs 1 -b 8 --quiet";
  shell.done(...alone.split(" "), "--resume", noisy);
  const after = tensors("fc.alone/last.safetensors");
  t.deepEqual(shapes("fc.alone/last.safetensors"), both);
  t.deepEqual(after.get("fc.weight")?.[1], tensors(noisy).get("encoder_q.fc.weight")?.[1]);
  t.notDeepEqual(after.get("moproc.fc.weight")?.[1], tensors(noisy).get("encoder_q.classifier.weight")?.[1]);
});
