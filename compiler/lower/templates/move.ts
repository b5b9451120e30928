// Templates that only move elements: kernels/cpu/take_rows.hpp, put_rows.hpp, and copy_nd.hpp for transpose, slice,
// concat and broadcast_copy. copy_nd gets strides in memory, so this file takes channels-last storage into account.

import { byteSize, elements, type Node, type TensorType } from "../../ir/types.js";
import { ceilDiv } from "../../util/math.js";
import { plain, type TemplateSpec } from "../template.js";
import { inputType, listAttr, numberAttr, outputType, positiveAxis, storageOrder, storageStrides } from "./shapes.js";

const ROW_PIECE = 65536; // bytes of a task, row_piece in C++
const COPY_BLOCK = 16384; // elements of a task, copy_elements in C++
const AXES = 6;

const rowsOf = (n: Node): number => inputType(n, 1).shape[0] as number;
/** The bytes of a row of the first input of a take_rows or put_rows node. */
export const rowBytes = (n: Node): number => byteSize(inputType(n, 0)) / rowsOf(n);

/** Constants: ROW_BYTES. */
function rowMove(op: string): TemplateSpec {
  return {
    name: op,
    op,
    ...plain,
    constants: (n) => ({ ROW_BYTES: rowBytes(n) }),
    launch: (n, { rows }) => ({
      tasks: [rows * ceilDiv(rowBytes(n), ROW_PIECE)],
      workspaceBytes: 0,
      scratchBytes: 0,
    }),
    flops: () => 0,
    rows: rowsOf,
  };
}

export const takeRows: TemplateSpec = rowMove("take_rows");
export const putRows: TemplateSpec = rowMove("put_rows");

/** One axis of a copy: its extent, and the distance between neighbours in x and in y, in elements. */
export interface CopyAxis {
  readonly extent: number;
  readonly x: number;
  readonly y: number;
}

export interface CopyPart {
  readonly axes: readonly CopyAxis[]; // in the order of y's memory
  readonly xOffset: number;
  readonly yOffset: number;
}

/** A copy in the kernel's form: the outermost axis of all parts has `rows` positions, an argument of the launch. */
export interface Copy {
  readonly rows: number;
  readonly parts: readonly CopyPart[]; // axes[0] is the axis of the rows
}

/** The axes without those of extent 1, and with neighbours joined that are one run in both tensors. */
function merged(axes: readonly CopyAxis[]): CopyAxis[] {
  const out: CopyAxis[] = [];
  for (const a of axes) {
    const last = out.at(-1);
    if (a.extent === 1) continue;
    if (last && last.x === a.x * a.extent && last.y === a.y * a.extent) {
      out[out.length - 1] = { extent: last.extent * a.extent, x: a.x, y: a.y };
    } else out.push(a);
  }
  return out;
}

/**
 * The copy of a part of x with extents `shape` to y, both channels-last if they are 4-D, otherwise row-major. xAxis(i)
 * is the axis of x that y's axis i corresponds to, or undefined if x is repeated along it.
 */
function part(
  x: TensorType,
  y: TensorType,
  shape: readonly number[],
  xAxis: (i: number) => number | undefined,
  xOffset: number,
  yOffset: number,
): CopyPart {
  const xs = storageStrides(x.shape);
  const ys = storageStrides(y.shape);
  const axes = storageOrder(shape.length).map((i) => {
    const from = xAxis(i);
    return {
      extent: shape[i] as number,
      x: from === undefined ? 0 : (xs[from] as number),
      y: ys[i] as number,
    };
  });
  return { axes, xOffset, yOffset };
}

/** Returns the copies that a node consists of. */
export type PartsOf = (n: Node) => readonly CopyPart[];

const noRows: CopyAxis = { extent: 1, x: 0, y: 0 };

/**
 * A copy of these parts. If all parts have several axes and the same extent of the leading one, that axis becomes the
 * rows, so that another batch size needs no other kernel; otherwise the copy has one row.
 */
