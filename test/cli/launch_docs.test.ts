// docs/ranks.md and the files in docs/launch against the things that they mention: the training binary's flags, the
// variables and exit codes in the sources, doctor's messages, and the formats of Slurm and Kubernetes.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { parseAllDocuments } from "yaml";
import { root } from "../../compiler/util/root.js";
import { Shell } from "../support/cli.js";
import {
  allVariables,
  blocks,
  commands,
  exitCodes,
  flagsOf,
  launchFile,
  page,
  quoted,
  rows,
  section,
  trainArguments,
  trainFlags,
  variablesOf,
  wrongArguments,
} from "../support/launch_docs.js";
import { type Container, type Job, type Pod, wrongFields, wrongPod, wrongPolicy } from "../support/manifests.js";

const shell = new Shell("launch docs");
test.after.always(() => shell.remove());

const codes = exitCodes();
const batchFiles = ["slurm.sbatch", "slurm-cpu.sbatch"];
const joined = (file: string): string[] =>
  launchFile(file)
    .replaceAll(/\\\n\s*/g, "")
    .split("\n");

test(
  "every flag of the training binary that a command or a table names is in its help, with a value where it " +
    "takes one",
  (t) => {
    const known = trainFlags();
    t.true(known.size > 50);
    const lines = [...commands(page), ...batchFiles.flatMap(joined).filter((l) => l.startsWith("srun"))]
      .map(trainArguments)
      .filter((w) => w !== undefined);
    t.true(lines.length > 10, `${lines.length}`);
    for (const words of lines) t.deepEqual(wrongArguments(words, known), [], words.join(" "));
    const named = [...rows(page, "flag"), ...rows(page, "started by"), ...rows(page, "`--dist-backend`")]
      .flat()
      .flatMap(quoted)
      .filter((w) => w.startsWith("--"));
    t.true(named.length > 8);
    for (const n of named)
      t.true(known.has(n.split(" ")[0] as string) || known.has(n.split(" ")[0]?.replace("=", "") as string), n);
  },
);

