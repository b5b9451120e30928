// The commands of docs/ranks.md and docs/launch that need only one machine, run exactly as printed: on a tiny network,
// with the test's own data and ports. All of them must end with the same bits. srun is a stand-in.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import test from "ava";
import { parseAllDocuments } from "yaml";
import { Shell } from "../support/cli.js";
import { commands, exitCodes, launchFile, section } from "../support/launch_docs.js";
import type { Job } from "../support/manifests.js";

const shell = new Shell("launch commands");
test.after.always(() => shell.remove());

const epochs = 2;
const tiny = "-a resnet10 --width 0.125 -b 16 --image-size 32 --num-class 4 --low-dim 16 --moco_queue 64";
const codes = exitCodes();

/** A port that was free just now, of those that Slurm's job numbers make. */
function freePort(): number {
  const script =
    "const n=require('net');const t=()=>{const " +
    "p=10001+Math.floor(Math.random()*20000);n.createServer().once('error',t).listen(p,function(){" +
    "console.log(p);this.close()})};t()";
  return Number(spawnSync(process.execPath, ["-e", script], { encoding: "utf8" }).stdout);
}

/** A printed command with the test's network, data and port, and few epochs. */
const adapted = (line: string, port: number): string => {
  const own = line
    .replaceAll("/data/webvision", "data")
    .replace(/tcp:\/\/[\w.-]+:10001/, `tcp://localhost:${port}`)
    .replace(/ --(threads|workers) \d+/g, "")
    .replace("--save-every 10m", "--save-every 4")
    .replace(/ --timeout[ =]\d+/, "");
  return `${own} --epochs ${epochs} --threads 1 --workers 1 --timeout 60 --quiet`;
};

interface Ran {
  readonly status: number | null;
  readonly err: string;
}
function ended(child: ChildProcess): Promise<Ran> {
  let err = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (err += text));
  return new Promise((done) => child.on("close", (status) => done({ status, err })));
}
const start = (line: string, more: NodeJS.ProcessEnv = {}): ChildProcess =>
  spawn("sh", ["-c", `exec ${line}`], {
    cwd: shell.dir,
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...more },
  });

/** What the weights of a run's last checkpoint hash to. */
function bits(exp: string): string {
  const file = readFileSync(shell.at(exp, `checkpoint_000${epochs - 1}.safetensors`));
  return (
    JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE(0))).toString()) as { __metadata__: { sha256: string } }
  ).__metadata__.sha256;
}

const expDir = (line: string): string => /--exp-dir[ =](\S+)/.exec(line)?.[1] as string;

