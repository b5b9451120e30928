// The bytes that a rank sends per step: those of the plan's collectives, the least that is necessary, and those of the
// published PyTorch code for the same step. All are computed for algorithms that reach the lower bound: an all_reduce
// of S bytes sends 2 (N-1)/N S, an all_gather of S bytes per rank (N-1) S, a broadcast of S bytes on average (N-1)/N S.

import { byteSize } from "../../build/js/compiler/ir/types.js";
import { collectivesOf, phases, planOf, programOf, published } from "./plans.mjs";

export const kinds = ["gradients", "keys", "queries", "labels", "losses", "mail", "images"];

/** The bytes that each of `ranks` ranks sends for a collective with an operand of `bytes` bytes per rank. */
export function sent(op, bytes, ranks) {
  if (op === "all_gather") return (ranks - 1) * bytes;
  return ((op === "all_reduce" ? 2 : 1) * (ranks - 1) * bytes) / ranks;
}

/**
 * The bytes of the operands of a rank's collectives in a step of a program, by kind and in total. The counter of a run
 * has the same value (runtime/comm/queue.h).
 */
export function handedOver(plan, program) {
  const by = Object.fromEntries(kinds.map((k) => [k, 0]));
  for (const c of collectivesOf(plan, program)) by[c.kind] += c.bytes;
  return { ...by, total: Object.values(by).reduce((a, b) => a + b, 0) };
}

/** The bytes that a rank sends in a step of a program, by kind and in total. */
export function sentBy(plan, program, ranks) {
  const by = Object.fromEntries(kinds.map((k) => [k, 0]));
  for (const c of collectivesOf(plan, program)) by[c.kind] += sent(c.op, c.bytes, ranks);
  return { ...by, total: Object.values(by).reduce((a, b) => a + b, 0) };
}

/** The elements of the trained parameters, and the bytes of what the published code registers as buffers. */
function stateOf(plan) {
  const entries = plan.state.map((s) => ({ role: s.role, ...plan.tensors[s.tensor] }));
  const trained = entries.filter((e) => e.role === "param");
  const buffers = entries.filter(
    (e) => e.role === "buffer" && /running_|num_batches_tracked$|^queue|^prototypes$/.test(e.name),
  );
  const bytes = (of) => of.reduce((n, e) => n + byteSize(e.type), 0);
  return { trained: bytes(trained) / 4, buffers: bytes(buffers) };
}

/**
 * The least that is necessary for the same results: each parameter's gradient once in f32, keys and queries in f32, a
 * label of 8 bytes and a byte that says whether it is kept. Losses and mail are only for people and are not counted.
 * The plan can send a little less, because equal gradients (of the two offsets that are added at the end of a block)
 * are sent once.
 */
function least(plan, phase, { perRank, lowDim, ranks }) {
  const rows = 2 * perRank * lowDim * 4 + perRank * 8 + (phase === "clean" ? perRank : 0);
  return sent("all_reduce", 4 * stateOf(plan).trained, ranks) + sent("all_gather", rows, ranks);
}

/**
 * The published code under DistributedDataParallel, from its algorithm: gradients of the query encoder in f32; all
 * buffers broadcast from rank 0 before each forward (DDP's default; queue and prototypes are buffers there); key images
 * gathered as f32 pixels, the permutation broadcast as i64; keys gathered twice (to undo the permutation, and for the
 * queue), queries once; labels, and in the clean phase flags, as i64.
 */
export function publishedStep(plan, phase, { perRank, lowDim, imageSize, ranks }) {
  const { trained, buffers } = stateOf(plan);
  const gather = (bytes) => sent("all_gather", bytes, ranks);
  const keys = perRank * lowDim * 4;
  const by = {
    gradients: sent("all_reduce", 4 * trained, ranks),
    keys: gather(2 * keys),
    queries: gather(keys),
    labels: gather(perRank * 8 * (phase === "clean" ? 2 : 1)),
    losses: 0,
    mail: 0,
    images: gather(perRank * 3 * imageSize ** 2 * 4),
    buffers: sent("broadcast", buffers, ranks),
    permutation: sent("broadcast", 8 * perRank * ranks, ranks),
  };
  return { ...by, total: Object.values(by).reduce((a, b) => a + b, 0) };
}

/**
 * The rows of the table, one per phase, number of ranks and images per rank. `exchange`: the bytes if key images are
 * exchanged instead of loaded.
 */
export function wire({ ranks, perRank, sizes = published, only = phases, say = () => {} }) {
  const rows = [];
  for (const per of perRank) {
    for (const n of ranks) {
      say(`lowering: ${per} images per rank, ${n} ranks`);
      const of = { perRank: per, ranks: n, lowDim: sizes.lowDim, imageSize: sizes.imageSize };
      const plans = {
        load: planOf({ sizes, ...of, only }),
        exchange: planOf({ sizes, ...of, only, shuffle: "exchange" }),
      };
      for (const phase of only) {
        const plan = plans.load;
        const sends = sentBy(plan, programOf(plan, phase, n), n);
        const least_ = least(plan, phase, of);
        rows.push({
          phase,
          ranks: n,
          images_a_rank: per,
          sent: sends,
          exchange: sentBy(plans.exchange, programOf(plans.exchange, phase, n), n).total,
          handed_over: handedOver(plan, programOf(plan, phase, n)).total,
          least: least_,
          published: publishedStep(plan, phase, of),
        });
      }
    }
  }
  return rows;
}
