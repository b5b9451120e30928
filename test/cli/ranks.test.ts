// Several ranks as real processes: started by the binary itself, by another launcher, by Open MPI. Their results are
// compared bit by bit with those of one rank.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import test from "ava";
import { mpiPlugin } from "../../compiler/emit/native.js";
import { isFirstRank, rankCount } from "../../tools/cli/ranks.js";
import { Shell } from "../support/cli.js";
import { freePort, launchedRank, type Rank } from "../support/launched.js";

const shell = new Shell("ranks");
test.after.always(() => shell.remove());

const network = [
  ..."-a resnet10 --width 0.125 -b 16 --bn-groups 4 --image-size 32".split(" "),
  ..."--num-class 4 --low-dim 16 --moco_queue 64".split(" "),
];
const forEpochs = (epochs: number): string[] =>
  `--data data --epochs ${epochs} --start_clean_epoch 2 --pseudo_th 0.4 --threads 1 --workers 1 --quiet`.split(" ");
const run = forEpochs(3);
const endless = forEpochs(500);

test.before(() => {
  shell.done("compile", ...network, "--ranks", "1,2,4", "-o", "art");
  shell.done("data", "sample", "--out", "data", "--classes", "4", "--images", "160", "--val", "30", "--size", "40");
  const alone = train("one", "--truth", "data/truth.json");
  if (alone.status !== 0) throw new Error(alone.stderr);
});

const env = (more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => ({ ...process.env, ...more });

function train(
  exp: string,
  ...flags: readonly string[]
): ReturnType<typeof spawnSync> & { stderr: string; stdout: string } {
  return spawnSync(shell.at("art", "train"), [...run, "--exp-dir", exp, ...flags], {
    cwd: shell.dir,
    encoding: "utf8",
    env: env(),
  }) as never;
}

const rankOf = (rank: number, port: number, flags: readonly string[]): Rank =>
  launchedRank(rank, port, [shell.at("art", "train"), ...flags], shell.dir);

/** The tensors of a checkpoint, and what it says of the run, as text. */
function contents(exp: string, epoch = 2): string {
  const file = readFileSync(shell.at(exp, `checkpoint_000${epoch}.safetensors`));
  const header = JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE(0))).toString()) as {
    readonly __metadata__: Readonly<Record<string, string>>;
  };
  const { sha256, meters, samples, best_top1 } = header.__metadata__;
  return JSON.stringify({ sha256, meters, samples, best_top1 });
}

for (const ranks of [2, 4])
  test.serial(`${ranks} ranks end with the bits of one`, (t) => {
    const r = train(`ranks${ranks}`, "--nproc-per-node", `${ranks}`, "--truth", "data/truth.json");
    t.is(r.status, 0, r.stderr);
    for (const epoch of [0, 1, 2]) t.is(contents(`ranks${ranks}`, epoch), contents("one", epoch));
    const facts = (exp: string): unknown =>
      shell
        .metrics(exp)
        .filter((m) => m.event !== "start" && m.event !== "memory" && m.event !== "ranks" && m.event !== "checkpoint")
        .map(({ event, epoch, loss, acc_cls_avg, correct1, corrected, dropped, wrong_labels_corrected }) => [
          event,
          epoch,
          loss,
          acc_cls_avg,
          correct1,
          corrected,
          dropped,
          wrong_labels_corrected,
        ]);
    t.deepEqual(facts(`ranks${ranks}`), facts("one"));
  });

interface Evaluations {
  readonly sets: readonly {
    readonly evaluations: readonly {
      readonly of_class: readonly number[];
      readonly right1: readonly number[];
      readonly confused: readonly (readonly [of: number, seen: number, images: number])[];
    }[];
  }[];
}
test.before(() => void shell.done("compile", "--task", "classifier", ...network, "--ranks", "1,2,4", "-o", "judge"));
for (const ranks of [2, 4])
  test.serial(`${ranks} ranks count right and confused images of each class as one process does`, (t) => {
    const of = (exp: string): Evaluations => {
      const { run: _, ...rest } = JSON.parse(shell.text(exp, "evaluation.json")) as Evaluations & { run: string };
      return rest;
    };
    const [alone, shared] = [of("one"), of(`ranks${ranks}`)];
    t.deepEqual(shared, alone);
    const last = alone.sets[0]?.evaluations.at(-1);
    const sum = (v: readonly number[] | undefined): number => (v ?? []).reduce((a, x) => a + x, 0);
    const wrong = sum(last?.confused.map(([, , n]) => n));
    t.true(wrong > 0 && sum(last?.right1) > 0, "something is right, and something is confused");
    t.is(sum(last?.right1) + wrong, sum(last?.of_class));
    const evaluated = (name: string, ...flags: readonly string[]): string => {
      const from = ["evaluate", "--resume", "one/checkpoint_0002.safetensors", "--data", "data", "--csv", name];
      const r = spawnSync(shell.at("judge", "train"), [...from, ...flags], {
        cwd: shell.dir,
        encoding: "utf8",
        env: env(),
      });
      t.is(r.status, 0, r.stderr);
      return shell.text(name);
    };
    const table = evaluated(`${ranks} as one.csv`);
    t.is(table.trim().split("\n").length, 5);
    t.is(evaluated(`${ranks} shared.csv`, "--nproc-per-node", `${ranks}`), table);
  });