test.before(() => {
  const [compile = ""] = commands(section(""));
  const words = compile
    .replace("-a resnet50 -b 256", tiny)
    .replace(/\s+#.*/, "")
    .split(/\s+/);
  shell.done(...words.slice(2));
  shell.done("data", "sample", "--out", "data", "--classes", "4", "--images", "160", "--val", "30", "--size", "40");
  const one = spawnSync("sh", ["-c", adapted(commands(section("One process"))[0] as string, 0)], {
    cwd: shell.dir,
    encoding: "utf8",
  });
  if (one.status !== 0) throw new Error(one.stderr);
});

for (const [title, count] of [
  ["One machine", 2],
  ["What survives", 1],
] as const)
  test.serial(`the commands of "${title}" end with the bits of one process`, async (t) => {
    const lines = commands(section(title));
    t.is(lines.length, count);
    for (const line of lines) {
      const { status, err } = await ended(start(adapted(line, freePort())));
      t.is(status, 0, `${line}: ${err}`);
      t.is(bits(expDir(line)), bits("runs/one"), line);
    }
  });

/**
 * Runs lines side by side, as on several machines, and compares. CPU ranks of one machine share memory, whatever they
 * call it.
 */
async function together(
  t: { is: (a: unknown, b: unknown, m?: string) => void },
  lines: readonly string[],
): Promise<void> {
  const port = freePort();
  const all = await Promise.all(lines.map((l) => ended(start(`${adapted(l, port)} --dist-backend shm`))));
  for (const { status, err } of all) t.is(status, 0, err);
  t.is(bits(expDir(lines[0] as string)), bits("runs/one"));
}

test.serial("two machines with our launcher, both of them this one", async (t) => {
  const lines = commands(section("Several machines, with our launcher"));
  t.is(lines.length, 2);
  await together(
    t,
    lines.map((l) => l.replace("out/r50-cuda", "out/r50").replace("--nproc-per-node 8", "--nproc-per-node 2")),
  );
});

test.serial("the pods of the Kubernetes Job, both of them on this machine", async (t) => {
  const job = parseAllDocuments(launchFile("kubernetes-job.yaml")).map((d) => d.toJS() as Job)[1] as Job;
  const args = (job.spec.template.spec.containers[0]?.args ?? [])
    .map((a) => a.replace("=8", "=2").replace("=/runs", "=runs").replace("=10m", "=4"))
    .join(" ");
  await together(
    t,
    Array.from({ length: job.spec.completions }, (_, k) =>
      `out/r50/train ${args.replace("$(JOB_COMPLETION_INDEX)", `${k}`)}`.replace("runs/v1", "runs/pods"),
    ),
  );
});

/**
 * Starts $SLURM_NTASKS tasks with Slurm's variables, passes signals on, and returns the highest status, as srun does.
 */
const srun = `#!/bin/bash
while [[ $1 == --* ]]; do shift; done
tasks=()
for ((i = 0; i < SLURM_NTASKS; i++)); do SLURM_STEP_ID=0 SLURM_PROCID=$i SLURM_LOCALID=$i "$@" & tasks+=($!); done
seen=0
for s in USR1 TERM; do trap "seen=\\$((seen + 1)); kill -$s \\"\\\${tasks[@]}\\"" $s; done
highest=0
for task in "\${tasks[@]}"; do
  while before=$seen; wait "$task"; status=$?; [ $seen != $before ]; do :; done
  [ $status -gt $highest ] && highest=$status
done
exit $highest
`;

test.serial(
  "the batch script: SIGUSR1 ends in 75 and a requeue, the next start goes on, refused input is not tried again",
  async (t) => {
    mkdirSync(shell.at("bin"));
    for (const [name, text] of [
      ["srun", srun],
      ["scontrol", '#!/bin/sh\necho "$@" >> scontrol.log\n'],
    ] as const) {
      writeFileSync(shell.at("bin", name), text);
      chmodSync(shell.at("bin", name), 0o755);
    }
    const script = (file: string, data: string, last: number): string => {
      const own = launchFile("slurm.sbatch")
        .replace("out/r50-cuda", "out/r50")
        .replace("/data/webvision", data)
        .replace("10m", "3")
        .replace("--timeout 600", `--timeout 60 --epochs ${last} --threads 1 --quiet --keep-epochs 3`);
      t.true(own.includes(`--epochs ${last} `));
      writeFileSync(shell.at(file), own);
      return `bash ${file}`;
    };
    const job = freePort() - 10001;
    const variables = {
      PATH: `${shell.at("bin")}:${process.env.PATH}`,
      SLURM_JOB_ID: `${job}`,
      SLURM_JOB_NAME: "mopro",
      SLURM_NTASKS: "2",
      SLURM_JOB_NUM_NODES: "1",
      SLURM_JOB_NODELIST: "localhost",
      SLURM_CPUS_PER_TASK: "1",
    };
    const first = start(script("job.sh", "data", 300), variables);
    const end = ended(first);
    for (let i = 0; i < 3000 && !existsSync(shell.at("runs", "mopro", "last.safetensors")); i++)
      await new Promise((done) => setTimeout(done, 10));
    first.kill("SIGUSR1"); // B: the script alone
    const stopped = await end;
    t.is(stopped.status, codes.kStopped as number, stopped.err);
    t.is(shell.text("scontrol.log"), `requeue ${job}\n`);
    const { epoch } = shell.metrics("runs/mopro").at(-1) as { epoch: number };
    const again = await ended(start(script("job.sh", "data", epoch + 2), variables));
    t.is(again.status, 0, again.err);
    const records = shell.metrics("runs/mopro");
    const behind = records
      .slice(records.findIndex((m) => m.event === "stopped") + 1)
      .filter((m) => m.epoch !== undefined);
    t.true(
      behind.length > 0 && behind.every((m) => (m.epoch as number) >= epoch),
      `it began anew: ${JSON.stringify(behind[0])}`,
    );
    t.true(existsSync(shell.at("runs", "mopro", `checkpoint_${String(epoch + 1).padStart(4, "0")}.safetensors`)));
    const refused = await ended(start(script("bad.sh", "nowhere", 1), variables));
    t.is(refused.status, 2, refused.err);
    t.is(shell.text("scontrol.log"), `requeue ${job}\n`);
  },
);
