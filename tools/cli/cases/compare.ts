// Compares an output with the expected one, as the ONNX project's own runner does.

import { sameShape } from "../../../compiler/ir/types.js";
import { elementsOf, type Tensor } from "../../../compiler/onnx/model.js";
import { bf16, f16 } from "../../../compiler/util/float.js";
import type { Tolerance } from "./find.js";

/** The largest error of outputs that agree. */
export interface Agreement {
  readonly error: number; // the largest |actual - expected|
  readonly share: number; // the largest error as a share of what is allowed for its element, 0 to 1
}

/** The element as a number, or exactly as a bigint. */
function reader(t: Tensor): (i: number) => number | bigint {
  const xs = elementsOf(t);
  if (t.type === "f16") return (i) => f16(xs[i] as number);
  if (t.type === "bf16") return (i) => bf16(xs[i] as number);
  return (i) => xs[i] as number | bigint;
}

/** |a - b|; 0 for equal infinities and for two NaN. */
function difference(a: number | bigint, b: number | bigint): number {
  if (typeof a === "bigint" && typeof b === "bigint") return Number(a > b ? a - b : b - a);
  const [x, y] = [Number(a), Number(b)];
  if (x === y || (Number.isNaN(x) && Number.isNaN(y))) return 0;
  const d = Math.abs(x - y);
  return Number.isNaN(d) || !Number.isFinite(y) ? Number.POSITIVE_INFINITY : d;
}

/** Where element `i` of a tensor is, [0,2,1]. */
function place(dims: readonly number[], i: number): string {
  const position = dims.map(() => 0);
  for (let axis = dims.length - 1, rest = i; axis >= 0; axis--) {
    const d = dims[axis] as number;
    position[axis] = rest % d;
    rest = Math.floor(rest / d);
  }
  return `[${position.join(",")}]`;
}

/** Compares one output; a text says what differs. */
export function compare(got: Tensor, want: Tensor, { rtol, atol }: Tolerance): Agreement | string {
  if (got.type !== want.type) return `its element type is ${got.type}, expected ${want.type}`;
  if (!sameShape(got.dims, want.dims)) return `its shape is [${got.dims}], expected [${want.dims}]`;
  const [actual, expected] = [reader(got), reader(want)];
  const n = elementsOf(want).length;
  let [error, share, wrong, first] = [0, 0, 0, -1];
  for (let i = 0; i < n; i++) {
    const e = expected(i);
    const d = difference(actual(i), e);
    if (d === 0) continue;
    const allowed = atol + rtol * Math.abs(Number(e)); // infinite for an infinity, which must be equal
    error = Math.max(error, d);
    share = Math.max(share, d / allowed);
    if (d <= allowed && d < Number.POSITIVE_INFINITY) continue;
    if (wrong++ === 0) first = i;
  }
  if (wrong === 0) return { error, share };
  const more = wrong > 1 ? `; ${wrong} of ${n} elements differ` : "";
  return `element ${place(want.dims, first)} is ${actual(first)}, expected ${expected(first)}${more}`;
}

/** Compares all outputs of one set of data. */
export function compareAll(got: readonly Tensor[], want: readonly Tensor[], tolerance: Tolerance): Agreement | string {
  if (got.length !== want.length) return `there are ${got.length} outputs, expected ${want.length}`;
  let total: Agreement = { error: 0, share: 0 };
  for (const [i, t] of got.entries()) {
    const found = compare(t, want[i] as Tensor, tolerance);
    if (typeof found === "string") return `output ${i} (${t.name}): ${found}`;
    total = { error: Math.max(total.error, found.error), share: Math.max(total.share, found.share) };
  }
  return total;
}
