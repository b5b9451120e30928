// Compares two runs of the same replay file, step by step. Finds the first difference, the first one that is larger
// than between two correct implementations, and the largest of each kind.

import { exponent, scalarError, tensorError } from "./numbers.mjs";
import { gradients, joined, parts, statesBefore } from "./run.mjs";
import { BadFile } from "./safetensors.mjs";

/**
 * Bounds of a single step from equal state: relative for losses, each tensor of the new state and each gradient;
 * absolute for margins.
 */
export const tolerance = { loss: 1e-5, state: 1e-4, gradient: 1e-3, margin: 1e-5 };
/**
 * Bounds of a run of several steps: `factor` times the spread of the reference's variants, but at least `floor`. For
 * gradients (and momenta, their sums) the floor is the bound of a single step, because one other decision, where all
 * variants decide alike, makes that much difference.
 */
const factor = 10;
const floor = { loss: 1e-5, state: 1e-5, gradient: tolerance.gradient };

const losses = ["loss_cls", "loss_inst", "loss_proto", "loss"];
const accuracies = ["acc_cls", "acc_inst", "acc_proto"];
const labels = ["target", "kept", "clean"];

/**
 * Compares `a` with the reference `b` (openRun). `variants`: runs of the reference from the same start that differ only
 * in the order of their sums; with them, the two runs may differ as far as the variants do. `replay` and `resume` have
 * the states before steps, from which gradients are computed. Returns {steps, all: every compared number, first,
 * beyond, worst: by kind, phases: the same by phase, labels: how many were compared, parted: the first step with other
 * labels, beyondSteps, notes}.
 */
export function compareRuns(a, b, { variants = [], replay, resume } = {}) {
  if (a.steps.length !== b.steps.length)
    throw new BadFile(`${a.path} has ${a.steps.length} steps, ${b.path} has ${b.steps.length}`);
  const free = variants.length > 0;
  const before = statesBefore({ replay, resume });
  const report = {
    steps: a.steps.length,
    free,
    all: [],
    first: undefined,
    beyond: undefined,
    worst: {},
    phases: {},
    parted: undefined,
    beyondSteps: new Set(),
    notes: [],
    labels: 0,
    close: 0,
  };
  const runs = [a, b, ...variants];
  let previous = runs.map(() => undefined);
  const spread = new Map(); // quantity -> largest so far, because a difference that shrinks grows again
  for (let i = 0; i < a.steps.length && report.parted === undefined; i++) {
    const states = runs.map((r) => r.state(i));
    const views = runs.map((r, k) => view(r.steps[i], states[k], before(i, previous[k])));
    const allowed = free ? allowedBy(spread, views) : (q) => q.allowed;
    const place = { step: i, phase: b.steps[i].phase };
    previous = states;
    const accepted = compareLabels(report, place, views, free);
    if (accepted) {
      report.notes.push(`step ${i}: ${accepted}`);
      if (free) report.parted = i;
      continue;
    }
    for (const q of quantities(views[0], views[1], free)) record(report, { ...place, ...q, allowed: allowed(q) });
  }
  if (report.parted === undefined) compareTensors(report, a, b, free);
  if (report.close > 0)
    report.notes.push(`${report.close} accuracies differ because a decision is closer than the runs are`);
  return { ...report, beyondSteps: [...report.beyondSteps] };
}

/** The parts of a step of one run that can be compared. */
const view = (step, state, before) => ({ step, state, gradients: gradients(before, state) });

/** Yields the differences of all quantities of a step, in the order in which they are computed. */
function* quantities(x, y, free) {
  for (const name of losses) yield* scalars(x.step, y.step, name, "loss", tolerance.loss);
  if (x.gradients && y.gradients && !free) {
    for (const [name, g] of y.gradients)
      yield {
        kind: "gradient",
        tensor: `grad.${name}`,
        allowed: tolerance.gradient,
        ...against(x.gradients.get(name), g),
      };
  } else if (x.gradients && y.gradients) {
    yield {
      kind: "gradient",
      tensor: "all gradients",
      ...tensorError(
        joined(x.gradients, () => true),
        joined(y.gradients, () => true),
      ),
    };
  } else {
    for (const [name, norm] of Object.entries(y.step.grad_l2 ?? {})) {
      const own = x.step.grad_l2?.[name];
      if (own !== undefined)
        yield {
          kind: "gradient",
          tensor: `norm of grad.${name}`,
          allowed: tolerance.gradient,
          ...scalarError(own, norm),
        };
    }
  }
  if (!x.state || !y.state) return;
  for (const [name, t] of y.state.tensors) {
    const exact = t.data instanceof BigInt64Array;
    if (exact || !free)
      yield {
        kind: "state",
        tensor: name,
        exact,
        allowed: exact ? 0 : tolerance.state,
        ...against(x.state.tensors.get(name), t),
      };
  }
  if (free)
    for (const [name, belongs] of Object.entries(parts))
      yield {
        kind: name === "momenta" ? "gradient" : "state",
        tensor: name,
        ...tensorError(joined(x.state.tensors, belongs), joined(y.state.tensors, belongs)),
      };
}

const missing = {
  error: Number.POSITIVE_INFINITY,
  absolute: Number.POSITIVE_INFINITY,
  ulp: Number.POSITIVE_INFINITY,
};
const against = (x, y) => (x ? tensorError(x, y) : { ...missing, a: "missing", b: `[${y.shape}]` });

