// moproc inspect: what an artefact holds, from its plan.json.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import type { Launch, Plan } from "../lower/plan.js";

export function inspectCommand(): Command {
  return new Command("inspect")
    .description("Shows programs, memory, kernels and costs of an artefact.")
    .argument("<DIR>", "artefact directory")
    .option("--json", "as JSON")
    .option("--kernels <n>", "how many of the costliest launches of each program to list", "8")
    .action((dir: string, o: { json?: boolean; kernels: string }) => {
      const file = join(dir, "plan.json");
      if (!existsSync(file)) throw new Error(`${dir}: is no artefact directory: it has no plan.json`);
      const plan = JSON.parse(readFileSync(file, "utf8")) as Plan & { digest: string };
      process.stdout.write(o.json ? `${JSON.stringify(summary(plan), undefined, 1)}\n` : text(plan, Number(o.kernels)));
    });
}

const launches = (steps: Plan["programs"][number]["steps"]): Launch[] => steps.filter((s): s is Launch => s.do === "launch");
const total = (ls: readonly Launch[], f: (l: Launch) => number): number => ls.reduce((s, l) => s + f(l), 0);

/** The machine-readable summary: costs an image and a step, by program and arch. */
export function summary(plan: Plan & { digest: string }): object {
  const batch = Number(plan.meta["batch"] ?? 1);
  const programs = plan.programs.map((p) => {
    const ls = launches(p.steps);
    const costs = {
      bytes_per_image: total(ls, (l) => l.bytes) / batch, flops_per_image: total(ls, (l) => l.flops) / batch,
      launches: ls.length, work_bytes: p.workBytes, live_bytes_max: p.liveBytesMax,
    };
    return [p.name, { [plan.target.arch]: costs }] as const;
  });
  return {
    name: plan.name, digest: plan.digest, target: plan.target, meta: plan.meta, programs: Object.fromEntries(programs),
    arena_bytes: plan.arenas, live_bytes_max: Math.max(...plan.programs.map((p) => p.liveBytesMax)), kernels: plan.kernels,
  };
}

function text(plan: Plan & { digest: string }, top: number): string {
  const mb = (b: number): string => `${(b / 1e6).toFixed(1)} MB`;
  const lines = [
    `${plan.name} for ${plan.target.device} ${plan.target.arch}, plan ${plan.digest}`,
    `  ${Object.entries(plan.meta).map(([k, v]) => `${k} ${v}`).join(", ")}`,
    `  memory: ${Object.entries(plan.arenas).map(([k, v]) => `${k} ${mb(v)}`).join(", ")}, scratch ${mb(plan.scratchBytes)} a thread`,
    `  ${plan.state.length} state tensors, ${plan.kernels.length} kernels`,
  ];
  for (const p of plan.programs) {
    const ls = launches(p.steps);
    lines.push(
      `program ${p.name}: ${ls.length} launches, ${(total(ls, (l) => l.flops) / 1e9).toFixed(2)} GFLOP, ${mb(total(ls, (l) => l.bytes))} moved, work ${mb(p.workBytes)} (lower bound ${mb(p.liveBytesMax)})`,
      `  in  ${p.inputs.map((t) => plan.tensors[t]?.name).join(", ")}`,
      `  out ${p.outputs.map((t) => plan.tensors[t]?.name.replace(/^[^/]*\//, "")).join(", ")}`,
    );
    for (const l of ls.toSorted((a, b) => b.flops - a.flops || b.bytes - a.bytes).slice(0, top)) {
      lines.push(`  ${(l.flops / 1e9).toFixed(3).padStart(9)} GFLOP ${mb(l.bytes).padStart(10)}  ${plan.kernels[l.kernel]?.template.padEnd(12)} ${l.name}`);
    }
  }
  return `${lines.join("\n")}\n`;
}
