// How the general template `loops` computes an op: a space of independent points, and the statements for one point.

import { type DType, elements } from "../../ir/types.js";

/** Writes C++ for the statements of a point. Indices are C++ expressions, one for each logical axis of the tensor. */
export interface LoopText {
  /** The C++ type in which elements of this type are computed: float for f16 and bf16. */
  type(dtype: DType): string;
  /** The C++ type in which elements of this type are stored. */
  stored(dtype: DType): string;
  /** The element of an operand at these indices, as computed. */
  load(operand: number, index: readonly string[]): string;
  /** The element of a result that a point has stored before. */
  again(result: number, index: readonly string[]): string;
  /** The statement that stores a value as the element of a result. */
  store(result: number, index: readonly string[], value: string): string;
  /** `scratch<T>`: this thread's scratch memory, as elements of a C++ type. */
  scratch(type: string): string;
}

export interface Nest {
  /** The extents of the space, as the logical axes of a tensor. Its points are computed in any order. */
  readonly space: readonly number[];
  /** Roughly the operations for one point; decides how many points are one task. */
  readonly work: number;
  /** Bytes of scratch memory that a thread needs. */
  readonly scratchBytes?: number;
  /**
   * Every operand is read at the point itself, as numpy broadcasts it to the space, and every result is stored there.
   * Then neighbouring axes can be joined, and `body` gets other indices, which it passes on.
   */
  readonly pointwise?: true;
  /** The statements for the point with these indices. */
  body(k: LoopText, at: readonly string[]): readonly string[];
}

/** `for (int64_t NAME = 0; NAME < extent; ++NAME) {` around statements, one loop for each extent. */
export function loops(extents: readonly number[], name: string, body: (at: readonly string[]) => readonly string[]) {
  const at = extents.map((_, i) => `${name}${i}`);
  const open = extents.map((d, i) => `for (int64_t ${at[i]} = 0; ${at[i]} < ${d}; ++${at[i]}) {`);
  return [...open, ...body(at), ...extents.map(() => "}")];
}

/** A number as a C++ expression of this type. */
export function literal(v: number, type: string): string {
  if (type === "bool") return v === 0 ? "false" : "true";
  if (type !== "float" && type !== "double") return `${type}(${BigInt(Math.trunc(v))}${v >= 2 ** 63 ? "ull" : "ll"})`;
  if (Number.isNaN(v)) return `${type}(__builtin_nan(""))`;
  if (!Number.isFinite(v)) return `${type}(${v < 0 ? "-" : ""}__builtin_inf())`;
  return `${type}(${Object.is(v, -0) ? "-0.0" : Number.isInteger(v) && Math.abs(v) < 1e15 ? `${v}.0` : v})`;
}

/** Calls f with the position of each element of a tensor of this shape, row-major; it is always the same list. */
export function eachPosition(shape: readonly number[], f: (at: readonly number[], i: number) => void): void {
  const at = shape.map(() => 0);
  for (let i = 0, n = elements(shape); i < n; i++) {
    f(at, i);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at[axis] = (at[axis] as number) + 1;
      if ((at[axis] as number) < (shape[axis] as number)) break;
      at[axis] = 0;
    }
  }
}