test.serial(
  "steps that are not finite: ranks agree, write down all images of the batch, and end after --max-skips",
  (t) => {
    const skipped = (exp: string, ...flags: readonly string[]): string => {
      const r = train(exp, "--lr", "1e38", "--wd", "1e38", "--max-skips", "3", ...flags);
      t.is(r.status, 3, r.stderr);
      t.regex(r.stderr, /3 steps in a row were not finite \(--max-skips\)/);
      t.deepEqual(
        readdirSync(shell.at(exp)).filter((f) => f.startsWith("checkpoint_")),
        [],
        "nothing that is not finite replaces a checkpoint",
      );
      return readFileSync(shell.at(exp, "not_finite.jsonl"), "utf8");
    };
    const one = skipped("skips-1")
      .trim()
      .split("\n")
      .map((l) => JSON.parse(l) as { step: number; files: string[] });
    t.is(one.length, 3);
    one.forEach((l) => t.is(new Set(l.files).size, 16));
    const two = skipped("skips-2", "--nproc-per-node", "2")
      .trim()
      .split("\n")
      .map((l) => JSON.parse(l) as { step: number; files: string[] });
    t.deepEqual(
      two.map(({ step, files }) => [step, files]),
      one.map(({ step, files }) => [step, files]),
    );
  },
);

test.serial("key images that are sent, not loaded, make no difference", (t) => {
  shell.done("compile", ...network, "--ranks", "2", "--shuffle-bn", "exchange", "-o", "exchange");
  const r = spawnSync(shell.at("exchange", "train"), [...run, "--exp-dir", "sent", "--nproc-per-node", "2"], {
    cwd: shell.dir,
    encoding: "utf8",
  });
  t.is(r.status, 0, r.stderr);
  t.is(contents("sent"), contents("one"));
});

test.serial("ranks that torchrun's variables make", async (t) => {
  const port = freePort();
  const ranks = [0, 1].map((r) => rankOf(r, port, [...run, "--exp-dir", "torchrun", "--dist-url", "env://"]));
  for (const { ended } of ranks) t.is((await ended).status, 0, (await ended).err);
  t.is(contents("torchrun"), contents("one"));
});

const haveMpi = spawnSync("mpirun", ["--version"]).status === 0 && mpiPlugin() !== undefined;
// no Open MPI on this machine: what its launcher sets is tested in comm_test
const withMpi = haveMpi ? test.serial : test.serial.skip;
const mpirun = (ranks: number, ...flags: readonly string[]): string[] => [
  "--allow-run-as-root",
  "--oversubscribe",
  "--bind-to",
  "none",
  "-n",
  `${ranks}`,
  shell.at("art", "train"),
  ...flags,
  "--dist-url",
  `tcp://127.0.0.1:${freePort()}`,
];

for (const [ranks, backend] of [
  [2, "shm"],
  [2, "mpi"],
  [4, "mpi"],
] as const)
  withMpi(`${ranks} ranks that mpirun has started, over ${backend}, end with the bits of one`, (t) => {
    const exp = `mpirun-${backend}-${ranks}`;
    const r = spawnSync("mpirun", mpirun(ranks, ...run, "--exp-dir", exp, "--dist-backend", backend), {
      cwd: shell.dir,
      encoding: "utf8",
      timeout: 120_000,
    });
    t.is(r.status, 0, r.stderr);
    t.is(contents(exp), contents("one"));
  });