test("compile's flags are in its help", (t) => {
  const known = flagsOf(shell.done("compile", "--help"));
  const lines = commands(page).filter((l) => l.startsWith("npx moproc compile"));
  t.is(lines.length, 2);
  for (const l of lines)
    t.deepEqual(
      wrongArguments(
        l
          .replace(/\s+#.*/, "")
          .split(/\s+/)
          .slice(3),
        known,
      ),
      [],
      l,
    );
});

test("what is started has as many ranks as its binary holds programs for, and ranks hold whole groups", (t) => {
  const compiled = commands(page).filter((l) => l.startsWith("npx moproc compile"));
  const value = (text: string, name: string): number => Number(new RegExp(`${name}[ =](\\d+)`).exec(text)?.[1] ?? 1);
  const held = (dir: string): number[] =>
    (/--ranks ([\d,]+)/.exec(compiled.find((l) => l.includes(`-o ${dir} `)) ?? "")?.[1] ?? "").split(",").map(Number);
  for (const l of compiled)
    for (const r of held(/-o (\S+)/.exec(l)?.[1] as string)) t.is(value(l, "--bn-groups") % r, 0, l);
  const binary = (text: string): string => /(out\/[\w-]+)\/train/.exec(text)?.[1] ?? "";
  for (const f of batchFiles)
    t.true(
      held(binary(launchFile(f))).includes(value(launchFile(f), "--nodes") * value(launchFile(f), "--ntasks-per-node")),
      f,
    );
  const manifest = launchFile("kubernetes-job.yaml");
  t.true(held("out/r50-cuda").includes(value(manifest, "--nproc-per-node") * value(manifest, "--world-size")));
  const lines = commands(page).filter((l) => binary(l) !== "");
  t.true(lines.length > 9);
  for (const l of lines) {
    const ranks = ["--nproc-per-node", "--nnodes", "--world-size", "mpirun -n", "--nodes", "--ntasks-per-node"].reduce(
      (n, name) => n * value(l, name),
      1,
    );
    t.true(held(binary(l)).includes(ranks), `${ranks}: ${l}`);
  }
});

test("the table of each launcher has the variables that launch.cc reads for it, no more and no less", (t) => {
  const table = (title: string): string[] =>
    rows(section(title), "variable")
      .flatMap((r) => quoted(r[0] as string))
      .sort();
  const choice = variablesOf("plan_launch"); // which launcher it is
  const beginning = (start: string): string[] => choice.filter((v) => v.startsWith(start));
  const all = (...names: readonly string[]): string[] => [...new Set(names)].sort();
  t.deepEqual(table("One machine"), variablesOf("variables_of"));
  t.deepEqual(table("torchrun"), variablesOf("torchrun"));
  t.deepEqual(table("Slurm"), all(...variablesOf("slurm"), ...beginning("SLURM_")));
  const named = (start: RegExp): string[] => allVariables().filter((v) => start.test(v));
  t.deepEqual(table("Open MPI"), all(...variablesOf("mpi"), ...named(/^OMPI_/)));
  t.deepEqual(table("MPICH and Intel MPI"), all(...variablesOf("mpi"), ...named(/^(PMI|MPI)_/)));
  t.deepEqual(table("Kubeflow"), variablesOf("kubeflow"));
  t.deepEqual(
    [
      ...new Set(["One machine", "torchrun", "Slurm", "Open MPI", "MPICH and Intel MPI", "Kubeflow"].flatMap(table)),
    ].sort(),
    allVariables(),
  );
});

test("exit codes are those of supervisor.h, each once", (t) => {
  const table = new Map(rows(page, "exit code").map((r) => [r[0] as string, r[1] as string]));
  t.deepEqual([...table.keys()].sort(), ["0", "1", "2", "128+n", ...Object.values(codes).map(String)].sort());
  for (const [name, says] of [
    ["kStopped", /SIGTERM, SIGHUP or SIGUSR1, with a checkpoint/],
    ["kDiverged", /NaN/],
    ["kCollapsed", /--stop-on-collapse/],
    ["kLost", /another rank was lost/],
  ] as const)
    t.regex(table.get(String(codes[name])) ?? "", says);
  for (const f of batchFiles)
    t.true(launchFile(f).includes(`[ "$status" -eq ${codes.kStopped} ]; then scontrol requeue`), f);
});

test("doctor says of recorded variables what the page says", (t) => {
  const own = new Set([...allVariables(), "MOPROC_RESTARTED"]);
  const clean = Object.fromEntries(Object.entries(process.env).filter(([k]) => !own.has(k)));
  const transcripts = blocks(page, "console").flatMap((lines) => lines.join("\n").split(/^\$ /m).slice(1));
  t.is(transcripts.length, 6);
  for (const transcript of transcripts) {
    const [command = "", ...output] = transcript.trimEnd().split("\n");
    const words = command.split(" ");
    const variables = words.filter((w) => w.includes("=")).map((w) => w.split(/=(.*)/s, 2) as [string, string]);
    t.deepEqual(words.slice(variables.length), ["npx", "moproc", "doctor"], command);
    const { stdout } = spawnSync(process.execPath, [shell.main, "doctor"], {
      encoding: "utf8",
      env: { ...clean, ...Object.fromEntries(variables) },
    });
    t.is(/^\w+ +launcher.*\n(?: .*\n)*/m.exec(stdout)?.[0].trimEnd(), output.join("\n"), command);
  }
});

test("links lead to files, and every file is linked", (t) => {
  const links = [...page.matchAll(/\]\(([^)#]+)\)/g)].map((m) => m[1] as string);
  for (const l of links) t.true(existsSync(join(root, "docs", l)), l);
  for (const f of readdirSync(join(root, "docs", "launch"))) t.true(links.includes(`launch/${f}`), f);
});

/** Options of sbatch and srun (their manual pages, Slurm 23.11) with the form of their values. */
const whole = /^\d+$/;
const sbatch: Readonly<Record<string, RegExp>> = {
  "job-name": /^[\w.-]+$/,
  nodes: /^\d+(-\d+)?$/,
  ntasks: whole,
  "ntasks-per-node": whole,
  "gpus-per-node": /^([\w.]+:)?\d+$/,
  gres: /^[\w:]+$/,
  "cpus-per-task": whole,
  mem: /^\d+[KMGT]?$/,
  time: /^(\d+-)?\d+(:\d\d){0,2}$/,
  signal: /^([RB]+:)?(\d+|[A-Z]+\d?)(@\d+)?$/,
  requeue: /^$/,
  "open-mode": /^(append|truncate)$/,
  output: /^\S+$/,
  error: /^\S+$/,
  partition: /^\S+$/,
  account: /^\S+$/,
  exclusive: /^(user|mcs|topo)?$/,
};
const srun: Readonly<Record<string, RegExp>> = {
  nodes: sbatch.nodes as RegExp,
  "ntasks-per-node": whole,
  "gpus-per-node": sbatch["gpus-per-node"] as RegExp,
  "cpus-per-task": /^(\d+|\$SLURM_CPUS_PER_TASK)$/,
  "kill-on-bad-exit": /^[01]$/,
  "gpu-bind": /^(none|closest|single:\d+|map_gpu:.*)$/,
  "cpu-bind": /^(none|cores|sockets|threads)$/,
  mpi: /^(none|pmix|pmi2)$/,
};

function wrongOptions(words: readonly string[], known: Readonly<Record<string, RegExp>>): string[] {
  const wrong: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const [name = "", inline] = (words[i] as string).replace(/^--/, "").split(/=(.*)/s, 2);
    const form = known[name];
    if (!words[i]?.startsWith("--") || form === undefined) wrong.push(`unknown ${words[i]}`);
    else if (!form.test(inline ?? (form.test("") ? "" : (words[++i] ?? ""))))
      wrong.push(`${name}: ${inline ?? words[i]}`);
  }
  return wrong;
}

test("batch scripts: bash reads them, sbatch and srun know their options", (t) => {
  for (const f of batchFiles) {
    t.is(spawnSync("bash", ["-n", join(root, "docs", "launch", f)], { encoding: "utf8" }).stderr, "", f);
    const lines = joined(f);
    t.is(lines[0], "#!/bin/bash");
    const options = lines.filter((l) => l.startsWith("#SBATCH")).map((l) => l.replace(/^#SBATCH +/, ""));
    t.true(options.length > 8, f);
    t.deepEqual(wrongOptions(options, sbatch), [], f);
    const first = lines.findIndex((l) => l !== "" && !l.startsWith("#")); // sbatch stops reading here
    t.true(
      lines.slice(first).every((l) => !l.startsWith("#SBATCH")),
      f,
    );
    for (const wanted of [/^signal=B:USR1@\d+$/, /^requeue$/, /^open-mode=append$/])
      t.true(
        options.some((o) => wanted.test(o.slice(2))),
        `${f} ${wanted}`,
      );
  }
  const steps = [...batchFiles.flatMap(joined), ...commands(page)].filter((l) => l.startsWith("srun"));
  t.is(steps.length, 3);
  for (const l of steps) {
    const words = l.replaceAll('"', "").split(/\s+/).slice(1);
    t.deepEqual(
      wrongOptions(
        words.slice(
          0,
          words.findIndex((w) => w.endsWith("/train")),
        ),
        srun,
      ),
      [],
      l,
    );
  }
  const tail = (f: string): string =>
    launchFile(f)
      .replaceAll(/^#.*\n/gm, "")
      .replace(/srun [\s\S]*?&\n/, "srun\n");
  t.is(tail("slurm-cpu.sbatch"), tail("slurm.sbatch"), "the CPU's script passes on signals in another way");
});

const documents = (file: string): unknown[] =>
  parseAllDocuments(launchFile(file), { strict: true }).map((d) => {
    if ("errors" in d && d.errors.length > 0) throw d.errors[0];
    return d.toJS();
  });
const sharedMemory = (pod: Pod, c: Container): boolean =>
  pod.volumes?.find((v) => v.name === c.volumeMounts?.find((m) => m.mountPath === "/dev/shm")?.name)?.emptyDir
    ?.medium === "Memory";

/** The container that trains: its flags are known, it has as many GPUs as ranks, and its ranks meet in memory. */
function trains(t: ExecutionContext, pod: Pod, name: string): ReadonlyMap<string, string> {
  const c = pod.containers.find((x) => x.name === name) as Container;
  t.deepEqual(wrongPod(pod), []);
  t.deepEqual(wrongArguments(c.args ?? [], trainFlags()), []);
  const flags = new Map((c.args ?? []).map((a) => a.split(/=(.*)/s, 2) as [string, string]));
  t.is(Number(flags.get("--nproc-per-node")), Number(c.resources?.limits?.["nvidia.com/gpu"]), "ranks and GPUs");
  t.true(sharedMemory(pod, c), "/dev/shm");
  t.is(flags.get("--resume"), "auto");
  t.true((pod.terminationGracePeriodSeconds ?? 30) >= 120);
  return flags;
}

test("the Kubernetes Job", (t) => {
  const [service, job] = documents("kubernetes-job.yaml");
  t.deepEqual([...wrongFields(service), ...wrongFields(job)], []);
  const { metadata, spec } = job as Job;
  const pod = spec.template.spec;
  const flags = trains(t, pod, "train");
  const at = service as {
    metadata: { name: string };
    spec: { clusterIP: string; selector: Record<string, string>; ports: { port: number }[] };
  };
  t.is(at.spec.clusterIP, "None");
  t.deepEqual(at.spec.selector, { "batch.kubernetes.io/job-name": metadata.name });
  t.is(pod.subdomain, at.metadata.name);
  t.is(flags.get("--dist-url"), `tcp://${metadata.name}-0.${at.metadata.name}:${at.spec.ports[0]?.port}`);
  t.is(flags.get("--rank"), "$(JOB_COMPLETION_INDEX)");
  t.deepEqual(
    [spec.completionMode, spec.completions, spec.parallelism],
    ["Indexed", Number(flags.get("--world-size")), Number(flags.get("--world-size"))],
  );
  const { rules } = spec.podFailurePolicy;
  t.deepEqual(wrongPolicy(rules, pod, spec.podReplacementPolicy), []);
  const action = (code: number): string => rules.find((r) => r.onExitCodes?.values.includes(code))?.action ?? "Count";
  t.deepEqual(
    [2, codes.kDiverged, codes.kCollapsed, codes.kStopped, codes.kLost].map((c) => action(c as number)),
    ["FailJob", "FailJob", "FailJob", "Ignore", "Count"],
  );
});

test("the PyTorchJob", (t) => {
  const [job] = documents("kubeflow-pytorchjob.yaml") as [
    {
      spec: {
        nprocPerNode?: string;
        pytorchReplicaSpecs: Record<string, { replicas: number; restartPolicy: string; template: { spec: Pod } }>;
      };
    },
  ];
  t.deepEqual(wrongFields(job), []);
  t.is(job.spec.nprocPerNode, undefined);
  t.is(job.spec.pytorchReplicaSpecs.Master?.replicas, 1);
  for (const { restartPolicy, template } of Object.values(job.spec.pytorchReplicaSpecs)) {
    const flags = trains(t, template.spec, "pytorch"); // the name that the operator looks for
    for (const own of ["--world-size", "--rank", "--dist-url"]) t.false(flags.has(own), own);
    t.is(restartPolicy, "OnFailure");
    t.is(template.spec.containers[0]?.ports?.[0]?.name, "pytorchjob-port");
  }
});

test("a manifest with a mistake is told", (t) => {
  const text = launchFile("kubernetes-job.yaml");
  const broken = (from: string, to: string): string[] => {
    t.true(text.includes(from), from);
    return parseAllDocuments(text.replace(from, to)).flatMap((d) => wrongFields(d.toJS()));
  };
  t.deepEqual(broken("podFailurePolicy:", "podFailPolicy:"), ["Job.spec.podFailPolicy: unknown field"]);
  t.deepEqual(broken("action: FailJob", "action: Fail"), [
    'Job.spec.podFailurePolicy.rules[0].action: "Fail" is not one of FailJob, FailIndex, Ignore, Count',
  ]);
  t.deepEqual(broken("completionMode: Indexed", "completionMode: indexed"), [
    'Job.spec.completionMode: "indexed" is not one of NonIndexed, Indexed',
  ]);
  t.deepEqual(broken("restartPolicy: Never", "restart: Never"), [
    "Job.spec.template.spec.restartPolicy is missing",
    "Job.spec.template.spec.restart: unknown field",
  ]);
  t.deepEqual(wrongArguments(["--save-evry", "--keep", "--quiet"], trainFlags()), [
    "unknown --save-evry",
    "--keep needs a value",
  ]);
  t.deepEqual(wrongOptions(["--ntask=3", "--signal=USR1@x"], sbatch), ["unknown --ntask=3", "signal: USR1@x"]);
});
