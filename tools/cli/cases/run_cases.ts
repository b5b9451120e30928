// Runs test cases: the kernels of many cases are compiled together, because most of the time of a small kernel goes
// into its headers. A case that cannot be compiled or run does not stop the others.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Graph, Target } from "../../../compiler/ir/types.js";
import type { Tensor } from "../../../compiler/onnx/model.js";
import { encodeTensorFile } from "../../../compiler/onnx/proto.js";
import { compile } from "../../../compiler/pipeline.js";
import { beginBeside, endBeside, marks, requireFile, requireFolder } from "../../../compiler/util/own.js";
import { writeWhole } from "../../../compiler/util/whole_file.js";
import { modelOutputs } from "../foreign_program.js";
import { type Agreement, compareAll } from "./compare.js";
import { findCases } from "./find.js";
import { type Prepared, prepare, type Result, type SetProgram, type Status } from "./prepare.js";
import { summaryOf, Teller } from "./tell.js";
import { WorkerProcess } from "./worker_process.js";

const TOGETHER = 40; // programs of one artefact
const FOLDER = "cases"; // the kind of folder that --out makes
const FORMAT = "moproc-cases-1";

/** An artefact with the programs of some cases, or why there is none. */
type Built = { readonly dir: string } | { readonly failure: Error };

/**
 * Runs the cases below `dir`. Prints a line for each, writes what they computed to the folder `out` and the results to
 * the file `json`. Resolves with the number of cases of each status. Rejects if there are no cases, or if `out` or
 * `json` cannot be written.
 */
export async function runCases(
  dir: string,
  out: string,
  json: string | undefined,
  target: Target,
): Promise<Readonly<Record<Status, number>>> {
  const cases = findCases(dir);
  requireFolder(out, FOLDER);
  if (json !== undefined) requireFile(json, marks.json(FORMAT));
  const partial = beginBeside(out, FOLDER);
  const tell = new Teller(cases.length);
  const run = new Run(target, partial, (r) => tell.add(r));
  try {
    let batch: Prepared[] = [];
    let size = 0;
    for (const [i, c] of cases.entries()) {
      const p = prepare(c, i, target);
      if (!("sets" in p)) run.report(p);
      else {
        batch.push(p);
        size += p.sets.filter((s) => s.graph).length;
      }
      if (size < TOGETHER) continue;
      await run.add(batch);
      [batch, size] = [[], 0];
    }
    await run.add(batch);
    await run.end();
    endBeside(partial, out, FOLDER);
  } catch (e) {
    rmSync(partial, { recursive: true, force: true }); // made above, so it may be removed
    throw e;
  } finally {
    run.close();
    tell.end();
  }
  const order = new Map(cases.map((c, i) => [c.name, i]));
  const results = tell.results.toSorted((a, b) => (order.get(a.name) as number) - (order.get(b.name) as number));
  const counts = summaryOf(results);
  if (json !== undefined) {
    const text = `${JSON.stringify({ format: FORMAT, target, counts, cases: results }, undefined, 1)}\n`;
    writeWhole(json, [Buffer.from(text)], marks.json(FORMAT));
  }
  process.stdout.write(
    `${results.length} cases: ${counts.passed} passed, ${counts.failed} failed, ${counts.unsupported} unsupported, ` +
      `${counts.error} errors\n`,
  );
  return counts;
}

/** Compiles one batch while it runs the one before. */
class Run {
  private readonly temporary = mkdtempSync(join(tmpdir(), "moproc-cases-"));
  private readonly worker = new WorkerProcess();
  private before: Promise<void> = Promise.resolve();
  private built = 0;

  constructor(
    private readonly target: Target,
    private readonly out: string,
    readonly report: (r: Result) => void,
  ) {}

  /** Compiles these cases, and starts to run them when the batch before has ended. */
  async add(batch: readonly Prepared[]): Promise<void> {
    const artefact = await this.build(graphsOf(batch));
    await this.before;
    this.before = this.runBatch(batch, artefact);
    this.before.catch(() => {}); // add() or end() rejects with it
  }

  async end(): Promise<void> {
    await this.before;
  }

  close(): void {
    this.worker.close();
    rmSync(this.temporary, { recursive: true, force: true });
  }

  private async build(graphs: readonly Graph[]): Promise<Built> {
    const dir = join(this.temporary, `${this.built++}`);
    try {
      if (graphs.length > 0) await compile(graphs, dir, { name: "cases", target: this.target, meta: { task: "user" } });
      return { dir };
    } catch (e) {
      return { failure: e as Error };
    }
  }

  /** Runs a batch. If it could not be compiled, each case is compiled alone, so that only the cause of it fails. */
  private async runBatch(batch: readonly Prepared[], together: Built): Promise<void> {
    for (const p of batch) {
      const own = "failure" in together && batch.length > 1 ? await this.build(graphsOf([p])) : together;
      this.report(await this.runCase(p, own));
    }
    if ("dir" in together) rmSync(together.dir, { recursive: true, force: true });
  }

  private async runCase(p: Prepared, built: Built): Promise<Result> {
    const { name } = p.of;
    const constants = [...new Set(p.sets.flatMap((s) => s.bound))];
    const folded = p.sets.every((s) => !s.graph) && { folded: true as const };
    const about = { name, ...p.about, ...(constants.length > 0 && { constants }), ...folded };
    if ("failure" in built) return { ...about, status: "error", reason: built.failure.message };
    let total: Agreement = { error: 0, share: 0 };
    for (const s of p.sets) {
      let outputs: readonly Tensor[];
      try {
        outputs = modelOutputs(s, s.graph ? await this.worker.run(built.dir, s.job) : {});
      } catch (e) {
        return { ...about, status: "error", reason: `${s.set}: ${(e as Error).message}` };
      }
      this.write(name, s, outputs);
      const found = compareAll(outputs, s.expected, p.of.tolerance);
      if (typeof found === "string") return { ...about, status: "failed", reason: `${s.set}: ${found}` };
      total = { error: Math.max(total.error, found.error), share: Math.max(total.share, found.share) };
    }
    return { ...about, status: "passed", ...total };
  }

  private write(name: string, s: SetProgram, outputs: readonly Tensor[]): void {
    const dir = join(this.out, name, s.set);
    mkdirSync(dir, { recursive: true });
    for (const [i, t] of outputs.entries()) writeFileSync(join(dir, `output_${i}.pb`), encodeTensorFile(t));
  }
}

const graphsOf = (batch: readonly Prepared[]): Graph[] =>
  batch.flatMap((p) => p.sets.flatMap((s) => (s.graph ? [s.graph] : [])));
