// Simulates steps on 8 to 1,024 GPUs: the plan's kernels and messages with the model of NCCL's times. Everything is
// computed with optimistic and with pessimistic assumptions about two unknowns: the real speed of the network, and how
// much a running collective slows down the kernels.

import { BUCKET_BYTES } from "../../build/js/compiler/lower/collectives.js";
import { cluster, networks } from "./nccl.mjs";
import { planOf, programOf, published } from "./plans.mjs";
import { eventsOf, rebucket, simulate } from "./timeline.mjs";

const MiB = 1 << 20;
export const ends = {
  good: { network: "reckoned", tax: 0 },
  bad: { network: "measured", tax: 0.12 }, // 16 of 132 multiprocessors
};
export const bucketSizes = [1, 2, 4, 8, 16, 32, 64].map((n) => n * MiB);

/** Plans; each is lowered only once. */
class Plans {
  known = new Map();
  constructor(phase, sizes, say) {
    Object.assign(this, { phase, sizes, say });
  }
  get(perRank, ranks, shuffle = "load") {
    const key = `${perRank} images per GPU, ${ranks} GPUs, keys by ${shuffle}`;
    if (!this.known.has(key)) {
      this.say(`lowering: ${key}`);
      const plan = planOf({ sizes: this.sizes, perRank, ranks, shuffle, only: [this.phase] });
      const program = programOf(plan, this.phase, ranks);
      this.known.set(key, { plan, program, events: eventsOf(plan, program) });
    }
    return this.known.get(key);
  }
}

const SLOWER = 1.5; // times the predicted time, for kernels that reach two thirds of the predicted speed
const slower = (events) => events.map((e) => (e.do === "compute" ? { ...e, us: e.us * SLOWER } : e));
const bare = (rows) => rows.map(({ spans, ...row }) => row);

/** A step of `events` on `gpus` GPUs by both assumptions, compared with a step on one GPU of `alone` microseconds. */
function bothEnds(events, { gpus, perGpu, alone, nodes }, more) {
  return Object.entries(ends).map(([end, { network, tax }]) => {
    const t = simulate(events, { microseconds: (e) => networks[network](e.op, e.bytes, gpus, nodes), tax });
    return {
      gpus,
      images_a_gpu: perGpu,
      end,
      step_us: t.length,
      kernels_us: t.compute,
      collectives_us: t.communication,
      exposed_us: t.length - t.compute,
      efficiency: alone / t.length,
      images_per_s: (1e6 * gpus * perGpu) / t.length,
      spans: t.spans,
      ...more,
    };
  });
}

const ofBuckets = ({ plan, events }, at) =>
  bucketSizes.flatMap((bytes) => [
    ...bothEnds(rebucket(plan, events, bytes), at, { bucket_bytes: bytes, last_bytes: null }),
    ...bothEnds(rebucket(plan, events, bytes, MiB), at, { bucket_bytes: bytes, last_bytes: MiB }),
  ]);

/** Possible changes that are not implemented, and the case of slower kernels. */
const ofChanges = ({ plan, events }, at) => [
  ...bothEnds(events, at, { change: "as it is", slower: 1 }),
  ...bothEnds(rebucket(plan, events, BUCKET_BYTES, MiB), at, { change: "a last bucket of 1.0 MB", slower: 1 }),
  ...bothEnds(slower(events), { ...at, alone: at.alone * SLOWER }, { change: "as it is", slower: SLOWER }),
];

/**
 * All results: {settings, steps, buckets, shuffles, changes, timelines}, with times in microseconds. `gpus` and
 * `perGpu` are lists; `net` is the bus bandwidth between nodes in GB/s; `say` is called with progress messages.
 */
export function simulations({ gpus, perGpu, phase = "clean", sizes = published, net = cluster.net, say = () => {} }) {
  const nodes = { ...cluster, net };
  const plans = new Plans(phase, sizes, say);
  const out = {
    settings: { ...sizes, phase, cluster: nodes, ends },
    steps: [],
    buckets: [],
    shuffles: [],
    changes: [],
    timelines: [],
  };
  const few = new Set([gpus[0], gpus[gpus.length >> 1], gpus.at(-1)]);
  for (const per of perGpu) {
    const alone = simulate(plans.get(per, 1).events, { microseconds: () => 0 }).length;
    for (const n of gpus) {
      const loads = plans.get(per, n);
      const at = { gpus: n, perGpu: per, alone, nodes };
      const steps = bothEnds(loads.events, at, { work_bytes: loads.program.workBytes });
      out.steps.push(...bare(steps));
      out.buckets.push(...bare(ofBuckets(loads, at)));
      out.changes.push(...bare(ofChanges(loads, at)));
      if (!few.has(n)) continue;
      const sends = plans.get(per, n, "exchange");
      out.timelines.push(
        ...steps.map(({ gpus, images_a_gpu, end, step_us, spans }) => ({ gpus, images_a_gpu, end, step_us, spans })),
      );
      out.shuffles.push(...bare(steps).map((r) => ({ ...r, shuffle: "load" })));
      out.shuffles.push(
        ...bare(bothEnds(sends.events, at, { work_bytes: sends.program.workBytes, shuffle: "exchange" })),
      );
    }
  }
  return out;
}