export function splitCopy(parts: readonly CopyPart[]): Copy {
  const [first, ...others] = parts.map((p) => p.axes[0]?.extent ?? 1);
  const alike = others.every((e) => e === first) && parts.every((p) => p.axes.length > 1);
  const axes = (p: CopyPart): CopyAxis[] =>
    alike ? [p.axes[0] as CopyAxis, ...merged(p.axes.slice(1))] : [noRows, ...merged(p.axes)];
  return { rows: alike ? (first as number) : 1, parts: parts.map((p) => ({ ...p, axes: axes(p) })) };
}

/** copy_tasks in C++: the number of tasks of one part. */
function partTasks({ axes }: CopyPart, rows: number): number {
  const line = axes.length > 1 ? (axes.at(-1)?.extent as number) : 1;
  const lines = rows * elements(axes.slice(1, -1).map((a) => a.extent));
  return ceilDiv(lines, line >= COPY_BLOCK ? 1 : Math.floor(COPY_BLOCK / line));
}

/**
 * Constants: ELEMENT_BYTES, PARTS, DIMS, X_STRIDES, Y_STRIDES (six per part), X_OFFSETS, Y_OFFSETS (one per part).
 * Throws if a part has more than six axes after neighbouring runs are joined.
 */
function copyTemplate(op: string, parts: PartsOf): TemplateSpec {
  const copy = (n: Node): Copy => splitCopy(parts(n));
  const six = (n: Node, pick: (a: CopyAxis) => number, filler: number): number[] =>
    copy(n).parts.flatMap(({ axes: [rows, ...inner] }) => {
      if (inner.length >= AXES) throw new Error(`${n.op} in ${n.scope || "<top>"}: more than ${AXES} axes to copy`);
      const fillers = Array<number>(AXES - 1 - inner.length).fill(filler);
      return [pick(rows as CopyAxis), ...fillers, ...inner.map(pick)];
    });
  return {
    name: "copy_nd",
    op,
    ...plain,
    constants: (n) => ({
      ELEMENT_BYTES: byteSize({ ...outputType(n), shape: [1] }),
      PARTS: parts(n).length,
      DIMS: six(n, (a) => a.extent, 1).map((d, i) => (i % AXES === 0 ? 1 : d)),
      X_STRIDES: six(n, (a) => a.x, 0),
      Y_STRIDES: six(n, (a) => a.y, 0),
      X_OFFSETS: parts(n).map((p) => p.xOffset),
      Y_OFFSETS: parts(n).map((p) => p.yOffset),
    }),
    launch: (n, { rows }) => ({
      tasks: [copy(n).parts.reduce((s, p) => s + partTasks(p, rows), 0)],
      workspaceBytes: 0,
      scratchBytes: 0,
    }),
    flops: () => 0,
    rows: (n) => copy(n).rows,
  };
}

export const transposeParts: PartsOf = (n) => {
  const perm = listAttr(n, "perm");
  const y = outputType(n);
  return [part(inputType(n, 0), y, y.shape, (i) => perm[i] as number, 0, 0)];
};

export const sliceParts: PartsOf = (n) => {
  const x = inputType(n, 0);
  const y = outputType(n);
  const axis = positiveAxis(numberAttr(n, "axis"), x.shape.length);
  const offset = numberAttr(n, "start") * (storageStrides(x.shape)[axis] as number);
  return [part(x, y, y.shape, (i) => i, offset, 0)];
};

export const concatParts: PartsOf = (n) => {
  const y = outputType(n);
  const axis = positiveAxis(numberAttr(n, "axis"), y.shape.length);
  const step = storageStrides(y.shape)[axis] as number;
  let start = 0;
  return n.inputs.map(({ type }) => {
    const one = part(type, y, type.shape, (i) => i, 0, start * step);
    start += type.shape[axis] as number;
    return one;
  });
};

export const broadcastParts: PartsOf = (n) => {
  const x = inputType(n, 0);
  const y = outputType(n);
  const missing = y.shape.length - x.shape.length;
  const from = (i: number): number | undefined => (i < missing || x.shape[i - missing] === 1 ? undefined : i - missing);
  return [part(x, y, y.shape, from, 0, 0)];
};

export const transpose: TemplateSpec = copyTemplate("transpose", transposeParts);
export const slice: TemplateSpec = copyTemplate("slice", sliceParts);
export const concat: TemplateSpec = copyTemplate("concat", concatParts);
export const broadcastCopy: TemplateSpec = copyTemplate("broadcast_copy", broadcastParts);
