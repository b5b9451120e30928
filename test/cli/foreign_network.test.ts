// Networks of other programs by the command line: they are trained from an ONNX file, continued, evaluated and exported
// as ONNX again, which ONNX Runtime runs.

import { rmSync, writeFileSync } from "node:fs";
import test from "ava";
import { readModel } from "../../compiler/onnx/files.js";
import { elementsOf, type Model } from "../../compiler/onnx/model.js";
import { encodeModel } from "../../compiler/onnx/proto.js";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { Shell } from "../support/cli.js";
import { networks } from "../support/foreign_networks.js";

const shell = new Shell("foreign");
test.after.always(() => shell.remove());

const run = "--data data --crop-min 0.5 --quiet".split(" ");
const classifier = [...run, ..."--task classifier -b 32 --bn-groups 2 --lr 0.05 --cos".split(" ")];
const models = {} as Record<keyof typeof networks, Model>;

test.before(() => {
  shell.done(..."data sample --out data --classes 4 --images 400 --val 120 --size 40 --noise 0 --ood 0".split(" "));
  for (const name of Object.keys(networks) as (keyof typeof networks)[]) {
    models[name] = networks[name]();
    writeFileSync(shell.at(`${name}.onnx`), encodeModel(models[name]));
  }
});

/** The last top-1 on the validation images, in percent. */
const top1 = (...args: readonly string[]): number =>
  Number(/top-1 ([\d.]+) %/.exec(shell.done("evaluate", "--data", "data", ...args))?.[1]);

/** All f32 tensors of a checkpoint. */
function tensors(...path: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const file = SafetensorsFile.open(shell.at(...path));
  const floats = [...file.tensors].filter(([, e]) => e.dtype === "F32").map(([name]) => name);
  const all = new Map(floats.map((name) => [name, [...file.floats(name)]]));
  file.close();
  return all;
}

const numbers = (m: Model, name: string): readonly number[] => {
  const t = m.graph.initializers.find((i) => i.name === name);
  return t ? [...(elementsOf(t) as Float32Array)] : [];
};

/** Exports the run's network in f16, which ONNX Runtime must confirm. */
function half(checkpoint: string, weight?: string, head = "classifier"): void {
  const flags = ["--precision", "f16", "--head", head, "--verify"];
  shell.done("export", "--resume", checkpoint, "-o", "half.onnx", ...flags);
  const { initializers, inputs, outputs } = readModel(shell.at("half.onnx")).graph;
  const type = initializers.find((i) => i.name === weight)?.type;
  if (weight !== undefined && type !== "f16") throw new Error(`${weight} is ${type}`);
  if (!initializers.some((i) => i.type === "f16")) throw new Error("nothing is f16");
  if ([...inputs, ...outputs].some((v) => v.type !== "f32")) throw new Error("an input or output is not f32");
}

/** Exports the run's network in 8 bits, and returns what the command says. */
function whole(checkpoint: string, head = "classifier"): string {
  const flags = ["--quantize", "int8", "--images", "data/val_images_256", "--calibration-images", "32"];
  const out = shell.done("export", "--resume", checkpoint, "-o", "int8.onnx", "--head", head, ...flags, "--verify");
  const { initializers, inputs, outputs } = readModel(shell.at("int8.onnx")).graph;
  if (!initializers.some((i) => i.type === "i8" && i.dims.length > 1)) throw new Error("nothing is i8");
  if ([...inputs, ...outputs].some((v) => v.type !== "f32")) throw new Error("an input or output is not f32");
  return out;
}

