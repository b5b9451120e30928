// One step of one rank on a GPU with two streams, as the runtime will run a plan: kernels one after the other in plan
// order, collectives beside them in the order in which they are begun, and `await`, where the kernels wait for all that
// were begun. Every rank does the same at the same time: nobody is late.

import { byteSize } from "../../build/js/compiler/ir/types.js";
import { cut } from "../../build/js/compiler/lower/collectives.js";
import { roomOf } from "../../build/js/compiler/lower/plan.js";
import { predictedMicroseconds } from "../../build/js/compiler/lower/roofline.js";
import { kindOf } from "./plans.mjs";

/**
 * A program as events in plan order: {do: "compute", us}, {do: "collective", op, kind, name, bytes: what a rank hands
 * over},
 * {do: "await"}. Times are those that the compiler predicts; copies read and write at the rate of memory. Neighbouring
 * gathers are one message, as the runtime sends them.
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
 * When everything happens, microseconds from the start of the step. `microseconds(event)` is how long a collective
 * takes;
 * `tax`: by how much kernels are slower while one runs (0.1: they do 0.9 of the work). Returns the step's length, the
 * time of kernels alone
 * (`compute`), of collectives alone (`communication`), what the kernels waited (`waited`), and all spans.
 */
export function simulate(events, { microseconds, tax = 0 }) {
  let now = 0; // of the kernels
  let free = 0; // from then on no collective runs of those begun
  const sum = { compute: 0, communication: 0, waited: 0 };
  const spans = [];
  for (const e of events) {
    if (e.do === "compute") {
      const shared = Math.max(0, free - now) * (1 - tax); // work that fits beside the collectives
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
 * The gradients of a program, as the compiler's buckets see them: extents of the arena and the event that makes each.
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
 * The same events with buckets of other sizes, by the compiler's own rule (lower/collectives.ts). `lastBytes`: the
 * bucket that is full last, at the start of the arena, is divided so that at most so many bytes are left for the end of
 * backward.
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
 * The bucket at the arena's start in two: its first members, up to `bytes`, and the others, which are there earlier.
 */
function divided(bucket, bytes) {
  const few = bucket.filter((m) => m.offset + m.room - bucket[0].offset <= bytes).length;
  const own = Math.max(1, few);
  return own >= bucket.length ? [bucket] : [bucket.slice(own), bucket.slice(0, own)];
}
