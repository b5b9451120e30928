// moproc inspect: prints what an artefact contains, from its plan.json.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { RESOURCES, type ResourceTable } from "../../compiler/emit/resources.js";
import { gridsOf, LAUNCH_MEANS, launchesOf } from "../../compiler/lower/launches.js";
import type { CodeDriver, Launch, Plan } from "../../compiler/lower/plan.js";
import { predictedMicroseconds } from "../../compiler/lower/roofline.js";
import { integer } from "./kinds.js";
import { sections, type Verb } from "./record.js";
import { megabytes } from "./units.js";

export const inspect: Verb = {
  name: "inspect",
  usage: "DIR [flags]",
  purpose: "Shows the programs, memory, kernels and costs of an artefact.",
  more: LAUNCH_MEANS,
  arguments: [{ name: "DIR", help: "The artefact directory." }],
  flags: [
    { names: ["--json"], section: sections.output, help: "Prints everything as JSON." },
    {
      names: ["--kernels"],
      unit: "N",
      kind: integer(0),
      default: 8,
      section: sections.output,
      help: "How many of the costliest launches of each program are listed.",
    },
  ],
  examples: ["moproc inspect built"],
  run({ args, options }) {
    const dir = args[0] as string;
    const file = join(dir, "plan.json");
    if (!existsSync(file)) throw new Error(`${dir}: is not an artefact directory: it has no plan.json`);
    const plan = JSON.parse(readFileSync(file, "utf8")) as Plan & { digest: string };
    const json = (): string => `${JSON.stringify(summary(plan, resourcesOf(dir)), undefined, 1)}\n`;
    process.stdout.write(options.json ? json() : text(plan, options.kernels as number));
  },
};

const total = (ls: readonly Launch[], f: (l: Launch) => number): number => ls.reduce((s, l) => s + f(l), 0);

/**
 * The machine-readable summary: the costs per run and per image of each program and arch, and those of every kernel
 * over all programs. Times are predicted for an H200 (lower/roofline.ts) and absent for the CPU.
 */
export function summary(plan: Plan & { digest: string }, table: ResourceTable): object {
  const batch = Number(plan.meta.batch ?? 1);
  const gpu = plan.target.device === "cuda";
  const archs = plan.target.arch.split(",");
  const microseconds = (ls: readonly Launch[]): number => total(ls, (l) => predictedMicroseconds(l, plan.target));
  const programs = plan.programs.map((p) => {
    const ls = launchesOf(p);
    const costs = {
      bytes_per_image: total(ls, (l) => l.bytes) / batch,
      flops_per_image: total(ls, (l) => l.flops) / batch,
      ...(gpu ? { predicted_us: microseconds(ls), predicted_us_per_image: microseconds(ls) / batch } : {}),
      launches: ls.length,
      grids: gridsOf(ls),
      work_bytes: p.workBytes,
      live_bytes_max: p.liveBytesMax,
    };
    return [p.name, Object.fromEntries(archs.map((a) => [a, costs]))] as const;
  });
  const all = plan.programs.flatMap((p) => launchesOf(p));
  const kernels = plan.kernels.map((k, i) => {
    const own = all.filter((l) => l.kernel === i);
    const made = archs.map((arch) => {
      const r = table[arch]?.[k.symbol];
      const ptxas = r && { registers: r.registers, spill_bytes: r.spill_bytes, stack_bytes: r.stack_bytes };
      const { threads, sharedBytes } = (arch === "sm_90a" && k.hopper) || k;
      return [
        arch,
        {
          threads,
          ...ptxas,
          shared_bytes: sharedBytes + (r?.static_shared_bytes ?? 0),
          predicted_us: microseconds(own),
        },
      ] as const;
    });
    const { symbol, template } = k;
    const costs = { launches: own.length, bytes: total(own, (l) => l.bytes), flops: total(own, (l) => l.flops) };
    return { symbol, template, ...costs, ...(gpu ? { archs: Object.fromEntries(made) } : {}) };
  });
  return {
    name: plan.name,
    digest: plan.digest,
    target: plan.target,
    meta: plan.meta,
    ...(plan.drivers && { drivers: plan.drivers }),
    programs: Object.fromEntries(programs),
    arena_bytes: plan.arenas,
    live_bytes_max: Math.max(...plan.programs.map((p) => p.liveBytesMax)),
    kernels,
  };
}

/** The resource table of the artefact at `dir`; an empty table if it has none. */
function resourcesOf(dir: string): ResourceTable {
  const file = join(dir, RESOURCES);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as ResourceTable) : {};
}

const driverLine = ({ nvcc, cuda, release }: CodeDriver): string =>
  `  compiled by nvcc ${nvcc}: needs a driver for CUDA ${Math.floor(cuda / 1000)}.${Math.floor((cuda % 1000) / 10)} ` +
  `or later${release && ` (release ${release})`}`;

function text(plan: Plan & { digest: string }, top: number): string {
  const lines = [
    `${plan.name} for ${plan.target.device} ${plan.target.arch}, plan ${plan.digest}`,
    `  ${Object.entries(plan.meta)
      .map(([k, v]) => `${k} ${v}`)
      .join(", ")}`,
    `  memory: ${Object.entries(plan.arenas)
      .map(([k, v]) => `${k} ${megabytes(v)}`)
      .join(", ")}, scratch ${megabytes(plan.scratchBytes)} per thread`,
    `  ${plan.state.length} state tensors, ${plan.kernels.length} kernels`,
    ...(plan.drivers ?? []).slice(0, 1).map(driverLine),
  ];
  const predicted = (ls: readonly Launch[]): string =>
    plan.target.device === "cpu"
      ? ""
      : `, ${(total(ls, (l) => predictedMicroseconds(l, plan.target)) / 1e3).toFixed(2)} ms predicted on an H200`;
  for (const p of plan.programs) {
    const ls = launchesOf(p);
    lines.push(
      `program ${p.name}: ${ls.length} launches, ${(total(ls, (l) => l.flops) / 1e9).toFixed(2)} GFLOP, ` +
        `${megabytes(total(ls, (l) => l.bytes))} moved${predicted(ls)}, work ${megabytes(p.workBytes)} (lower ` +
        `bound ${megabytes(p.liveBytesMax)})`,
      `  in  ${p.inputs.map((t) => plan.tensors[t]?.name).join(", ")}`,
      `  out ${p.outputs.map((t) => plan.tensors[t]?.name.replace(/^[^/]*\//, "")).join(", ")}`,
    );
    for (const l of ls.toSorted((a, b) => b.flops - a.flops || b.bytes - a.bytes).slice(0, top)) {
      lines.push(
        `  ${(l.flops / 1e9).toFixed(3).padStart(9)} GFLOP ${megabytes(l.bytes).padStart(10)}  ` +
          `${plan.kernels[l.kernel]?.template.padEnd(12)} ${l.name}`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}
