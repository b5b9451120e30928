// Simulates one step of one rank on a GPU with two streams, as the runtime runs a plan. Kernels run one after the other
// in plan order, collectives in parallel with them in the order in which they begin, and at an `await` the kernels wait
// for all collectives begun before. All ranks are assumed to do the same at the same time.

import { byteSize } from "../../build/js/compiler/ir/types.js";
import { cut } from "../../build/js/compiler/lower/collectives.js";
import { roomOf } from "../../build/js/compiler/lower/plan.js";
import { predictedMicroseconds } from "../../build/js/compiler/lower/roofline.js";
import { kindOf } from "./plans.mjs";

/**
 * A program as events in plan order: {do: "compute", us}, {do: "collective", op, kind, name, bytes}, with the bytes of
 * a rank's operand, and {do: "await"}. Times are the compiler's predictions; copies take the time of their reads and
 * writes of memory. Neighbouring gathers are one message, as in the runtime.
 */
export function eventsOf(plan, program) {
  return joined(
    program.steps.map((s) => {
      if (s.do === "launch") return { do: "compute", us: predictedMicroseconds(s, plan.target), step: s };
      if (s.do === "await") return { do: "await" };
      const to = byteSize(plan.tensors[s.to].type);
      if (s.do === "copy" || s.do === "own_rows")
        return { do: "compute", us: predictedMicroseconds({ bytes: 2 * to, flops: 0 }, plan.target) };
      return {
        do: "collective",
        op: s.do,
        kind: kindOf(plan, s),
        name: s.name,
        bytes: byteSize(plan.tensors[s.from].type),
        step: s,
      };
    }),
  );
}

function joined(events) {
  const out = [];
  for (const e of events) {
    const last = out.at(-1);
    if (e.op !== "all_gather" || last?.op !== "all_gather") out.push(e);
    else
      out[out.length - 1] = {
        ...last,
        kind: "small",
        name: "queries, labels, losses, mail",
        bytes: last.bytes + e.bytes,
      };
  }
  return out;
}

/**
 * Simulates a step. `microseconds(event)` returns the time of a collective; `tax` is the share of their speed that
 * kernels lose while a collective runs (0.1: they do 0.9 of the work). Returns, in microseconds, the step's `length`,
 * the time of the kernels alone (`compute`) and of the collectives alone (`communication`), and the time that the
 * kernels waited (`waited`); and all `spans`, with times from the start of the step.
 */
export function simulate(events, { microseconds, tax = 0 }) {
  let now = 0; // the time at which the kernels so far end
  let free = 0; // the time at which the collectives so far end
  const sum = { compute: 0, communication: 0, waited: 0 };
  const spans = [];
  for (const e of events) {
    if (e.do === "compute") {
      const shared = Math.max(0, free - now) * (1 - tax); // work that is done while collectives run
      now += e.us <= shared ? e.us / (1 - tax) : Math.max(0, free - now) + e.us - shared;
      sum.compute += e.us;
    } else if (e.do === "collective") {
      const us = microseconds(e);
      const begin = Math.max(now, free);
      free = begin + us;
      sum.communication += us;
      spans.push({ kind: e.kind, name: e.name, bytes: e.bytes, begun: now, begin, end: free });
    } else {
      const begin = now;
      now = Math.max(now, free);
      sum.waited += now - begin;
      if (now > begin) spans.push({ kind: "waiting", name: "", bytes: 0, begun: begin, begin, end: now });
    }
  }
  return { length: Math.max(now, free), ...sum, spans };
}

/**
 * The gradients of a program in the form of the compiler's bucketing: extents in the arena, and the event that makes
 * each.
 */
function gradientsOf(plan, events) {
  const buckets = events.filter((e) => e.do === "collective" && e.kind === "gradients");
  const first = events.findIndex((e) => e.kind === "gradients" && e.do === "collective");
  const last = events.lastIndexOf(buckets.at(-1));
  if (first < 0) return { buckets, members: [] };
  const within = (t) =>
    buckets.some(({ step }) => {
      const b = plan.tensors[step.from];
      return t.arena === "grad" && b.offset <= t.offset && t.offset + byteSize(t.type) <= b.offset + byteSize(b.type);
    });
  const made = new Map();
  for (const [i, e] of events.slice(0, last).entries()) {
    if (e.do !== "compute" || !e.step) continue;
    for (const t of e.step.args.map((a) => plan.tensors[a]).filter(within)) {
      const known = made.get(t.offset);
      made.set(t.offset, {
        offset: t.offset,
        room: Math.max(known?.room ?? 0, roomOf(t.type)),
        bytes: Math.max(known?.bytes ?? 0, byteSize(t.type)),
        made: i,
      });
    }
  }
  return { buckets, members: [...made.values()] };
}

/**
 * The same events with buckets of another size, by the compiler's rule (lower/collectives.ts). The bucket at the start
 * of the arena, which is complete last, is divided so that about `lastBytes` bytes at most are left to send at the end
 * of the backward pass.
 */
export function rebucket(plan, events, bucketBytes, lastBytes = Infinity) {
  const { buckets, members } = gradientsOf(plan, events);
  const cuts = cut(members, [], bucketBytes);
  const made = [...cuts.slice(0, -1), ...divided(cuts.at(-1) ?? [], lastBytes)].map((b) => {
    const [from, to] = [b[0], b.at(-1)];
    const bytes = to.offset + to.bytes - from.offset;
    return {
      after: Math.max(...b.map((m) => m.made)),
      event: { ...buckets[0], name: `${b.length} gradients`, bytes, step: undefined },
    };
  });
  return events.flatMap((e, i) => [
    ...(buckets.includes(e) ? [] : [e]),
    ...made.filter((m) => m.after === i).map((m) => m.event),
  ]);
}

/**
 * The bucket at the arena's start in two: its first members, up to `bytes` but at least one, and the others, which are
 * complete earlier.
 */
function divided(bucket, bytes) {
  const few = bucket.filter((m) => m.offset + m.room - bucket[0].offset <= bytes).length;
  const own = Math.max(1, few);
  return own >= bucket.length ? [bucket] : [bucket.slice(own), bucket.slice(0, own)];
}
