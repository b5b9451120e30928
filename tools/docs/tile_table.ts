// docs/benchmarks/tiles.md: the tiles of ResNet-50's convolutions for each GPU architecture, as the compiler chooses
// them.

import { emitter } from "../../compiler/emit/kernel.js";
import type { Target } from "../../compiler/ir/types.js";
import { lowerPrograms } from "../../compiler/lower/lower.js";
import type { Kernel, Plan } from "../../compiler/lower/plan.js";
import { limitsOf, residentBlocks } from "../../compiler/lower/templates/cuda/limits.js";
import { optimize } from "../../compiler/pipeline.js";
import { moproPrograms } from "../../models/mopro.js";

/** The architectures of the page, each compiled alone, and the default list. */
export const TILE_ARCHS = ["sm_80", "sm_86", "sm_89", "sm_90a", "sm_100", "sm_120", "sm_80,sm_90a"] as const;

/** The plan of the step `clean` of ResNet-50 at 224 pixels, batch 256, bf16, for a list of architectures. */
export function resnetPlan(arch: string): Plan {
  const target: Target = { device: "cuda", arch, ranks: [1], precision: "bf16" };
  const sizes = { arch: "resnet50", width: 1, num_class: 1000, low_dim: 128, queue: 8192, image_size: 224 } as const;
  const graphs = moproPrograms({ ...sizes, batch: 256, groups: 1 }).filter((g) => g.name === "clean");
  return lowerPrograms(
    "r50",
    graphs.map((g) => optimize(g, target)),
    target,
    {},
    emitter,
  ).plan;
}

/** What a convolution's kernel has on the GPU `arch`, one of its target's. */
export function tileOn(k: Kernel, arch: string) {
  const constant = (name: string): number => Number(new RegExp(`\\b${name} = (\\d+)`).exec(k.source)?.[1]);
  const hopper = arch === "sm_90a" ? k.hopper : undefined;
  const { threads, sharedBytes } = hopper ?? k;
  const terms = hopper ? 64 : constant("STAGE_TERMS");
  return {
    tile: `${constant("TILE_ROWS")} x ${constant("TILE_COLUMNS")} x ${terms}`,
    stages: constant(hopper ? "HOPPER_STAGES" : "STAGES"),
    threads,
    sharedBytes,
    blocks: constant(hopper ? "HOPPER_BLOCKS" : "BLOCKS"), // as the kernel claims
  };
}

/** The rows of one GPU: equal tiles are counted. */
function rowsOf(plan: Plan, arch: string): string[] {
  const limits = limitsOf(arch);
  const counts = new Map<string, number>();
  for (const k of plan.kernels.filter(({ template }) => template.startsWith("conv_"))) {
    const { tile, stages, threads, sharedBytes, blocks } = tileOn(k, arch);
    const fit = residentBlocks(limits, threads, sharedBytes);
    const share = `${Math.round((100 * blocks * threads) / limits.threads)} %`;
    const row = [k.template, tile, stages, threads, sharedBytes, blocks, fit, share].join(" | ");
    counts.set(row, (counts.get(row) ?? 0) + 1);
  }
  return [...counts].map(([row, n]) => `| ${row} | ${n} |`).toSorted();
}

/** The page in Markdown, without padding of its tables. GPUs whose tables are equal share one. */
export function tilePage(planOf: (arch: string) => Plan = resnetPlan): string {
  const tables = new Map<string, string[]>();
  for (const list of TILE_ARCHS) {
    const plan = planOf(list);
    for (const arch of list.split(",")) {
      const name = list.includes(",") ? `${arch} of the list ${list}` : arch;
      const table = rowsOf(plan, arch).join("\n");
      tables.set(table, [...(tables.get(table) ?? []), name]);
    }
  }
  const heads = "| template | tile | stages | threads | shared bytes | blocks | fit | occupancy | kernels |";
  const sections = [...tables].map(
    ([rows, names]) => `## ${names.join(", ")}\n\n${heads}\n|${" --- |".repeat(9)}\n${rows}`,
  );
  return `<!-- npm run docs writes this page. -->

# Tiles of convolutions on each GPU

These are the kernels of the convolutions in the step \`clean\` of ResNet-50 (224 pixels, batch 256, bf16), as the
compiler chooses them. None of the numbers was measured on a GPU.

A tile is rows x columns of results and terms per stage. The kernel is compiled so that as many blocks as the column
"blocks" says fit on a multiprocessor: its launch bounds limit the registers. As many as the column "fit" says fit by
their shared memory and threads. Occupancy is the share of the multiprocessor's threads that "blocks" have. Shared bytes
are per block, without the 1024 that the system takes.

${sections.join("\n\n")}
`;
}
