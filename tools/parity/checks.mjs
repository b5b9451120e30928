// The comparisons of one network: single steps from equal state, several steps in a row, and checkpoints of one side
// that the other one continues.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { compareRuns } from "../replay/compare.mjs";
import { exponent } from "../replay/numbers.mjs";
import { from } from "../replay/run.mjs";
import { readJson } from "../replay/safetensors.mjs";
import { cut } from "./sides.mjs";

/** Flags of the peer that change only the rounding of the reference: threads, layout, precision. */
const variants = { threads: ["--threads", "2"], layout: ["--channels-last"], f64: ["--f64"] };
// Single steps from equal state are large, so that a wrong one shows. In a run of 50 steps, rounding would grow to the
// size of the gradients on any two machines, and the comparison would say nothing. So these steps are small, and blocks
// begin close to the identity (--damp: the weight of their last BatchNorm). A network of 16 blocks needs that even for
// a single step (config.damp): without it, PyTorch's own loss changes by 1.4e-5 with the layout of the images.
const equalSteps = ["clean:8,proto:8,warmup:8", "--lr", "0.005"];
const freeSteps = ["clean:17,proto:17,warmup:16", "--lr", "5e-5", "--damp", "0.2"];
const half = 25; // the step at which the other side continues from a checkpoint

/** Yields all comparisons of a configuration as [what, report]. */
export function* checks(sides) {
  yield ["equal state", equalState(sides)];
  const replay = sides.batches("free", ...freeSteps);
  const reference = sides.theirs("reference", sides.start, replay);
  const spread = Object.entries(variants).map(([name, flags]) => sides.theirs(name, sides.start, replay, ...flags));
  yield [
    "free-running",
    compareRuns(sides.ours("own", sides.start, replay), reference, {
      variants: spread,
      replay,
      resume: sides.start,
    }),
  ];
  if (!sides.config.crossing) return;
  const first = cut(replay, 0, half, join(sides.dir, "first.safetensors"));
  const second = cut(replay, half, reference.steps.length, join(sides.dir, "second.safetensors"));
  const rest = (run, resume) =>
    compareRuns(run, from(reference, half), { variants: spread.map((v) => from(v, half)), resume });
  const saved = join(sides.dir, "saved");
  sides.ours("own first", sides.start, first, { more: ["--exp-dir", saved] });
  const own = join(saved, "checkpoint_0001_000008.safetensors");
  yield ["ours, then PyTorch", rest(sides.theirs("then theirs", own, second), own)];
  const theirs = join(sides.dir, "theirs.safetensors");
  sides.theirs("theirs first", sides.start, first, "--save", theirs);
  yield ["PyTorch, then ours", rest(sides.ours("then own", theirs, second), theirs)];
}

/** Compares single steps, each from the reference's state before it. */
function equalState(sides) {
  const { damp } = sides.config;
  const batches = sides.batches("equal batches", ...equalSteps, ...(damp ? ["--damp", `${damp}`] : []));
  const replay = join(sides.dir, "equal.safetensors");
  const reference = sides.theirs("equal reference", sides.start, batches, "--equal", replay);
  const report = compareRuns(sides.ours("equal", sides.start, replay), reference, {
    replay,
    resume: sides.start,
  });
  const proofs = report.beyondSteps.map((i) => [i, sameDecisions(sides, replay, i)]);
  return without(report, proofs);
}

/**
 * Repeats a step that exceeds the tolerance. If a ReLU or pooling decision is close, the reference takes the compiled
 * step's, so a difference that remains does not come from decisions.
 */
function sameDecisions(sides, replay, i) {
  if (!existsSync(join(sides.dir, "keep")))
    sides.compile("keep", "--keep-values", ...(sides.config.images === "f32" ? ["--image-input", "f32"] : []));
  const one = cut(replay, i, i + 1, join(sides.dir, `step ${i}.safetensors`));
  const folder = join(sides.dir, `dump ${i}`);
  const own = sides.ours(`step ${i}`, sides.start, one, {
    artefact: "keep",
    more: ["--dump-step", "0", "--dump", folder],
  });
  const decided = sides.theirs(
    `step ${i} decided`,
    sides.start,
    one,
    "--decisions",
    join(folder, "step_000000.safetensors"),
  );
  return {
    report: compareRuns(own, decided, { replay: one, resume: sides.start }),
    reversed: readJson(join(decided.path, "trace.json")).reversed,
  };
}

/** The report with the results of the repeated steps in place of their first results. */
function without(report, proofs) {
  if (proofs.length === 0) return report;
  const kept = report.all.filter((q) => !report.beyondSteps.includes(q.step));
  const repeated = proofs.flatMap(([i, p]) => p.report.all.map((q) => ({ ...q, step: i })));
  const worse = (a, b) => (a && a.share >= b.share ? a : b);
  const phases = {};
  for (const q of [...kept, ...repeated]) {
    phases[q.phase] ??= {};
    phases[q.phase][q.kind] = worse(phases[q.phase][q.kind], q);
  }
  const notes = proofs.map(([i, { reversed }]) => {
    const list = reversed.slice(0, 3).map((d) => `${d.value}, ${exponent(d.distance)} from even`);
    const more = reversed.length > 3 ? "; ..." : "";
    return `step ${i}: repeated with ${reversed.length} decisions of the compiled step (${list.join("; ")}${more})`;
  });
  return {
    ...report,
    phases,
    notes: [...report.notes, ...notes],
    beyond: repeated.find((q) => !(q.share <= 1)),
  };
}
