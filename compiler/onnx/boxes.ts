// Boxes of which those that overlap better ones are left out.

import { elements } from "../ir/types.js";
import type { At } from "./at.js";
import type { Tensor } from "./model.js";
import { numbersIn, tensorFrom } from "./numbers.js";

interface Box {
  readonly y: readonly [number, number];
  readonly x: readonly [number, number];
}

const ordered = (a: number, b: number): readonly [number, number] => (a < b ? [a, b] : [b, a]);
const around = (centre: number, size: number): readonly [number, number] => [centre - size / 2, centre + size / 2];
const area = ({ x, y }: Box): number => (x[1] - x[0]) * (y[1] - y[0]);

/** The area that both boxes cover, divided by the area that one of them covers. */
function overlap(p: Box, q: Box): number {
  const common = (a: readonly [number, number], b: readonly [number, number]): readonly [number, number] => [
    Math.max(a[0], b[0]),
    Math.min(a[1], b[1]),
  ];
  const both: Box = { x: common(p.x, q.x), y: common(p.y, q.y) };
  if (both.x[1] <= both.x[0] || both.y[1] <= both.y[0] || area(p) <= 0 || area(q) <= 0) return 0;
  return area(both) / (area(p) + area(q) - area(both));
}

/**
 * The output of a NonMaxSuppression of constant boxes [batches, boxes, 4] with scores [batches, classes, boxes]: batch,
 * class and number of each box that is kept, i64[kept, 3].
 */
export function suppressed(at: At): Tensor {
  const [boxes, scores] = [at.constant(0), at.constant(1)];
  const [batches = 0, n = 0] = boxes.dims;
  const [, classes = 0] = scores.dims;
  if (boxes.dims.join() !== [batches, n, 4].join() || scores.dims.join() !== [batches, classes, n].join())
    at.refuse(`scores [${scores.dims}] do not fit boxes [${boxes.dims}]`);
  at.memory.reserve("f64", [elements(boxes.dims) + elements(scores.dims) + batches * classes + n]);
  const option = (i: number): number | undefined => {
    if (!at.has(i)) return undefined;
    const t = at.constant(i);
    return elements(t.dims) > 0 ? numbersIn(t)[0] : undefined;
  };
  const [most, threshold, least] = [option(2) ?? 0, option(3) ?? 0, option(4) ?? -Infinity];
  const centred = at.int("center_point_box", 0) === 1;
  const [corners, score] = [numbersIn(boxes), numbersIn(scores)];
  const boxOf = (i: number): Box => {
    const [a, b, c, d] = corners.subarray(4 * i, 4 * i + 4) as unknown as [number, number, number, number];
    return centred ? { x: around(a, c), y: around(b, d) } : { y: ordered(a, c), x: ordered(b, d) };
  };
  const kept: number[] = [];
  for (let batch = 0; batch < batches; batch++)
    for (let c = 0; c < classes; c++) {
      const of = (i: number): number => score[(batch * classes + c) * n + i] as number;
      const order = Array.from({ length: n }, (_, i) => i).filter((i) => least === -Infinity || of(i) > least);
      order.sort((p, q) => of(q) - of(p) || p - q);
      const taken: Box[] = [];
      for (const i of order) {
        if (taken.length >= most) break;
        const box = boxOf(batch * n + i);
        if (taken.some((t) => overlap(t, box) > threshold)) continue;
        taken.push(box);
        kept.push(batch, c, i);
      }
    }
  return tensorFrom("i64", [kept.length / 3, 3], kept);
}