test.serial("a convolutional network learns, goes on with the same bits, and is exported with its own graph", (t) => {
  const said = shell.moproc("train", "residual.onnx", ...classifier, "--epochs", "12", "--exp-dir", "whole");
  t.is(said.status, 0, said.err);
  t.regex(said.err, /9 tensors and a new classifier on its feature of 8 are trained, at 32 pixels/);
  t.regex(said.err, /3 BatchNormalization layers use the statistics of each batch/);
  const last = "whole/checkpoint_0011.safetensors";
  const learned = top1("--resume", last);
  t.true(learned >= 40, `top-1 ${learned}, chance is 25`);

  shell.done("train", "residual.onnx", ...classifier, "--epochs", "12", "--exp-dir", "half", "--steps", "20");
  rmSync(shell.at("residual.onnx")); // the run has its own copy
  shell.done("train", ...classifier, "--epochs", "12", "--exp-dir", "half", "--resume", "auto");
  t.deepEqual(tensors("half/checkpoint_0011.safetensors"), tensors(last));

  const out = shell.done("export", "--resume", last, "-o", "trained.onnx", "--verify");
  t.regex(out, /batches of 1, 3, 4/);
  const trained = readModel(shell.at("trained.onnx"));
  const own = models.residual.graph.nodes.map((n) => n.name).filter((name) => name !== "logits");
  const kept = trained.graph.nodes.map((n) => n.name).slice(0, own.length);
  t.deepEqual(kept, own);
  t.deepEqual(numbers(trained, "conv1.weight"), tensors(last).get("conv1.weight"));
  t.notDeepEqual(numbers(trained, "conv1.weight"), numbers(models.residual, "conv1.weight"));
  t.notDeepEqual(numbers(trained, "bn1.running_mean"), numbers(models.residual, "bn1.running_mean"));
  const opset = shell.moproc("export", "--resume", last, "-o", "x.onnx", "--opset", "14");
  t.is(opset.status, 2);
  t.regex(opset.err, /--opset 14: the network is another program's, whose graph is written as it was/);
  const step = shell.moproc("export", "--training", "--resume", last, "-o", "step");
  t.is(step.status, 2);
  t.regex(step.err, /its network is an ONNX model; a training step of such a network cannot be exported/);
  t.deepEqual(trained.graph.outputs, [{ name: "logits", type: "f32", shape: ["N", 4] }]);
  half(last, "conv1.weight");
  const int8 = whole(last);
  t.regex(int8, /4 tensors with \d+ numbers are i8/);
  t.regex(int8, /3 BatchNormalization nodes became part of their convolutions/);
  t.regex(int8, /int8: 1 node stays as it is: 1 Identity/);
  t.regex(int8, /int8 beside f32, both in ONNX Runtime, on 88 other images of data\/val_images_256/);
  t.regex(int8, /top-1: unknown, because no image is in a folder with the name of a class/);
  t.is(readModel(shell.at("int8.onnx")).metadata.get("batch_norm"), "folded");
});

test.serial("a transformer that was made for one image learns, by one rank and by two", (t) => {
  const flags = [...classifier, "--epochs", "12", "--normalize", "signed"];
  shell.done("train", "transformer.onnx", ...flags, "--exp-dir", "one");
  const last = "checkpoint_0011.safetensors";
  const learned = top1("--resume", `one/${last}`);
  t.true(learned >= 40, `top-1 ${learned}, chance is 25`);
  shell.done("train", "transformer.onnx", ...flags, "--exp-dir", "two", "--nproc-per-node", "2", "--steps", "12");
  shell.done("train", "transformer.onnx", ...flags, "--exp-dir", "first", "--steps", "12");
  t.deepEqual(tensors("two/last.safetensors"), tensors("first/last.safetensors"));
  const out = shell.done(
    "export",
    "--resume",
    `one/${last}`,
    "-o",
    "transformer.t.onnx",
    "--head",
    "features",
    "--verify",
  );
  t.regex(out, /features.*f32\[1, 16\]/);
  t.is(readModel(shell.at("transformer.t.onnx")).metadata.get("mean"), "[0.5,0.5,0.5]");
  half(`one/${last}`);
  t.regex(whole(`one/${last}`, "features"), /nodes stay as they are: .*1 Softmax/);
});

test.serial("MoPro trains a network of grouped convolutions, whose copy its key encoder begins as", (t) => {
  const flags = [...run, ..."-b 16 --low-dim 8 --moco_queue 32 --lr 0.01 --start_clean_epoch 2".split(" ")];
  shell.done("train", "mobile.onnx", ...flags, "--epochs", "4", "--exp-dir", "mopro", "--moco_m", "1");
  const last = "mopro/checkpoint_0003.safetensors";
  t.deepEqual(
    tensors(last).get("encoder_k.block1.depthwise.weight"),
    numbers(models.mobile, "block1.depthwise.weight"),
  );
  t.notDeepEqual(
    tensors(last).get("encoder_q.block1.depthwise.weight"),
    numbers(models.mobile, "block1.depthwise.weight"),
  );
  t.true(top1("--resume", last) > 0);
  const out = shell.done("export", "--resume", last, "-o", "mobile.t.onnx", "--head", "both", "--verify");
  t.regex(out, /embedding.*f32\[1, 8\]/);
  shell.done("clean", "--data", "data", "--resume", last, "-b", "32");
  const again = "retrain --data data --annotation pseudo_label.json --exp-dir again --epochs 1 -b 32 --quiet".split(
    " ",
  );
  shell.done(...again, "--resume", last);
  const [before, after] = [tensors(last), tensors("again/last.safetensors")];
  t.deepEqual(after.get("block1.depthwise.weight"), before.get("encoder_q.block1.depthwise.weight"));
  t.notDeepEqual(after.get("fc.weight"), before.get("encoder_q.classifier.weight"));
  half(last, "block1.depthwise.weight", "both");
  t.regex(whole(last, "both"), /nodes stay as they are: 3 HardSwish/);
});

test.serial("a classifier is kept, and what is frozen stays", (t) => {
  const data = "data sample --out ten --classes 10 --images 64 --val 20 --size 40".split(" ");
  shell.done(...data);
  const flags = "--data ten --quiet --task classifier -b 16 --lr 0.1 --epochs 2 --head keep --freeze-bn".split(" ");
  writeFileSync(shell.at("again.onnx"), encodeModel(models.residual));
  const said = shell.moproc("train", "again.onnx", ...flags, "--freeze", "conv1.*", "--exp-dir", "kept");
  t.is(said.status, 0, said.err);
  t.regex(said.err, /its own classifier of 10 classes are trained, at 32 pixels; frozen: 1 tensor\n/);
  const after = tensors("kept/last.safetensors");
  for (const name of ["conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "layer1.bn2.running_var"])
    t.deepEqual(after.get(name), numbers(models.residual, name), name);
  for (const name of ["layer1.conv1.weight", "fc.weight", "fc.bias"])
    t.notDeepEqual(after.get(name), numbers(models.residual, name), name);
  shell.done("export", "--resume", "kept/last.safetensors", "-o", "kept.onnx", "--verify");
  shell.done("clean", "--data", "data", "--resume", "mopro/last.safetensors", "-b", "32", "--annotation", "a.json");
  const alone = "retrain --data data --annotation a.json --exp-dir alone -b 32".split(" ");
  const r = shell.moproc(...alone, "--resume", "kept/last.safetensors");
  t.is(r.status, 2);
  t.regex(r.err, /again keeps its own classifier \(--head keep\), which cannot be trained alone/);
});

test.serial("finetune begins with the file, too, and continues", (t) => {
  shell.done(..."data sample --layout imagenet --out folders --classes 4 --images 96 --val 40 --size 40".split(" "));
  writeFileSync(shell.at("fine.onnx"), encodeModel(models.mobile));
  const flags = "--data folders --low-resource 1 --quiet -b 16 --bn-groups 2 --lr 0.05 --exp-dir fine".split(" ");
  const said = shell.moproc("finetune", "fine.onnx", ...flags, "--epochs", "2");
  t.is(said.status, 0, said.err);
  t.is(said.err.match(/15 tensors and a new classifier on its feature of 16 are trained/g)?.length, 1, "said once");
  const before = numbers(models.mobile, "block2.pointwise.weight");
  t.notDeepEqual(tensors("fine/last.safetensors").get("block2.pointwise.weight"), before);
  shell.done("finetune", "fine.onnx", ...flags, "--epochs", "3", "--resume", "auto");
  shell.done("export", "--resume", "fine/checkpoint_0002.safetensors", "-o", "fine.t.onnx", "--verify");
  const twice = shell.moproc("finetune", "fine.onnx", ...flags, "--model-path", "fine/last.safetensors");
  t.is(twice.status, 2);
  t.regex(twice.err, /fine.onnx: is the network to begin with, so leave out --model-path/);
});

const refused: Readonly<Record<string, readonly [args: string, reason: RegExp]>> = {
  "another number of classes": ["transformer.onnx --head keep", /classifier has 10 classes, but data has 4/],
  "an unknown tensor": ["transformer.onnx --feature nope", /--feature nope: no node of the model makes/],
  "an unknown input": ["transformer.onnx --input x", /--input x: the model has no such input; its inputs are pixels/],
  "a pattern for nothing": ["transformer.onnx --freeze zz*", /--freeze zz\*: no tensor has such a name; they are/],
  "a network twice": ["transformer.onnx -a resnet18", /transformer.onnx: is the network, so leave out -a/],
  "another image size": ["transformer.onnx --image-size 20", /made for images of 32 pixels, not 20/],
  "flags without a model": ["--head keep", /--head: only a network from an ONNX file has it/],
  "no model": ["photo.jpg", /photo.jpg: what is this\?/],
  "no file": ["none.onnx", /none.onnx: no such file/],
};

for (const [what, [args, reason]] of Object.entries(refused))
  test(`refused before anything is compiled: ${what}`, (t) => {
    const r = shell.moproc("train", ...args.split(" "), ...classifier, "--exp-dir", "refused");
    t.is(r.status, 2, r.out);
    t.regex(r.err, reason);
    t.notRegex(r.err, /compiled/);
  });

test.serial("a run goes on only with its own network", (t) => {
  const other = shell.moproc(
    "train",
    "mobile.onnx",
    ...classifier,
    "--epochs",
    "14",
    "--exp-dir",
    "whole",
    "--resume",
    "auto",
  );
  t.is(other.status, 2);
  t.regex(other.err, /mobile.onnx: is another network than that of whole\//);
  rmSync(shell.at("whole", "network.onnx"));
  const gone = shell.moproc("evaluate", "--data", "data", "--resume", "whole/last.safetensors");
  t.is(gone.status, 2);
  t.regex(gone.err, /network.onnx is not there; copy network.onnx from the run's folder/);
});
