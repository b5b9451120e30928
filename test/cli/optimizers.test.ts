// train and finetune with AdamW, LARS, clipped gradients and dropout: beside PyTorch, stopped and continued, with
// several ranks, exported, and what is refused.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { Shell } from "../support/cli.js";
import { noPythonWith, pythonWith } from "../support/python.js";

const shell = new Shell("optimizers");
test.after.always(() => shell.remove());

const small = "--task classifier -a resnet10 --width 0.125 -b 16 --image-size 32 --quiet".split(" ");
const vit = "-a vit_s_16 --width 0.0625 -b 16 --image-size 32 --low-dim 8 --moco_queue 32 --quiet".split(" ");
const adamw = "--optimizer adamw --clip-norm 0.5 --wd 0.1 --beta2 0.95".split(" ");
const lars = "--optimizer lars --trust 0.02 --lr 0.5".split(" ");

function train(exp: string, flags: readonly string[], model: readonly string[] = small): string {
  return shell.done("train", ...model, "--data", "data", "--exp-dir", exp, "--epochs", "2", ...flags);
}

/** Tensors and metadata of a checkpoint, without what names the run and the time. */
function content(...path: readonly string[]): { tensors: Record<string, string>; metadata: Record<string, string> } {
  const file = SafetensorsFile.open(shell.at(...path));
  const { run, meters, ...metadata } = Object.fromEntries(file.metadata);
  const tensors = Object.fromEntries(
    [...file.tensors.keys()].map((name) => [name, Buffer.from(file.bytes(name)).toString("base64")]),
  );
  file.close();
  return { tensors, metadata: metadata as Record<string, string> };
}
const last = "checkpoint_0001.safetensors";

test.before(() => {
  const sample = "data sample --out data --classes 4 --images 160 --val 16 --size 40 --ood 0".split(" ");
  shell.done(...sample);
});

const python = pythonWith("torch", "numpy");
if (python === undefined) test.skip(`AdamW beside PyTorch: ${noPythonWith("torch", "numpy")}`, (t) => t.pass());
else
  test.serial("five steps by AdamW have the states of torch.optim.AdamW; norms are clipped; matrices decay", (t) => {
    train("steps", [...adamw, "--steps", "6", "--save-every", "1", "--keep", "10"]);
    const files = [1, 2, 3, 4, 5, 6].map((n) => shell.at("steps", `checkpoint_0000_00000${n}.safetensors`));
    const wanted = { files, lr: 0.001, wd: 0.1, beta1: 0.9, beta2: 0.95, eps: 1e-8 };
    writeFileSync(shell.at("steps.json"), JSON.stringify(wanted));
    const script = join(root, "test", "cli", "optimizers_check.py");
    const r = shell.start(python, script, "steps.json", "found.json");
    t.is(r.status, 0, r.err);
    const found = JSON.parse(shell.text("found.json")) as Record<string, number> & { norms: number[] };
    // in units of --lr: parameters around 1 are rounded to f32 in each of 5 steps, 5 * 2^-24 / 0.001
    t.true((found.worst as number) < 3.5e-4, `${found.worst}`);
    t.is(found.norms.length, 5);
    for (const norm of found.norms) t.true(norm < 0.5 + 1e-5 && norm > 0.4, `${norm}`);
    t.true((found.matrices as number) > 10 && (found.others as number) > 20);
  });

/** Flags, those that a run that goes on must have again, and the network. */
const settings: Readonly<Record<string, readonly (readonly string[])[]>> = {
  adamw: [adamw, adamw.slice(2), small],
  lars: [lars, lars.slice(2), small],
  dropout: [["--optimizer", "adamw", "--dropout", "0.2"], [], vit],
};
for (const [name, [flags = [], needed = [], model = []]] of Object.entries(settings))
  test.serial(
    `${name}: a run that is stopped and goes on, with all flags or with fewer, ends with the same bits`,
    (t) => {
      train(name, flags, model);
      const whole = content(name, last);
      for (const [how, again] of Object.entries({ same: flags, fewer: needed })) {
        const exp = `${name}_${how}`;
        // within an epoch: the checkpoint has the optimizer's state of that step
        train(exp, [...flags, "--steps", "7", "--save-every", "3"], model);
        train(exp, [...again, "--resume", "auto"], model);
        t.deepEqual(content(exp, last), whole, how);
      }
      t.is(whole.metadata.optimizer, name === "dropout" ? "adamw" : name);
    },
  );

test.serial("two ranks end with the bits of one process", (t) => {
  const groups = ["--bn-groups", "2"];
  for (const [name, flags] of Object.entries({ adamw, lars })) {
    train(`${name}_one`, [...flags, ...groups]);
    train(`${name}_two`, [...flags, ...groups, "--nproc-per-node", "2"]);
    t.deepEqual(content(`${name}_two`, last).tensors, content(`${name}_one`, last).tensors, name);
  }
});

