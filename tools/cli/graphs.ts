// The sources of a compilation's graphs: the models of this project, or a user's module.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Graph, Target } from "../../compiler/ir/types.js";
import type { Plan } from "../../compiler/lower/plan.js";
import { root } from "../../compiler/util/root.js";
import {
  type ClassifierConfig,
  classifierPrograms,
  embed,
  evaluate,
  featurePrograms,
} from "../../models/classifier.js";
import { moproPrograms } from "../../models/mopro.js";
import { archOf } from "../../models/trunk.js";
import { extras as allExtras, type Extra, type ModelFlags } from "./flags.js";
import { metaOf } from "./foreign_flags.js";
import { learningOf } from "./learning.js";
import { checkTypes, isTypeScript } from "./type_check.js";

export interface Source {
  readonly name: string;
  readonly meta: Plan["meta"];
  readonly key: string; // two sources with the same key have the same graphs
  graphs(): readonly Graph[];
  /** Writes the files that belong beside the binary in the artefact folder. */
  write?(dir: string, plan: Plan): void | Promise<void>;
}

/** The programs of a task for the flags' network and sizes. Throws if task and flags do not fit together. */
export function modelGraphs(task: string, f: ModelFlags, extras: readonly Extra[] = []): Source {
  const groups = f.bnGroups ?? Math.max(...f.ranks);
  if (f.batchSize % groups !== 0)
    throw new Error(`--batch-size ${f.batchSize} cannot be divided into ${groups} equal groups (--bn-groups)`);
  const make = {
    mopro: moproPrograms,
    classifier: classifierPrograms,
    retrain: classifierPrograms,
    embed: featurePrograms,
    evaluate: (c: ClassifierConfig) => [evaluate(c)],
    predict: (c: ClassifierConfig) => [embed(c)],
  }[task];
  if (!make) throw new Error(`--task ${task}: it must be mopro, classifier, retrain, embed, evaluate or predict`);
  const images = f.imageInput === "f32" ? { image_input: f.imageInput } : {};
  const keep_values = f.keepValues === true;
  if (task !== "mopro" && (keep_values || f.imageInput === "f32"))
    throw new Error("--image-input f32 and --keep-values need --task mopro");
  const config = {
    ...(f.foreign ? { arch: f.foreign.settings.name, width: 1 } : { arch: archOf(f.network), width: f.width }),
    num_class: f.numClass,
    low_dim: f.lowDim,
    queue: f.moco_queue,
    image_size: f.imageSize,
    batch: f.batchSize,
    groups,
  };
  const { foreign: other } = f;
  const name = `${config.arch}_b${f.batchSize}${task === "mopro" ? "" : `_${task}`}`;
  const trained = task === "retrain" ? "fc" : "all";
  if (trained === "fc" && other?.settings.head === "keep")
    throw new Error(`${config.arch} keeps its own classifier (--head keep), which cannot be trained alone`);
  const taken = { classifier: allExtras, mopro: ["sample-weights", "clip-norm"], retrain: ["clip-norm"] }[task] ?? [];
  const foreign = extras.filter((e) => !taken.includes(e));
  if (foreign.length > 0) throw new Error(`${foreign.map((e) => `--${e}`).join(", ")}: these need --task classifier`);
  const with_ = Object.fromEntries(extras.map((e) => [e.replaceAll("-", "_"), 1]));
  const learning = learningOf(task, f);
  const kind = ["mopro", "embed", "evaluate", "predict"].includes(task)
    ? { task, ...with_ }
    : { task: "classifier", trained, ...with_ };
  const shuffle = f.shuffleBn === "exchange" ? { shuffle_bn: f.shuffleBn } : {};
  const meta = {
    ...kind,
    ...config,
    ...learning,
    ...images,
    ...shuffle,
    ...(keep_values && { keep_values: 1 }),
    ...(other && metaOf(other)),
  };
  return {
    name,
    meta,
    key: JSON.stringify(meta),
    graphs: () => make({ ...config, ...learning, foreign: other?.network, ...images, ...with_, keep_values, trained }),
    ...(other && {
      write: async (dir, plan) => (await import("./foreign_network.js")).writeNetwork(dir, other, plan),
    }),
  };
}

/** What a user's module imports as `moproc` and `moproc/models`: this compiler and its models. */
function ours(name: string): string {
  const part = name === "moproc" ? "compiler" : "models";
  return pathToFileURL(join(root, "build", "js", part, "index.js")).href;
}

interface UserModule {
  readonly programs?: () => unknown;
  readonly meta?: Plan["meta"];
}

