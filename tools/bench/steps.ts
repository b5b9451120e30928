// Training steps beside PyTorch on the same CPU: MoPro and plain cross-entropy, in f32 and bf16. PyTorch runs in
// processes of its own (torch_steps.py), which take turns with us. As a program, this file runs one step of an artefact
// and prints the most memory that it had, in kB.

import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Artefact, load, type Values } from "node-cuda-rt";
import { elements } from "../../compiler/ir/types.js";
import { root } from "../../compiler/util/root.js";
import { type ModelFlags, targetOf } from "../cli/flags.js";
import { modelGraphs } from "../cli/graphs.js";
import { cachedArtefact } from "../cli/obtain.js";
import { compareTimes, quantile, turns } from "./alternate.js";
import type { Entry, Options } from "./compare.js";

const file = fileURLToPath(import.meta.url);

/** A step that both can make. */
export interface Step {
  readonly network: "resnet18" | "resnet50";
  readonly size: number; // pixels
  readonly batch: number;
  readonly task: "mopro" | "classifier";
}
export type Precision = "f32" | "bf16";

/** PyTorch in a process of its own, which makes a step whenever it is asked to. */
export class Torch {
  private constructor(
    readonly name: string,
    readonly precision: Precision,
    private readonly child: ChildProcessWithoutNullStreams,
    private readonly lines: AsyncIterator<string>,
  ) {}

  peakMb = 0;