test.serial("what AdamW and dropout keep is no part of the network: evaluate, predict, export, finetune", (t) => {
  t.regex(shell.done("evaluate", "--resume", `dropout/${last}`, "--data", "data"), /top-1/);
  shell.done("export", "--resume", `dropout/${last}`, "-o", "vit.onnx", "--verify");
  const tune = `--data data --model-path dropout/${last} --exp-dir tuned -b 16 --epochs 1 --low-resource 1 --quiet`;
  shell.done("finetune", ...tune.split(" "), ...adamw, "--dropout", "0.1");
  const { tensors, metadata } = content("tuned", "checkpoint_0000.safetensors");
  t.deepEqual([metadata.lr, metadata.weight_decay, metadata.dropout, metadata.beta2], ["0.001", "0.1", "0.1", "0.95"]);
  t.true("optimizer.exp_avg.fc.weight" in tensors && "dropout.step" in tensors);
  shell.done("finetune", ...tune.replace("--epochs 1", "--epochs 2 --resume auto").split(" "), ...adamw.slice(2));
  const { metadata: after } = content("tuned", last);
  t.deepEqual([after.optimizer, after.dropout], ["adamw", "0.1"], "a run that goes on keeps what is compiled in");
  t.regex(
    shell.done("convert", `adamw/${last}`, "own.pth", "--to", "torchvision"),
    /left out: \d+ states of the run, such/,
  );
  t.false(readFileSync(shell.at("own.pth")).includes("exp_avg"));
  t.notRegex(shell.done("convert", `adamw/${last}`, "same.safetensors"), /left out/);
  t.deepEqual(content("same.safetensors").tensors, content("adamw", last).tensors);
  // a single network with MoPro's names
  shell.done("convert", "own.pth", "single.safetensors");
  const single =
    "train --data data -b 16 --epochs 3 --moco_queue 32 --exp-dir single --quiet --resume single.safetensors";
  const none = `${single} --task mopro --image-size 32`;
  const r = shell.moproc(...none.split(" "));
  t.is(r.status, 2, r.err);
  t.regex(r.err, /single\.safetensors: holds a single network, not the state of MoPro.*moproc train MODEL\.onnx/);
  shell.done(...single.split(" "), "--image-size", "32", "--start-epoch", "2", "--lr", "0");
  const trained = content("single", "checkpoint_0002.safetensors").tensors;
  t.is(trained["conv1.weight"], content("adamw", last).tensors["conv1.weight"]);
});

test.serial(
  "the defaults of --lr and --wd are AdamW's, unless they are given, and SGD's are the published ones",
  (t) => {
    const lr = (exp: string): unknown[] => {
      const { metadata: m } = content(exp, last);
      return [m.optimizer, m.lr, m.weight_decay, m.beta1, m.trust, m.decay_params, m.clip_norm];
    };
    t.deepEqual(lr("dropout"), ["adamw", "0.001", "0.01", "0.9", "0.001", undefined, undefined]);
    t.deepEqual(lr("lars"), ["lars", "0.5", "1e-04", "0.9", "0.02", undefined, undefined]);
    train("sgd", ["--decay-params", "matrices", "--steps", "1"]);
    train("sgd_all", ["--steps", "1"]);
    const state = (exp: string) => content(exp, "checkpoint_0000_000001.safetensors");
    const [some, all] = [state("sgd"), state("sgd_all")];
    t.is(some.metadata.decay_params, "matrices");
    t.is(some.tensors["conv1.weight"], all.tensors["conv1.weight"]);
    t.not(some.tensors["bn1.weight"], all.tensors["bn1.weight"]); // which is 1 before the step, so it decays
  },
);

test.serial("what does not fit is refused, with the remedy", (t) => {
  const refused = (args: readonly string[], message: RegExp): void => {
    const r = shell.moproc("train", "--data", "data", ...args);
    t.is(r.status, 2, `${args}: ${r.err}${r.out}`);
    t.regex(r.err + r.out, message, `${args}`);
  };
  refused([...small, "--exp-dir", "x", "--optimizer", "adam"], /--optimizer.*one of sgd, adamw, lars/s);
  refused(
    [...small, "--exp-dir", "x", "--dropout", "0.1"],
    /--dropout 0.1: resnet10 has no dropout; vit_s_16 and vit_b_16 have it/,
  );
  refused([...vit, "--exp-dir", "x", "--dropout", "1"], /--dropout.*less than 1/s);
  refused([...small, "--exp-dir", "x", "--optimizer", "adamw", "--beta1", "1"], /--beta1 1: must be between 0 and/);
  refused([...small, "--exp-dir", "x", "--clip-norm", "0"], /--clip-norm 0: must be/);
  const cuda = ["--optimizer", "lars", "--target", "cuda", "--target-arch", "emulator"];
  refused([...small, "--exp-dir", "x", ...cuda], /--optimizer lars: exists for CPUs/);
  const torch = ["--optimizer", "adamw", "--checkpoint-format", "pth.tar"];
  refused([...small, "--exp-dir", "x", ...torch], /--checkpoint-format pth.tar: cannot hold optimizer\./);
  const drop = [...vit, "--exp-dir", "x", "--resume", `dropout/${last}`, "--epochs", "3", "--dropout", "0.1"];
  refused(drop, /was made with other settings: --dropout 0\.2 -> 0\.1.*--accept-changes/);
  const other = [...small, "--exp-dir", "other", "--resume", `adamw/${last}`, "--epochs", "3", "--optimizer", "sgd"];
  refused(other, /optimizer: is that of --optimizer adamw, but this run trains by sgd; .* --reset-optimizer --accept/);
  shell.done("train", "--data", "data", ...other, "--reset-optimizer", "--accept-changes");
  t.is(content("other", "checkpoint_0002.safetensors").metadata.optimizer, "sgd");
  t.false(readFileSync(shell.at("other", "checkpoint_0002.safetensors")).includes("exp_avg"));
});
