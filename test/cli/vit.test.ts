// A vision transformer by the command line: MoPro and the classifier are trained, continued with the same bits, by one
// rank and by two, evaluated, exported, and begun with PyTorch's weights.

import { spawnSync } from "node:child_process";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { Shell } from "../support/cli.js";
import { noPythonWith, pythonWith } from "../support/python.js";

const shell = new Shell("vit");
test.after.always(() => shell.remove());

const model = "-a vit_s_16 --width 0.03125 --image-size 32 --num-class 4 -b 16 --bn-groups 2".split(" ");
const mopro = [...model, "--low-dim", "8", "--moco_queue", "32"];
const run = "--epochs 2 --lr 0.01 --quiet --data data".split(" ");

/** All tensors of a checkpoint. */
function tensors(...path: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const file = SafetensorsFile.open(shell.at(...path));
  const all = new Map(
    [...file.tensors].filter(([, e]) => e.dtype === "F32").map(([name]) => [name, [...file.floats(name)]]),
  );
  file.close();
  return all;
}

test.before(() => {
  shell.done(..."data sample --out data --classes 4 --images 64 --val 16 --size 40".split(" "));
  shell.done("train", ...mopro, ...run, "--exp-dir", "whole");
  shell.done("train", "--task", "classifier", ...model, ...run, "--exp-dir", "plain");
});

const last = "checkpoint_0001.safetensors";

test("a run that stopped continues with the same bits", (t) => {
  shell.done("train", ...mopro, ...run, "--exp-dir", "half", "--steps", "6");
  shell.done("train", ...mopro, ...run, "--exp-dir", "half", "--resume", "half/last.safetensors");
  const [want, got] = [tensors("whole", last), tensors("half", last)];
  t.true(want.has("encoder_q.blocks.11.attn.qkv.weight") && want.has("encoder_k.pos_embed"));
  t.deepEqual(got, want);
  const [q, k] = ["encoder_q", "encoder_k"].map((e) => want.get(`${e}.blocks.0.mlp.fc1.weight`) as readonly number[]);
  t.notDeepEqual(q, k);
});

test("two ranks train the same network, to the bit", (t) => {
  shell.done("compile", ...mopro, "--ranks", "1,2", "-o", "artefact");
  const r = shell.start(shell.at("artefact", "train"), ...run, "--exp-dir", "two", "--nproc-per-node", "2");
  t.is(r.status, 0, r.err + r.out);
  t.deepEqual(tensors("two", last), tensors("whole", last));
});

for (const [what, exp, head] of [
  ["MoPro", "whole", "both"],
  ["a classifier", "plain", "classifier"],
] as const)
  test(`${what} is evaluated and exported; ONNX Runtime agrees for several batches`, (t) => {
    const said = shell.done("evaluate", "--data", "data", "--resume", `${exp}/${last}`);
    t.regex(said, /of 16 images/);
    const out = shell.done("export", "--resume", `${exp}/${last}`, "-o", `${exp}.onnx`, "--head", head, "--verify");
    t.regex(out, /image\s+f32\[batch, 3, 32, 32\]/);
    t.regex(out, /batches of 1, 3, 4/);
  });

test("images that are no multiple of a patch, and other networks' flags, are refused", (t) => {
  const size = shell.moproc("train", "-a", "vit_b_16", "--image-size", "40", "--synthetic", "--steps", "1");
  t.is(size.status, 2);
  t.regex(size.err, /40 x 40 pixels do not fall into patches of 16 x 16; choose an --image-size .* such as 48/);
  const other = shell.moproc("export", "--resume", `plain/${last}`, "-a", "resnet50", "-o", "x.onnx");
  t.is(other.status, 2);
  t.regex(other.err, /resnet50/);
  const gpu = shell.moproc("compile", ...mopro, "--target", "cuda", "--target-arch", "sm_80", "-o", "gpu");
  t.is(gpu.status, 2);
  t.regex(gpu.err, /conv in encoder_q\.patch_embed\.proj: .* on CUDA, channels must be multiples of 8/);
});

const python = pythonWith("torch");
if (python === undefined) test.skip(`weights of PyTorch: ${noPythonWith("torch")}`, (t) => t.pass());
else
  test("a network of PyTorch with timm's names is read, with the same weights", (t) => {
    const script = `
import sys, torch
sys.path.insert(0, sys.argv[1])
from vit_check import build
torch.manual_seed(1)
net = build(12, 5, 12, 6)
head = {"head.weight": torch.randn(4, 12), "head.bias": torch.zeros(4)}
torch.save({**net.state_dict(), **head}, "timm.pth")
print(net.blocks[3].attn.qkv.weight.double().square().sum().item(), head["head.weight"].double().square().sum().item())
`;
    const r = spawnSync(python, ["-c", script, `${root}/test/models`], { cwd: shell.dir, encoding: "utf8" });
    t.is(r.status, 0, r.stderr);
    shell.done("convert", "timm.pth", "timm.safetensors", "-a", "vit_s_16");
    const read = tensors("timm.safetensors");
    const squares = ["blocks.3.attn.qkv", "classifier"]
      .map((name) => read.get(`encoder_q.${name}.weight`) ?? [])
      .map((w) => w.reduce((s, v) => s + v * v, 0));
    for (const [i, want] of r.stdout.trim().split(" ").map(Number).entries())
      t.true(Math.abs((squares[i] as number) - want) < 1e-9 * want);
    const known = ["-a", "vit_s_16", "--image-size", "32"];
    shell.done("export", "--resume", "timm.pth", ...known, "-o", "timm.onnx", "--verify");
    shell.done("evaluate", "--data", "data", "--resume", "timm.pth", ...known, "--width", "0.03125");
  });
