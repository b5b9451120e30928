// The whole compiler, in the order in which it runs. Read this file first.

import { emitter } from "./emit/kernel.js";
import { ARTEFACT, type Artefact, type BuildResult, buildArtefact } from "./emit/project.js";
import { print } from "./ir/print.js";
import type { Graph, Pass, Target } from "./ir/types.js";
import { verify } from "./ir/verify.js";
import { lowerPrograms } from "./lower/lower.js";
import { type Plan, programName } from "./lower/plan.js";
import { cse } from "./passes/cse.js";
import { dce } from "./passes/dce.js";
import { distribute } from "./passes/distribute.js";
import { expand } from "./passes/expand.js";
import { gather } from "./passes/gather.js";
import { simplify } from "./passes/simplify.js";
import { nameOutputs } from "./rewrite/outputs.js";
import { debug, timed } from "./util/debug.js";
import { requireFolder } from "./util/own.js";

/** The passes, in order. If a pass changes the graph, the result is verified and dumped with the pass's position. */
export const passes: readonly Pass[] = [simplify, cse, dce, expand, simplify, cse, dce, gather];

export interface CompileOptions {
  readonly name: string;
  readonly target: Target;
  readonly meta?: Plan["meta"]; // for the training binary: arch, batch, num_class, ...
  readonly check?: (plan: Plan) => void; // called before anything is compiled; compile() rejects with what it throws
  readonly stopAfter?: string; // name of the last pass to run, before lowering; absent: all passes run
}

/**
 * Runs the passes over `graphs`, once for each number of ranks, and lowers the results to one plan. Writes no files and
 * needs no C++ compiler. Throws if a graph is invalid, cannot be divided between the ranks or cannot be lowered.
 */
export function lower(graphs: readonly Graph[], options: CompileOptions): Artefact {
  const dumps: { file: string; text: string }[] = [];
  const { ranks, shuffle = "load" } = options.target;
  const shares = ranks.flatMap((n) => graphs.map((g) => distribute(g, n, shuffle)));
  const optimized = shares.map((g) =>
    timed(`passes ${programName(g)}`, () => optimize(g, options.target, dumps, options.stopAfter)),
  );
  const { plan, explain } = timed("lowering", () =>
    lowerPrograms(options.name, optimized, options.target, options.meta ?? {}, emitter),
  );
  return { plan, explain, dumps };
}

/**
 * Compiles `graphs` to the artefact folder `dir`, with `train` and `program.so`. All programs are planned before
 * anything is built. `progress` is called as kernels are compiled; `complete` may add files to the folder before it is
 * renamed to `dir`. An older artefact at `dir` is replaced. Rejects if something else is there, as lower() throws, or
 * if the C++ compiler fails.
 */
export async function compile(
  graphs: readonly Graph[],
  dir: string,
  options: CompileOptions,
  progress?: (done: number, total: number) => void,
  complete?: (partial: string, plan: Plan) => void | Promise<void>,
): Promise<BuildResult & { readonly plan: Plan }> {
  requireFolder(dir, ARTEFACT);
  const artefact = lower(graphs, options);
  options.check?.(artefact.plan);
  const built = await buildArtefact(dir, artefact, progress, (partial) => complete?.(partial, artefact.plan));
  return { ...built, plan: artefact.plan };
}

/**
 * Runs the passes over one graph, up to and including `stopAfter`, and verifies the graph after each pass that changes
 * it. Appends the graph's text after each such pass to `dumps`. After all passes the outputs have the names they have
 * in `g`; with `stopAfter` a pass may have renamed them. Throws if `g` is invalid or a pass makes an invalid graph.
 */
export function optimize(
  g: Graph,
  target: Target,
  dumps: { file: string; text: string }[] = [],
  stopAfter?: string,
): Graph {
  const dump = (i: number, name: string): void => {
    dumps.push({ file: `${programName(g)}-${String(i).padStart(2, "0")}-${name}.txt`, text: print(g) });
  };
  const asked = g.outputs;
  verify(g);
  dump(0, "build");
  for (const [i, pass] of passes.entries()) {
    const next = pass.run(g, target);
    if (next !== g) {
      try {
        verify(next);
      } catch (e) {
        throw new Error(`internal: pass ${pass.name} broke ${g.name}: ${(e as Error).message}`);
      }
      debug(2, () => `${g.name}: ${pass.name}: ${g.nodes.length} -> ${next.nodes.length} nodes`);
      g = next;
      dump(i + 1, pass.name);
    }
    if (pass.name === stopAfter) return g;
  }
  const named = nameOutputs(g, asked);
  if (named !== g) verify(named);
  return named;
}
