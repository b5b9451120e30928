// --nproc-per-node auto: a rank for each memory node of the machine, on its cores. The nodes are made up, because most
// machines have one.

import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import test from "ava";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("numa");
test.after.always(() => shell.remove());

const network = "-a resnet10 --width 0.125 -b 16 --bn-groups 2 --image-size 33 --low-dim 16 --moco_queue 64".split(" ");
const run = ["train", ...network, "--num-class", "4", "--synthetic", "--epochs", "1", "--steps", "2"];

function digestOf(exp: string): string {
  const file = SafetensorsFile.open(shell.at(exp, "last.safetensors"));
  const digest = file.dataDigest();
  file.close();
  return digest;
}

test.before(() => {
  for (const [name, cpus] of [
    ["node0", "0"],
    ["node900", "1"], // no machine has its memory
    ["node901", "1000"], // this process may not use its core
  ] as const) {
    mkdirSync(shell.at("nodes", name), { recursive: true });
    writeFileSync(shell.at("nodes", name, "cpulist"), `${cpus}\n`);
  }
});
const withNodes = (...args: readonly string[]) =>
  shell.start("env", `MOPROC_NUMA_NODES=${shell.at("nodes")}`, process.execPath, shell.main, ...args);

const several = availableParallelism() > 1 ? test.serial : test.serial.skip;
several("two nodes have a rank each, with their own core and the bits of one rank", (t) => {
  const r = withNodes(...run, "--exp-dir", "auto", "--nproc-per-node", "auto");
  t.is(r.status, 0, r.err);
  const start = shell.metrics("auto").find((m) => m.event === "start");
  t.like(start, { cores: 1, workers: 1 });
  t.is(shell.metrics("auto").find((m) => m.event === "ranks")?.ranks, 2);
  t.regex(
    r.err,
    /^note: a rank's memory is not kept on memory node 900: .*; the system gives it what is near its cores$/m,
  );
  shell.done(...run, "--exp-dir", "one");
  t.is(digestOf("auto"), digestOf("one"));
});

test.serial("a machine with one node has one rank; other words are refused", (t) => {
  shell.done(...run, "--exp-dir", "usual", "--nproc-per-node", "auto");
  t.false(shell.metrics("usual").some((m) => m.event === "ranks"));
  const r = shell.moproc(...run, "--exp-dir", "odd", "--nproc-per-node", "all");
  t.is(r.status, 2);
  t.regex(r.err, /--nproc-per-node all: must be .*auto/);
});
