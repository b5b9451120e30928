// Makes plans with the compiler's passes and lowering, without building anything.

import { byteSize } from "../../build/js/compiler/ir/types.js";
import { lower } from "../../build/js/compiler/pipeline.js";
import { targetOf } from "../../build/js/tools/cli/flags.js";
import { modelGraphs } from "../../build/js/tools/cli/graphs.js";

/** MoPro's programs of a step, in the order in which a training run uses them. */
export const phases = ["warmup", "proto", "clean"];

/** The published sizes. */
export const published = {
  network: "resnet50",
  width: 1,
  imageSize: 224,
  numClass: 1000,
  lowDim: 128,
  moco_queue: 8192,
  imageInput: "u8",
};

/**
 * The plan of the programs of the phases in `only`, for `ranks` ranks with `perRank` images each. Each rank is one
 * BatchNorm group. `sizes` has the members of `published`; `shuffle` is "load" or "exchange".
 */
export function planOf({ sizes = published, perRank, ranks, target = "cuda", shuffle = "load", only = phases }) {
  const cuda = target === "cuda" ? { targetArch: "sm_90a", precision: "bf16" } : { targetArch: "x86-64-v3" };
  const flags = {
    ...sizes,
    ...cuda,
    target,
    batchSize: perRank * ranks,
    bnGroups: ranks,
    ranks: [ranks],
    shuffleBn: shuffle,
  };
  const source = modelGraphs("mopro", flags);
  const graphs = source.graphs().filter((g) => only.includes(g.name));
  return lower(graphs, { name: source.name, target: targetOf(flags), meta: source.meta }).plan;
}

/** A plan's program for a number of ranks. */
export function programOf(plan, name, ranks) {
  const found = plan.programs.find((p) => p.name === name && p.ranks === ranks);
  if (!found) throw new Error(`${plan.name} has no program ${name} for ${ranks} ranks`);
  return found;
}

/** The kind of data that a collective sends, from the name of its result. */
export function kindOf(plan, step) {
  const to = plan.tensors[step.to];
  const name = to.name.replace(/^[^/]*\//, "");
  if (step.do === "all_reduce" && to.arena === "grad") return "gradients";
  if (/^mails?$/.test(name)) return "mail";
  if (name.startsWith("encoder_k.")) return "keys";
  if (name.startsWith("encoder_q.")) return "queries";
  if (/^(target|kept)/.test(name)) return "labels";
  if (/^img/.test(name)) return "images";
  return "losses";
}

/** A program's collectives that send data, as {op, kind, name, bytes}; `bytes` is the size of a rank's operand. */
export function collectivesOf(plan, program) {
  return program.steps
    .filter((s) => s.do === "all_reduce" || s.do === "all_gather")
    .map((s) => ({
      op: s.do,
      kind: kindOf(plan, s),
      name: s.name,
      bytes: byteSize(plan.tensors[s.from].type),
    }));
}