  /**
   * Resolves after its first step. `env`: more of the environment. Rejects, with PyTorch's message, if it cannot make
   * the step.
   */
  static async start(
    python: string,
    s: Step,
    precision: Precision,
    mode: string,
    threads: number,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Torch> {
    const args = [s.network, s.size, s.batch, s.task, precision, mode, threads].map(String);
    const script = join(root, "tools", "bench", "torch_steps.py");
    const child = spawn(python, [script, ...args], { env: { ...process.env, ...env } });
    let said = "";
    child.stderr.on("data", (text) => (said += text));
    const lines: Interface = createInterface(child.stdout);
    const torch = new Torch("", precision, child, lines[Symbol.asyncIterator]());
    const first = await torch.lines.next();
    if (first.done) throw new Error(said.trim().split("\n").at(-1));
    const { torch: version } = JSON.parse(first.value) as { readonly torch: string };
    return Object.assign(torch, { name: `PyTorch ${version.replace(/\+.*/, "")}, ${precision}, ${mode}` });
  }

  async step(): Promise<void> {
    this.child.stdin.write("\n");
    const line = await this.lines.next();
    if (line.done) throw new Error(`${this.name} has ended`);
    this.peakMb = (JSON.parse(line.value) as { readonly peak_mb: number }).peak_mb;
  }

  end(): void {
    this.child.kill();
  }
}

export const titleOf = (s: Step, precision: Precision): string =>
  `${s.task === "mopro" ? "MoPro" : "classifier"}, ${s.network} at ${s.size}, batch ${s.batch}, ${precision}`;

/** The step as an artefact of ours, loaded. `memory`: the flag of this name. */
export async function ownStep(
  s: Step,
  precision: Precision,
  threads: number,
  memory: "normal" | "low" = "normal",
): Promise<Artefact> {
  const rest = { width: 1, numClass: 1000, lowDim: 128, moco_queue: 8192, target: "cpu", ranks: [1], imageInput: "u8" };
  const flags = { network: s.network, imageSize: s.size, batchSize: s.batch, precision, memory, ...rest } as ModelFlags;
  const { dir } = await cachedArtefact(modelGraphs(s.task, flags), targetOf(flags));
  return load(dir, { threads });
}

/** The program and its inputs: random images and labels, the keys in reverse order, a small learning rate. */
export function jobOf(a: Artefact): { readonly program: string; readonly inputs: Readonly<Record<string, Values>> } {
  const program = ["clean", "train"].find((name) => a.programs.some((p) => p.name === name)) as string;
  const wanted = a.programs.find((p) => p.name === program)?.inputs ?? [];
  let state = 1;
  const draw = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const values = ({ name, dtype, shape }: (typeof wanted)[number]): Values => {
    const n = elements(shape);
    if (dtype === "u8") return Uint8Array.from({ length: n }, () => draw(256));
    if (dtype === "i64")
      return BigInt64Array.from({ length: n }, (_, i) => BigInt(name.endsWith("order") ? n - 1 - i : draw(1000)));
    return new Float32Array(n).fill(name.endsWith("lr") ? 1e-3 : name.endsWith("temperature") ? 0.1 : 0.5);
  };
  return { program, inputs: Object.fromEntries(wanted.map((t) => [t.name, values(t)])) };
}

/** Ours in both precisions beside all peers; the fastest peer of the precision, or in bf16 of all, counts. */
async function measure(s: Step, python: string, modes: readonly string[], o: Options): Promise<Entry[]> {
  const precisions = ["f32", "bf16"] as const;
  const peers: Torch[] = [];
  try {
    for (const precision of precisions)
      for (const mode of modes) peers.push(await Torch.start(python, s, precision, mode, o.threads));
    const own: Artefact[] = [];
    for (const p of precisions) own.push(await ownStep(s, p, o.threads));
    const parties = own.map((a) => {
      a.initState(1);
      const { program, inputs } = jobOf(a);
      return () => a.run(program, inputs);
    });
    const [end, used] = [o.watched(), process.cpuUsage()];
    const times = await turns([...parties, ...peers.map((p) => () => p.step())], o.seconds, 5);
    const { user, system } = process.cpuUsage(used);
    end(
      (user + system) / 1e6 +
        times
          .slice(parties.length)
          .flat()
          .reduce((x, y) => x + y, 0) *
          1e-3 *
          o.threads,
    );
    return precisions.flatMap((precision, i) => {
      const ours = times[i] as readonly number[];
      const rivals = peers
        .map((peer, k) => ({ peer, ms: times[parties.length + k] as readonly number[] }))
        .filter(({ peer }) => precision === "bf16" || peer.precision === "f32")
        .sort((x, y) => quantile(x.ms, 0.5) - quantile(y.ms, 0.5));
      const [best] = rivals as [(typeof rivals)[number]];
      const t = compareTimes(ours, best.ms);
      const name = titleOf(s, precision);
      const goal = s.batch === 16 || s.network === "resnet18" ? goalOf(s, precision) : null;
      o.say(
        `${name}: ${t.ours.toFixed(0)} ms (${perSecond(s, t.ours)} img/s); ${best.peer.name}: ${t.peer.toFixed(0)} ms`,
      );
      const memory = peakOf(own[i] as Artefact, o.threads);
      return [
        {
          name,
          ours: t.ours,
          peer: t.peer,
          peer_name: best.peer.name,
          ratio: t.ratio,
          goal,
          unit: "ms",
          spread: t.spread,
        },
        {
          ...{ name: `${name}, peak memory`, ours: memory, peer: best.peer.peakMb, peer_name: best.peer.name },
          ...{ ratio: best.peer.peakMb / memory, goal: null, unit: "MB", spread: null },
        },
      ];
    });
  } finally {
    for (const p of peers) p.end();
  }
}

const perSecond = (s: Step, ms: number): string => ((1e3 * s.batch) / ms).toFixed(1);

/** How many times faster than PyTorch a step is to be. */
function goalOf(s: Step, precision: Precision): number {
  if (s.network === "resnet18") return 1.15;
  return precision === "bf16" ? 1.2 : 1.4;
}

/** The peak of a process that makes two steps, in MB. */
export function peakOf(a: Artefact, threads: number): number {
  const r = spawnSync(process.execPath, [file, a.dir, `${threads}`], { encoding: "utf8" });
  if (r.status !== 0) throw new Error(`measuring memory: ${r.stderr}`);
  return Math.round(Number(r.stdout) / 1e3);
}

/** All steps. `python` has PyTorch; `modes`: eager, and compile. */
export async function trainingSteps(python: string, quick: boolean, o: Options): Promise<Entry[]> {
  const steps: Step[] = [
    { network: "resnet50", size: 224, batch: 16, task: "mopro" },
    { network: "resnet50", size: 224, batch: 16, task: "classifier" },
    { network: "resnet18", size: 64, batch: 64, task: "mopro" },
    ...(quick ? [] : [{ network: "resnet50", size: 224, batch: 32, task: "mopro" } as const]),
  ];
  const entries: Entry[] = [];
  for (const s of steps) entries.push(...(await measure(s, python, quick ? ["eager"] : ["eager", "compile"], o)));
  return entries;
}

if (process.argv[1] === file) {
  const [dir = "", threads] = process.argv.slice(2);
  const a = load(dir, { threads: Number(threads) });
  a.initState(1);
  const { program, inputs } = jobOf(a);
  for (let i = 0; i < 2; i++) await a.run(program, inputs);
  process.stdout.write(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "NaN");
}
