// The geometry of operators with windows: kernel, strides, dilations and padding as attributes of a node, and how many
// positions a window has.

import { sameShape } from "../../ir/types.js";
import type { Window } from "../../ops/composed/window.js";
import type { At } from "../at.js";

type Shape = readonly number[];

/** The spatial axes of x [N, C, ...]. */
export function pixelsOf(at: At, i = 0): Shape {
  const shape = at.shape(i);
  if (shape.length < 3) at.refuse(`x has ${shape.length} axes, of which none are pixels`);
  return shape.slice(2);
}

/** The extent of a window from its first to its last element. */
const reach = (k: number, dilation: number): number => (k - 1) * dilation + 1;

/** The attributes of a window before the padding is known. */
export function kernelOf(at: At, n: number, kernel = at.ints("kernel_shape")) {
  if (!kernel) return at.refuse("it does not name its kernel_shape");
  const named = at.ints("kernel_shape") ?? kernel;
  if (!sameShape(named, kernel)) at.refuse(`kernel_shape [${named}] is not that of the weights, [${kernel}]`);
  const strides = at.ints("strides") ?? Array<number>(n).fill(1);
  const dilations = at.ints("dilations") ?? Array<number>(n).fill(1);
  const pads = at.ints("pads");
  const auto = at.text("auto_pad", "NOTSET") || "NOTSET";
  if (kernel.length !== n || strides.length !== n || dilations.length !== n || (pads && pads.length !== 2 * n))
    at.refuse(`kernel_shape, strides, dilations or pads are not for ${n} axes of pixels`);
  if ([...kernel, ...strides, ...dilations].some((d) => d < 1))
    at.refuse(`kernel_shape [${kernel}], strides [${strides}] or dilations [${dilations}] are not positive`);
  if (!["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"].includes(auto)) at.refuse(`auto_pad ${auto} is not known`);
  return { kernel, strides, dilations, pads: auto === "NOTSET" ? pads : undefined, auto };
}

/** `total` divided between both ends of each axis; of an odd number, SAME_UPPER puts more at the end. */
export function shared(auto: string, total: Shape): { before: number[]; after: number[] } {
  const [less, more] = [total.map((p) => Math.floor(p / 2)), total.map((p) => Math.ceil(p / 2))];
  return auto === "SAME_UPPER" ? { before: less, after: more } : { before: more, after: less };
}

/** The window that a node describes on `pixels`. `kernel` is absent for a pooling, which must name it. */
export function windowOf(at: At, pixels: Shape, kernel?: Shape): Window {
  const { pads, auto, ...w } = kernelOf(at, pixels.length, kernel);
  const up = at.int("ceil_mode", 0) === 1;
  const size = pixels.map((_, i) => reach(w.kernel[i] as number, w.dilations[i] as number));
  const zeros = pixels.map(() => 0);
  const same = pixels.map((d, i) => {
    const s = w.strides[i] as number;
    return Math.max(0, (Math.ceil(d / s) - 1) * s + (size[i] as number) - d);
  });
  const given = pads && { before: pads.slice(0, pixels.length), after: pads.slice(pixels.length) };
  const { before, after } = auto.startsWith("SAME") ? shared(auto, same) : (given ?? { before: zeros, after: zeros });
  const out = pixels.map((d, i) => {
    const [s, first] = [w.strides[i] as number, d + (before[i] as number)];
    const steps = (first + (after[i] as number) - (size[i] as number)) / s;
    const n = (up ? Math.ceil(steps) : Math.floor(steps)) + 1;
    return up && (n - 1) * s >= first ? n - 1 : n; // a window that begins in the padding at the end is left out
  });
  if (out.some((n) => n < 1)) at.refuse(`a window of [${size}] does not fit [${pixels}] elements and their padding`);
  return { ...w, before, after, out };
}