withMpi(
  "a rank over MPI that stops: the others name it and the collective; SIGUSR1 leaves a checkpoint and 75",
  async (t) => {
    for (const signal of ["SIGSTOP", "SIGUSR1"] as const) {
      const child = spawn(
        "mpirun",
        mpirun(
          2,
          ...endless,
          "--exp-dir",
          `mpi-${signal}`,
          "--dist-backend",
          "mpi",
          "--timeout",
          signal === "SIGSTOP" ? "2" : "60",
        ),
        { cwd: shell.dir, stdio: ["ignore", "ignore", "pipe"] },
      );
      let err = "";
      child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
      const ended = new Promise<number | null>((done) => child.on("close", done));
      for (let i = 0; i < 2000 && !existsSync(shell.at(`mpi-${signal}`, "last.safetensors")); i++)
        await new Promise((done) => setTimeout(done, 10));
      await new Promise((done) => setTimeout(done, 1200)); // ranks tell each other twice a second where they are
      const rank = spawnSync("pgrep", ["-f", `art/train.*mpi-${signal} `], { encoding: "utf8" })
        .stdout.split("\n")
        .map(Number)
        .filter((p) => p > 0 && p !== child.pid);
      process.kill(rank.at(-1) as number, signal);
      t.is(await ended, signal === "SIGSTOP" ? 69 : 75, err);
      if (signal === "SIGSTOP")
        for (const part of [
          /rank \d: rank \d \(process \d+ on [^)]+\), last seen in step \d+, .*has been missing for 2 s \(/,
          /\(--timeout\); this rank waits in step \d+, (all_\w+|broadcast) of /,
        ])
          t.regex(err, part);
    }
  },
);

withMpi("mpi without mpirun", async (t) => {
  const port = freePort();
  const ranks = [0, 1].map((r) => rankOf(r, port, [...run, "--exp-dir", "nompi", "--dist-backend", "mpi"]));
  for (const { ended } of ranks) {
    const { status, err } = await ended;
    t.is(status, 2, err);
    t.regex(err, /MPI has 1 ranks and calls this 0, the launcher 2 and \d; start the ranks with mpirun/);
  }
});

test.serial("ranks that disagree refuse before the first step, with both values", async (t) => {
  for (const [flags, says] of [
    [["--seed", "2"], /the ranks disagree about the seed: rank 0 has 1, rank 1 has 2/],
    [["--seed", "1", "--lr", "0.2"], /disagree about the --lr: rank 0 has 0\.1\d*, rank 1 has 0\.2\d*/],
    [["--seed", "1", "--decay-rate", "0.3"], /disagree about the --decay-rate: rank 0 has 0\.1, rank 1 has 0\.3/],
    [
      ["--seed", "1", "--data", "other"],
      /disagree about the training list: rank 0 has [0-9a-f]{16}, rank 1 has [0-9a-f]{16}/,
    ],
  ] as const) {
    if (flags.includes("other" as never) && !existsSync(shell.at("other")))
      shell.done(
        "data",
        "sample",
        "--out",
        "other",
        "--classes",
        "4",
        "--images",
        "160",
        "--val",
        "30",
        "--size",
        "40",
        "--seed",
        "2",
      );
    const port = freePort();
    const own = flags.includes("other" as never) ? run.slice(2) : run;
    const other = rankOf(1, port, [...own, ...flags, "--exp-dir", "disagree"]);
    const first = rankOf(0, port, [...run, "--seed", "1", "--exp-dir", "disagree"]);
    for (const { ended } of [first, other]) {
      const { status, err } = await ended;
      t.is(status, 2, err);
      t.regex(err, says);
    }
    t.false(existsSync(shell.at("disagree", "metrics.jsonl")));
  }
});

test.serial("a rank that finds nobody, and a number of ranks that the artefact does not hold", async (t) => {
  const lonely = await rankOf(1, freePort(), [...run, "--exp-dir", "lonely", "--timeout", "0.5"]).ended;
  t.is(lonely.status, 69);
  t.regex(lonely.err, /rank 1: tcp:\/\/127\.0\.0\.1:\d+: rank 0 did not answer within 0\.5 s .*--dist-url/);
  const three = train("three", "--nproc-per-node", "3");
  t.is(three.status, 2);
  t.regex(three.stderr, /holds programs for 1,2,4 ranks, this run has 3; compile it with --ranks 1,2,4,3/);
});