/** Yields the differences of a quantity with one value per group. */
function* scalars(x, y, name, kind, allowed) {
  const [mine, theirs] = [x[name], y[name]];
  if (!Array.isArray(mine) || !Array.isArray(theirs) || mine.length !== theirs.length) {
    yield { kind, tensor: name, allowed, ...missing, a: JSON.stringify(mine), b: JSON.stringify(theirs) };
    return;
  }
  for (const [g, b] of theirs.entries()) {
    const a = mine[g];
    const tensor = theirs.length === 1 ? name : `${name}[group ${g}]`;
    if (a === null || b === null)
      yield { kind, tensor, allowed, ...(a === b ? { error: 0, absolute: 0, ulp: 0 } : missing), a, b };
    else yield { kind, tensor, allowed, ...scalarError(a, b) };
  }
}

/**
 * Returns the function for the bound of each quantity of a step, from the largest difference so far between the
 * reference and its variants.
 */
function allowedBy(spread, [, base, ...variants]) {
  for (const v of variants)
    for (const q of quantities(v, base, true)) spread.set(q.tensor, Math.max(spread.get(q.tensor) ?? 0, q.error));
  return (q) => (q.exact ? 0 : Math.max(floor[q.kind], factor * (spread.get(q.tensor) ?? 0)));
}

/**
 * Compares labels, counts and accuracies, and records differences. If labels differ for an acceptable reason, returns
 * that reason.
 */
function compareLabels(report, place, [x, y, ...variants], free) {
  const near = (name) => Math.max(tolerance.margin, free ? factor * marginSpread(y.step, variants, name) : 0);
  const given = y.step.target?.flat() ?? [];
  report.labels += given.filter((v) => v !== null).length;
  for (const name of labels) {
    const [mine, theirs] = [x.step[name], y.step[name]].map((v) => (v ?? []).flat());
    const wrong = theirs.findIndex((v, i) => mine[i] !== v);
    if (wrong < 0 && mine.length === theirs.length) continue;
    const margins = (y.step.margin ?? []).flat();
    const closest = name === "clean" ? Math.min(...margins) : margins[wrong];
    if (typeof closest === "number" && closest < near("margin"))
      return `${name} differs at a margin of ${exponent(closest)}, so nothing more is compared`;
    record(report, {
      ...place,
      kind: "label",
      tensor: `${name}[${wrong}]`,
      allowed: 0,
      ...missing,
      a: mine[wrong],
      b: theirs[wrong],
    });
  }
  for (const name of accuracies) {
    const gap = name.replace("acc", "gap");
    for (const [g, b] of (y.step[name] ?? []).entries()) {
      const a = x.step[name]?.[g];
      if (a === b || (a !== null && b !== null && Math.abs(a - b) < 1e-3)) continue;
      const margin = y.step[gap]?.[g];
      if (typeof margin === "number" && margin < near(gap)) report.close++;
      else
        record(report, {
          ...place,
          kind: "label",
          tensor: `${name}[group ${g}]`,
          allowed: 0,
          ...missing,
          a,
          b,
        });
    }
  }
  return undefined;
}

/** The largest difference between the variants' margins and the reference's. */
function marginSpread(step, variants, name) {
  const own = (step[name] ?? []).flat();
  return Math.max(0, ...variants.flatMap((v) => (v.step[name] ?? []).flat().map((m, i) => Math.abs(m - own[i]))));
}

/** Compares norm, mean and first elements of the final state, for runs that did not write their states. */
function compareTensors(report, a, b, free) {
  const place = { step: b.steps.length - 1, phase: b.steps.at(-1)?.phase };
  if (free || (a.state(place.step) && b.state(place.step))) return;
  for (const [name, t] of b.tensors) {
    const own = a.tensors.get(name);
    const size = Math.abs(t.l2) || 1;
    const of = (x, y) => ({ ...scalarError(x, y), error: x === y ? 0 : Math.abs(x - y) / size });
    const at = { ...place, kind: "state", allowed: tolerance.state };
    if (!own) record(report, { ...at, tensor: name, ...missing, a: "missing", b: "there" });
    else {
      record(report, { ...at, tensor: `norm of ${name}`, ...of(own.l2, t.l2) });
      record(report, { ...at, tensor: `mean of ${name}`, ...of(own.mean, t.mean) });
      for (const [i, y] of t.first.entries())
        record(report, { ...at, tensor: `${name}[${i}]`, ...of(own.first?.[i] ?? Number.NaN, y) });
    }
  }
  for (const name of a.tensors.keys())
    if (!b.tensors.has(name))
      record(report, {
        ...place,
        kind: "state",
        tensor: name,
        allowed: 0,
        ...missing,
        a: "there",
        b: "missing",
      });
}

function record(report, q) {
  const share = q.allowed > 0 ? q.error / q.allowed : q.error === 0 ? 0 : Number.POSITIVE_INFINITY;
  report.all.push({ ...q, share });
  if (q.error !== 0) report.first ??= q;
  if (!(share <= 1)) {
    report.beyond ??= q;
    report.beyondSteps.add(q.step);
  }
  report.phases[q.phase] ??= {};
  for (const worst of [report.worst, report.phases[q.phase]])
    if (!worst[q.kind] || share > worst[q.kind].share) worst[q.kind] = { ...q, share };
}
