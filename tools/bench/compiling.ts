// How long it takes from nothing to the first step, with an empty cache and with all kernels in it; and how compilation
// grows with the depth of the network.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile } from "../../compiler/pipeline.js";
import { type ModelFlags, targetOf } from "../cli/flags.js";
import { modelGraphs } from "../cli/graphs.js";
import type { Entry, Options } from "./compare.js";
import { jobOf, ownStep, type Step, Torch } from "./steps.js";

const step: Step = { network: "resnet50", size: 224, batch: 16, task: "mopro" };

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1e3;
}

/** Runs `work` with a new folder, in which the compiler's cache is, too, and removes the folder. */
async function withNewCache<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "moproc-bench-"));
  const before = process.env.MOPROC_CACHE;
  process.env.MOPROC_CACHE = join(dir, "cache");
  try {
    return await work(dir);
  } finally {
    if (before === undefined) delete process.env.MOPROC_CACHE;
    else process.env.MOPROC_CACHE = before;
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The first step, beside PyTorch's: eager, or (not `quick`) with torch.compile and an empty cache of its own. */
export async function firstStep(python: string, quick: boolean, o: Options): Promise<Entry[]> {
  return withNewCache(async (dir) => {
    const entries: Entry[] = [];
    for (const cache of ["empty cache", "full cache"]) {
      const ours = await seconds(async () => {
        const a = await ownStep(step, "f32", o.threads);
        a.initState(1);
        const { program, inputs } = jobOf(a);
        await a.run(program, inputs);
      });
      let peer_name = "";
      const peer = await seconds(async () => {
        const env = { TORCHINDUCTOR_CACHE_DIR: join(dir, "inductor") };
        const torch = await Torch.start(python, step, "f32", quick ? "eager" : "compile", o.threads, env);
        peer_name = torch.name;
        torch.end();
      });
      o.say(`to the first step, ${cache}: ${ours.toFixed(1)} s; ${peer_name}: ${peer.toFixed(1)} s`);
      const name = `to the first step of MoPro, resnet50, ${cache}`;
      entries.push({ name, ours, peer, peer_name, ratio: peer / ours, goal: null, unit: "s", spread: null });
    }
    return entries;
  });
}

/** Seconds to compile MoPro's programs with an empty cache, by depth, as a table. */
export async function compileGrowth(o: Options): Promise<string[]> {
  const lines = ["| network | launches of a step | seconds |", "| --- | --: | --: |"];
  for (const network of ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"])
    await withNewCache(async (dir) => {
      const rest = { width: 1, numClass: 1000, lowDim: 128, moco_queue: 8192, target: "cpu", ranks: [1] };
      const flags = { network, imageSize: 224, batchSize: 16, imageInput: "u8", ...rest } as unknown as ModelFlags;
      const { name, meta, graphs } = modelGraphs("mopro", flags);
      const start = performance.now();
      const { plan } = await compile(graphs(), join(dir, "artefact"), { name, meta, target: targetOf(flags) });
      const s = (performance.now() - start) / 1e3;
      const launches = plan.programs.find((p) => p.name === "clean")?.steps.filter((x) => x.do === "launch").length;
      o.say(`${network}: ${launches} launches, ${s.toFixed(1)} s`);
      lines.push(`| ${network} | ${launches} | ${s.toFixed(1)} |`);
    });
  return lines;
}
