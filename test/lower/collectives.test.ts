// Buckets of gradients: the range of the arena that one all_reduce covers, and when it begins.

import test from "ava";
import type { Value } from "../../compiler/ir/types.js";
import { scheduleCollectives } from "../../compiler/lower/collectives.js";
import type { Place, PlacedStep } from "../../compiler/lower/memory.js";
import type { Lowered } from "../../compiler/lower/select.js";

const gradient = (name: string, ...shape: readonly number[]): Value => ({ name, type: { dtype: "f32", shape } });

/** A launch that writes `v` and reads nothing. */
function makes(v: Value): PlacedStep {
  const shape = { tasks: [1], workspaceBytes: 0, scratchBytes: 0 };
  const launch: Lowered = {
    kernel: { symbol: "k", template: "k", header: "", source: "", threads: 0, sharedBytes: 0 },
    name: v.name,
    args: [v],
    scalars: [],
    reads: [],
    writes: [v],
    mayOverwrite: new Map(),
    flat: false,
    rows: 1,
    groups: 1,
    shape,
    launchOver: () => shape,
    flops: 0,
    bytes: 0,
    maps: [],
    packed: new Map(),
    mirrors: new Set(),
  };
  return { do: "launch", launch, workspace: 0 };
}
const reduces = (v: Value): PlacedStep => ({ do: "collective", op: "all_reduce", from: v, to: v, name: v.name });

/** Gradients at these offsets of their arena, written and reduced from the last to the first, as backward does. */
function scheduled(gradients: readonly (readonly [Value, number])[], bucketBytes: number) {
  const place = new Map<Value, Place>(gradients.map(([v, offset]) => [v, { arena: "grad", offset }]));
  const steps = gradients.toReversed().flatMap(([v]) => [makes(v), reduces(v)]);
  const { steps: all, place: at } = scheduleCollectives(steps, place, bucketBytes);
  return all.flatMap((s, i) =>
    s.do === "collective"
      ? [{ at: i, name: s.name, shape: s.to.type.shape, same: s.from === s.to, offset: at.get(s.to)?.offset }]
      : [],
  );
}

// 3 and 20 floats take 64 and 128 bytes with the gap behind them
const [a, b, c] = [gradient("a", 3), gradient("b", 4, 5), gradient("c", 2, 7)] as const;
const three = [
  [a, 64],
  [b, 128],
  [c, 256],
] as const;

test("a bucket reaches from its first gradient to the last element of its last one, over gaps", (t) => {
  const [bucket, ...others] = scheduled(three, 1 << 20);
  t.deepEqual(others, []);
  t.deepEqual(bucket, {
    at: 3, // behind the launch that makes the last of the three, which is a
    name: "a .. c",
    shape: [(256 - 64) / 4 + 14],
    same: true,
    offset: 64,
  });
});

test("a full bucket is begun as soon as its gradients are there; a gradient alone keeps its own shape", (t) => {
  t.deepEqual(scheduled(three, 192), [
    { at: 2, name: "b .. c", shape: [(256 - 128) / 4 + 14], same: true, offset: 128 },
    { at: 4, name: "a", shape: [3], same: true, offset: 64 },
  ]);
});