const ownCode = join(root, "build", "js");
const FRAMES = 10; // lines of the stack that are shown

/** Throws what the user's code threw, with the part of the stack that is in the user's files. */
function located(file: string, thrown: unknown): never {
  if (!(thrown instanceof Error)) throw new Error(`${file}: throws ${String(thrown)}, which is no Error`);
  const frames = (thrown.stack ?? "")
    .split("\n")
    .filter((l) => /^ +at /.test(l) && !/node:|\/node_modules\/commander\//.test(l) && !l.includes(ownCode))
    .slice(0, FRAMES);
  throw new Error([`${file}: ${thrown.message}`, ...frames].join("\n"));
}

/** Bundles a user's module, in which `moproc` and `moproc/models` are this compiler's. */
async function bundle(file: string, outfile: string): Promise<void> {
  const { build } = await import("esbuild"); // only here: it would be loaded by every command
  await build({
    entryPoints: [resolve(file)],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    sourcemap: "inline",
    logLevel: "silent",
    plugins: [
      {
        name: "moproc",
        setup: (b) => b.onResolve({ filter: /^moproc(\/models)?$/ }, (a) => ({ path: ours(a.path), external: true })),
      },
    ],
  }).catch((e: Error) => {
    throw new Error(`${file}: ${e.message}`);
  });
}

/**
 * Bundles and imports a user's module. Before it runs, a TypeScript file is type-checked if `typeCheck`; notes about
 * this go to stderr. Rejects if the file is missing, cannot be bundled, has type errors or exports no function
 * `programs`.
 */
export async function userGraphs(file: string, typeCheck: boolean): Promise<Source> {
  if (!existsSync(file)) throw new Error(`${file}: no such file`);
  const dir = mkdtempSync(join(tmpdir(), "moproc-step-"));
  process.setSourceMapsEnabled(true); // so that stacks name the lines of the user's files
  try {
    const bundled = join(dir, "step.mjs");
    const [bundling, checking] = await Promise.allSettled([
      bundle(file, bundled),
      typeCheck && isTypeScript(file) ? checkTypes(file) : [],
    ]);
    if (bundling.status === "rejected") throw bundling.reason;
    if (checking.status === "rejected") throw checking.reason;
    for (const note of checking.value) process.stderr.write(`note: ${note}\n`);
    const module = await (import(pathToFileURL(bundled).href) as Promise<UserModule>).catch((e) => located(file, e));
    const { programs } = module;
    if (typeof programs !== "function") throw new Error(`${file}: exports no function programs(): Graph[]`);
    const name = basename(file).replace(/\.[cm]?[jt]s$/, "");
    const graphs = (): readonly Graph[] => {
      let returned: unknown;
      try {
        returned = programs();
      } catch (e) {
        located(file, e);
      }
      return checked(file, returned);
    };
    return {
      name,
      meta: { task: "user", ...module.meta },
      key: readFileSync(bundled, "utf8").replace(/^\/\/# sourceMappingURL=.*$/m, ""),
      graphs,
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** What a user's programs() returned, if it is a list of graphs; otherwise throws. */
function checked(file: string, returned: unknown): readonly Graph[] {
  const fail = (what: string): never => {
    throw new Error(`${file}: programs() ${what}; it has to return a list of graphs, each made by Builder.finish`);
  };
  if (returned instanceof Promise) return fail("returned a promise");
  if (!Array.isArray(returned)) return fail(returned === undefined ? "returned nothing" : "returned no list");
  if (returned.length === 0) return fail("returned an empty list");
  const isGraph = (g: Partial<Graph> | undefined): boolean => Array.isArray(g?.nodes) && Array.isArray(g?.outputs);
  const wrong = returned.findIndex((g) => !isGraph(g));
  return wrong < 0 ? returned : fail(`returned something else than a graph at position ${wrong}`);
}

/** Prints every graph as it is after the pass `stopAfter`. Rejects if there is no such pass. */
export async function printGraphs(graphs: readonly Graph[], target: Target, stopAfter: string): Promise<void> {
  const { optimize, passes } = await import("../../compiler/pipeline.js");
  const { print } = await import("../../compiler/ir/print.js");
  if (!passes.some((p) => p.name === stopAfter)) {
    throw new Error(`--stop-after ${stopAfter}: the passes are ${[...new Set(passes.map((p) => p.name))].join(", ")}`);
  }
  for (const g of graphs) process.stdout.write(print(optimize(g, target, [], stopAfter)));
}