/** Kills the second of two ranks; returns its process and how the first one ends. */
async function killed(dir: string): Promise<{ pid: number | undefined; status: number | null; err: string }> {
  const port = freePort();
  const [first, second] = [0, 1].map((r) => rankOf(r, port, [...endless, "--exp-dir", dir])) as [Rank, Rank];
  for (let i = 0; i < 6000 && !existsSync(shell.at(dir, "last.safetensors")); i++)
    await new Promise((done) => setTimeout(done, 10));
  await new Promise((done) => setTimeout(done, 1500)); // three of the periods in which ranks report where they are
  second.child.kill("SIGKILL");
  return { pid: second.child.pid, ...(await first.ended) };
}

test.serial("a rank that is killed: the other names it, its step and what it waits for", async (t) => {
  let { pid, status, err } = await killed("killed");
  // A rank whose last report was between the beginning of a step and its first collective has nothing to name.
  for (let i = 0; i < 3 && / has died in step \d+, no collective yet/.test(err); i++)
    ({ pid, status, err } = await killed(`killed${i}`));
  t.is(status, 69);
  const collective = "(all_\\w+|broadcast)"; // of a step, or of the end of an epoch
  t.regex(
    err,
    new RegExp(
      `rank 0: rank 1 \\(process ${pid} on .*\\) has died in step \\d+, ${collective} of .*; this ` +
        `rank waits in step \\d+, ${collective} of`,
    ),
  );
});

test.serial("moproc train builds an artefact for as many ranks as it starts", (t) => {
  const r = shell.moproc(
    "train",
    ...network.filter((f, i) => f !== "--bn-groups" && network[i - 1] !== "--bn-groups"),
    "--synthetic",
    "--steps",
    "1",
    "--nproc-per-node",
    "2",
    "--threads",
    "1",
  );
  t.is(r.status, 0, r.err);
  t.regex(r.out, /step 0 warmup/);
});

test("how many ranks a launcher has started, and which of them this is", (t) => {
  t.is(rankCount({}, {}), 1);
  t.is(rankCount({ nprocPerNode: "4", worldSize: "2" }, {}), 8);
  t.is(rankCount({}, { RANK: "1", WORLD_SIZE: "6", LOCAL_RANK: "1" }), 6);
  t.is(rankCount({ nprocPerNode: "2" }, { RANK: "1", WORLD_SIZE: "3", MASTER_ADDR: "m" }), 6);
  t.is(
    rankCount({ multiprocessingDistributed: true, target: "cuda", worldSize: "2" }, {}, () => 4),
    8,
  );
  t.is(
    rankCount({ multiprocessingDistributed: true, target: "cuda", nprocPerNode: "3" }, {}, () => 4),
    3,
  );
  t.is(
    rankCount({ multiprocessingDistributed: true, target: "cpu" }, {}, () => 4),
    1,
  );
  t.is(rankCount({}, { OMPI_COMM_WORLD_RANK: "0", OMPI_COMM_WORLD_SIZE: "4" }), 4);
  t.is(rankCount({}, { SLURM_STEP_ID: "0", SLURM_PROCID: "3", SLURM_NTASKS: "16" }), 16);
  t.is(rankCount({}, { SLURM_PROCID: "0", SLURM_NTASKS: "16" }), 1);
  t.true(isFirstRank({}));
  t.false(isFirstRank({ SLURM_STEP_ID: "0", SLURM_PROCID: "3", SLURM_NTASKS: "16" }));
});

test.serial("doctor explains what a launcher has set", (t) => {
  const doctor = (variables: Readonly<Record<string, string>>): string =>
    spawnSync(process.execPath, [shell.main, "doctor"], { encoding: "utf8", env: env(variables) }).stdout;
  t.regex(doctor({}), /ok +launcher +one process: no launcher has set/);
  const slurm = doctor({
    SLURM_STEP_ID: "0",
    SLURM_PROCID: "9",
    SLURM_LOCALID: "1",
    SLURM_NTASKS: "16",
    SLURM_JOB_NUM_NODES: "2",
    SLURM_JOB_NODELIST: "gpu-[07-08]",
  });
  t.regex(slurm, /launcher +Slurm: rank 9 of 16, 1 of 8 on this machine; rank 0 is at gpu-07, port 10001/);
  t.regex(slurm, /SLURM_JOB_NODELIST=gpu-\[07-08\]: the machines, of which the first has rank 0/);
  t.regex(
    doctor({ RANK: "2", WORLD_SIZE: "2", LOCAL_RANK: "0", MASTER_ADDR: "a", MASTER_PORT: "1" }),
    /missing +launcher +rank 2 of 2: ranks are counted from 0 to 1/,
  );
});
