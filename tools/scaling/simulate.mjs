// Steps on 8 to 1,024 GPUs, simulated: the plan's own kernels and messages on the model of NCCL's times. Everything is worked out twice, for
// both ends of what is not known: how fast the network really is, and what a running collective takes from the kernels.

import { cluster, networks } from "./nccl.mjs";
import { planOf, programOf, published } from "./plans.mjs";
import { eventsOf, rebucket, simulate, together } from "./timeline.mjs";

const MiB = 1 << 20;
export const ends = {
  good: { network: "reckoned", tax: 0 },
  bad: { network: "measured", tax: 0.12 }, // 16 of 132 multiprocessors
};
export const bucketSizes = [1, 2, 4, 8, 16, 32, 64].map((n) => n * MiB);

/** Plans, lowered once each. */
class Plans {
  known = new Map();
  constructor(phase, sizes, say) {
    Object.assign(this, { phase, sizes, say });
  }
  get(perRank, ranks, shuffle = "load") {
    const key = `${perRank} images a GPU, ${ranks} GPUs, keys by ${shuffle}`;
    if (!this.known.has(key)) {
      this.say(`lowering: ${key}`);
      const plan = planOf({ sizes: this.sizes, perRank, ranks, shuffle, only: [this.phase] });
      const program = programOf(plan, this.phase, ranks);
      this.known.set(key, { plan, program, events: eventsOf(plan, program) });
    }
    return this.known.get(key);
  }
}

const slower = (events, factor) => (factor === 1 ? events : events.map((e) => (e.do === "compute" ? { ...e, us: e.us * factor } : e)));

/** One row: a step of `events` on `gpus` GPUs beside a step on one that takes `alone` microseconds. */
function row(events, { gpus, perGpu, alone, end }) {
  const { network, tax } = ends[end];
  const t = simulate(events, { microseconds: (e) => networks[network](e.op, e.bytes, gpus), tax });
  return {
    gpus, images_a_gpu: perGpu, end, step_us: t.length, kernels_us: t.compute, collectives_us: t.communication, exposed_us: t.length - t.compute,
    efficiency: alone / t.length, images_per_s: (1e6 * gpus * perGpu) / t.length, spans: t.spans,
  };
}

/**
 * All results: {settings, steps, buckets, shuffles, changes, timelines}. `gpus`, `perGpu`: lists; `say` hears how far it is.
 */
export function simulations({ gpus, perGpu, phase = "clean", sizes = published, say = () => {} }) {
  const plans = new Plans(phase, sizes, say);
  const out = { settings: { ...sizes, phase, cluster, ends }, steps: [], buckets: [], shuffles: [], changes: [], timelines: [] };
  const few = [gpus[0], gpus[gpus.length >> 1], gpus.at(-1)].filter((n, i, all) => all.indexOf(n) === i);
  for (const per of perGpu) {
    const alone = simulate(plans.get(per, 1).events, { microseconds: () => 0 }).length;
    for (const n of gpus) {
      const { plan, program, events } = plans.get(per, n);
      const both = (of, more) => Object.keys(ends).map((end) => ({ ...row(of, { gpus: n, perGpu: per, alone, end }), ...more }));
      const bare = (rows) => rows.map(({ spans, ...r }) => r);
      const steps = both(events, { work_bytes: program.workBytes });
      out.steps.push(...bare(steps));
      if (few.includes(n)) out.timelines.push(...steps.map(({ gpus, images_a_gpu, end, step_us, spans }) => ({ gpus, images_a_gpu, end, step_us, spans })));
      for (const bytes of bucketSizes) {
        out.buckets.push(...bare(both(rebucket(plan, events, bytes), { bucket_bytes: bytes, last_bytes: null })));
        out.buckets.push(...bare(both(rebucket(plan, events, bytes, MiB), { bucket_bytes: bytes, last_bytes: MiB })));
      }
      const changed = { "as it is": events, "one small message": together(events), "and a last bucket of 1 MiB": together(rebucket(plan, events, 16 * MiB, MiB)) };
      for (const [change, of] of Object.entries(changed)) out.changes.push(...bare(both(of, { change, slower: 1 })));
      const half = Object.keys(ends).map((end) => ({ ...row(slower(events, 1.5), { gpus: n, perGpu: per, alone: alone * 1.5, end }), change: "as it is", slower: 1.5 }));
      out.changes.push(...bare(half));
      if (!few.includes(n)) continue;
      const sent = plans.get(per, n, "exchange");
      out.shuffles.push(...bare(steps).map((r) => ({ ...r, shuffle: "load" })));
      out.shuffles.push(...bare(both(sent.events, { work_bytes: sent.program.workBytes })).map((r) => ({ ...r, shuffle: "exchange" })));
    }
  }
  return out;
}
