// Several GPUs: each rank is a process with its own emulated driver, and NCCL is a library with the same functions that
// uses shared memory. The results are compared with those of one GPU that computes all groups.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { byteSize, elements, type TensorType } from "../../compiler/ir/types.js";
import type { Plan, Program } from "../../compiler/lower/plan.js";
import { alignUp } from "../../compiler/util/math.js";
import { root } from "../../compiler/util/root.js";
import { Shell } from "../support/cli.js";
import { emulated, haveEmulator } from "../support/emulated.js";
import { ofTwo } from "../support/launched.js";

const run = haveEmulator ? test.serial : test.serial.skip; // the native tests are not built
const shell = new Shell("cuda_ranks");
test.after.always(() => shell.remove());

const nccl = join(root, "build", "native", "test", "emulator", "nccl", "libnccl_fake.so");
const model =
  "-a resnet10 --width 0.125 -b 8 --bn-groups 4 --image-size 16 --num-class 4 --low-dim 8 --moco_queue 32".split(" ");
const flags = (
  "--data data --epochs 3 --start_clean_epoch 2 --pseudo_th 0.4 --lr 0.01 --seed 3 -p 1 " +
  "--threads 1 --workers 1 --quiet"
).split(" ");

interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

const environment = (more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => ({
  ...process.env,
  MOPROC_NCCL: nccl,
  ...more,
});

function train(exp: string, more: readonly string[], env: Readonly<Record<string, string>> = {}): Ended {
  const r = spawnSync(shell.at("art", "train"), [...flags, "--exp-dir", exp, ...more], {
    cwd: shell.dir,
    encoding: "utf8",
    env: environment(env),
  });
  return { status: r.status, out: r.stdout, err: r.stderr };
}

const losses = (exp: string): number[] =>
  shell.metrics(exp).flatMap((m) => (m.event === "train" ? [m.loss as number] : []));
const digest = (exp: string, epoch = 2): string => {
  const file = readFileSync(shell.at(exp, `checkpoint_000${epoch}.safetensors`));
  return JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE(0))).toString()).__metadata__.sha256;
};

run("4 GPUs with --deterministic end with the bits of one, NCCL's own order comes close", (t) => {
  emulated("bf16"); // this process's driver is its children's
  shell.done(
    "compile",
    ...model,
    "--target",
    "cuda",
    "--target-arch",
    "emulator",
    "--precision",
    "bf16",
    "--ranks",
    "1,2,4",
    "--bucket-size",
    "0.25",
    "-o",
    "art",
  );
  shell.done("data", "sample", "--out", "data", "--classes", "4", "--images", "8", "--val", "6", "--size", "24");
  const one = train("one", []);
  t.is(one.status, 0, one.err);
  t.is(losses("one").length, 3); // a step of each phase
  const evaluations = (exp: string): unknown[] =>
    shell.metrics(exp).flatMap((m) => (m.event === "evaluate" ? [[m.images, m.correct1, m.correct5]] : []));
  const four = train("four", ["--nproc-per-node", "4", "--deterministic"], { MOPROC_EMULATOR: "seed=4,devices=4" });
  t.is(four.status, 0, four.err);
  t.deepEqual(losses("four"), losses("one"));
  t.deepEqual(evaluations("four"), evaluations("one"));
  for (const epoch of [0, 1, 2]) t.is(digest("four", epoch), digest("one", epoch));
  const free = train("free", ["--nproc-per-node", "4"], {
    MOPROC_EMULATOR: "seed=9,devices=4",
    MOPROC_FAKE_NCCL_LOG: shell.at("log"),
  });
  t.is(free.status, 0, free.err);
  t.not(digest("free"), digest("one"), "the order of NCCL's sums is not the tree's: somebody else adds up");
  losses("free").forEach((loss, i) =>
    t.true(Math.abs(loss / (losses("one")[i] as number) - 1) < 0.02, `step ${i}: ${loss}, one GPU ${losses("one")[i]}`),
  );
});

run("collectives come in the plan's order, gradients in buckets from the end of their arena", (t) => {
  const plan = JSON.parse(readFileSync(shell.at("art", "plan.json"), "utf8")) as Plan;
  const of = (name: string): string[] => {
    const p = plan.programs.find((q) => q.name === name && q.ranks === 4) as Program;
    const typeOf = (s: { readonly from: number }): TensorType => (plan.tensors[s.from] as Plan["tensors"][number]).type;
    const lines: string[] = [];
    let message: number[] = []; // bytes of neighbouring gathers, which go together
    for (const s of [...p.steps, { do: "await" } as const]) {
      if (s.do === "all_gather") message.push(byteSize(typeOf(s)));
      else if (message.length > 0) {
        lines.push(
          "all_gather " +
            `${message.length === 1 ? message[0] : message.reduce((sum, bytes) => sum + alignUp(bytes, 16), 0)}`,
        );
        message = [];
      }
      if (s.do === "all_reduce") lines.push(`all_reduce ${elements(typeOf(s).shape)}`);
    }
    return lines;
  };
  const states = plan.state
    .filter((s) => s.firstRank)
    .map((s) => (plan.tensors[s.tensor]?.type.shape[0] as number) * 4);
  const evaluation = states.map((bytes) => `broadcast ${bytes}`);
  const connects = ["all_reduce 64", "all_gather 64", "broadcast 256"]; // before the first capture
  const want = [...connects, ...["warmup", "proto", "clean"].flatMap((name) => [...of(name), ...evaluation])];
  for (const r of [0, 3])
    t.deepEqual(
      readFileSync(shell.at(`log.${r}`), "utf8")
        .trim()
        .split("\n"),
      want,
    );
  const { steps } = plan.programs.find((q) => q.name === "clean" && q.ranks === 4) as Program;
  const buckets = steps
    .filter((s) => s.do === "all_reduce")
    .map((s) => plan.tensors[(s as { from: number }).from] as Plan["tensors"][number])
    .filter((v) => v.arena === "grad");
  t.true(buckets.length >= 3, `${buckets.length}`);
  t.deepEqual(
    buckets.map((v) => v.offset),
    buckets.map((v) => v.offset).toSorted((a, b) => b - a),
  );
  const first = steps.findIndex((s) => s.do === "all_reduce" && plan.tensors[s.from]?.arena === "grad");
  t.true(
    steps.slice(first).some((s) => s.do === "launch"),
    "the first bucket is on its way before backward ends",
  );
});

