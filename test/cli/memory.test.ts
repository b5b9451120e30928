// Training with --memory low by the command line: the same bits as without it, for threads, ranks and a run that
// changes the flag when it continues.

import test from "ava";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("memory");
test.after.always(() => shell.remove());

const network = "-a resnet10 --width 0.125 -b 16 --bn-groups 2 --image-size 33 --low-dim 16 --moco_queue 64".split(" ");
const run = "--data data --start_clean_epoch 1 --pseudo_th 0.4 --lr 0.02 --quiet --epochs 2".split(" ");
const low = ["--memory", "low"];

/** The digest of all tensors of the last checkpoint. */
function digestOf(exp: string): string {
  const file = SafetensorsFile.open(shell.at(exp, "checkpoint_0001.safetensors"));
  const digest = file.dataDigest();
  file.close();
  return digest;
}
const train = (exp: string, ...flags: readonly string[]): string =>
  shell.done("train", ...network, ...run, "--exp-dir", exp, ...flags);

test.before(() => {
  shell.done(..."data sample --out data --classes 4 --images 128 --val 32 --size 40".split(" "));
  train("normal");
});

for (const [what, flags] of [
  ["one thread", ["--threads", "1"]],
  ["two threads", ["--threads", "2"]],
  ["two ranks", ["--nproc-per-node", "2"]],
] as const)
  test.serial(what, (t) => {
    const exp = what.replace(" ", "_");
    train(exp, ...low, ...flags);
    t.is(digestOf(exp), digestOf("normal"));
  });

test.serial("a run that stopped continues with the flag, and another one without it", (t) => {
  for (const [exp, first, second] of [
    ["begun_normal", [], low],
    ["begun_low", low, []],
  ] as const) {
    train(exp, ...first, "--steps", "5");
    train(exp, ...second, "--resume", "auto");
    t.is(digestOf(exp), digestOf("normal"), exp);
  }
});

test("the artefact needs less memory and explains what is made again; GPUs and other words are refused", (t) => {
  const compile = (...flags: readonly string[]) =>
    shell.moproc("compile", ...network, "--num-class", "4", ...flags, "-o", `${flags[1]}_built`);
  const work = (out: string): number => Number(/work (\d+\.\d+) MB/.exec(out)?.[1]);
  const [normal, less] = [compile("--memory", "normal"), compile(...low)];
  t.true(work(less.out) < 0.9 * work(normal.out), `${normal.out}${less.out}`);
  t.regex(
    shell.text("low_built", "explain.txt"),
    /values are made again for the backward pass, in about [\d.]+ % of the step/,
  );
  t.notRegex(shell.text("normal_built", "explain.txt"), /made again/);
  const gpu = compile(...low, "--target", "cuda");
  t.is(gpu.status, 2);
  t.regex(gpu.err, /--memory low: for --target cpu; it has not been tried on GPUs/);
  t.is(compile("--memory", "little").status, 2);
});