run("the published flags start a process for each GPU, and 2 end with the bits of one, too", (t) => {
  const r = train(
    "each",
    [
      "--multiprocessing-distributed",
      "--world-size",
      "1",
      "--rank",
      "0",
      "--dist-url",
      "tcp://localhost:0",
      "--dist-backend",
      "nccl",
      "--deterministic",
    ],
    { MOPROC_EMULATOR: "seed=1,devices=2" },
  );
  t.is(r.status, 0, r.err);
  t.is(digest("each"), digest("one"));
});

run("a GPU rank that is killed or stopped: the other names it, its step and the collective", async (t) => {
  for (const [signal, says, timeout] of [
    ["SIGKILL", "has died", "60"],
    ["SIGSTOP", "rank 1 \\(process ", "8"],
  ] as const) {
    const port = 20000 + (process.pid % 20000);
    const ranks = [0, 1].map((r) => {
      const child = spawn(
        shell.at("art", "train"),
        [
          ...flags.filter((f, i) => f !== "--epochs" && flags[i - 1] !== "--epochs"),
          "--epochs",
          "500",
          "--exp-dir",
          signal,
          "--timeout",
          timeout,
        ],
        {
          cwd: shell.dir,
          stdio: ["ignore", "ignore", "pipe"],
          env: environment({
            ...ofTwo(r, port),
            MOPROC_EMULATOR: "seed=1,devices=2",
            MOPROC_FAKE_NCCL_TIMEOUT: timeout,
          }),
        },
      );
      let err = "";
      child.stderr?.setEncoding("utf8").on("data", (text: string) => (err += text));
      return {
        child,
        ended: new Promise<Ended>((done) => child.on("close", (status) => done({ status, out: "", err }))),
      };
    });
    for (let i = 0; i < 3000 && !existsSync(shell.at(signal, "last.safetensors")); i++)
      await new Promise((done) => setTimeout(done, 10));
    ranks[1]?.child.kill(signal);
    const { status, err } = await (ranks[0] as (typeof ranks)[number]).ended;
    ranks[1]?.child.kill("SIGKILL");
    await ranks[1]?.ended;
    t.is(status, 69, err);
    t.regex(err, new RegExp(`rank 0: .*${says}`));
    t.regex(err, /rank 1 \(process \d+ on [^)]+\).*in step \d+, .*this rank (is|waits) in step \d+, /);
  }
});

run("no NCCL, one that is too old, a library that is none, GPUs that are not there", (t) => {
  const two = (env: Readonly<Record<string, string>>, ...more: readonly string[]): Ended =>
    train("bad", ["--nproc-per-node", "2", "--timeout", "5", ...more], { MOPROC_EMULATOR: "devices=2", ...env });
  const missing = two({ MOPROC_NCCL: "/nowhere/libnccl.so" });
  t.is(missing.status, 2);
  t.regex(missing.err, /MOPROC_NCCL: cannot load \/nowhere\/libnccl\.so: /);
  const old = two({ MOPROC_FAKE_NCCL_VERSION: "2804" });
  t.is(old.status, 2);
  t.regex(
    old.err,
    /libnccl_fake\.so is NCCL 2\.8\.4; several GPUs need 2\.10\.0 or later: install a newer libnccl2, or /,
  );
  t.regex(old.err, /install a newer libnccl2, or name one with MOPROC_NCCL/);
  const other = two({ MOPROC_NCCL: process.env.MOPROC_CUDA_DRIVER as string });
  t.is(other.status, 2);
  t.regex(other.err, /libcuda_emulator\.so has no ncclGetVersion: it is not NCCL/);
  const one = two({ MOPROC_EMULATOR: "devices=1" });
  t.is(one.status, 2);
  t.regex(one.err, /--gpu 1: the driver shows 1 GPU/);
  const shm = two({}, "--dist-backend", "shm");
  t.is(shm.status, 2);
  t.regex(shm.err, /--dist-backend shm: GPUs use nccl/);
  const none = two({ MOPROC_NCCL: "" });
  t.is(none.status, 2);
  t.regex(none.err, /several GPUs need NVIDIA's NCCL, which this machine does not have .* Install libnccl2/);
});
