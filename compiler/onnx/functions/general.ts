// The ops of the general template. A scalar expression is one standard operator per function; windows get the pads
// after each axis that make their results as large as the op says.

import { type DType, elements, sameShape } from "../../ir/types.js";
import { castTo, functionOf, keepsBits, parse, type Typed, typed } from "../../ops/general/expression.js";
import * as op from "../../ops/index.js";
import { broadcastShape } from "../../ops/shape.js";
import { numbersTensor } from "../model.js";
import type { Operand, Ref, Writer } from "../writer.js";
import { type Body, bodyOf, extent } from "./body.js";
import { dataType } from "./elementwise.js";

type Shape = readonly number[];

/** A number of this element type. */
function constant(w: Writer, dtype: DType, value: number): Ref {
  if (dtype === "f32" || dtype === "f64" || dtype === "i64" || dtype === "bool")
    return w.op("Constant", [], { value: { kind: "tensor", value: numbersTensor("", dtype, [], [value]) } });
  return w.op("Cast", [constant(w, dtype.endsWith("64") ? "i64" : "f64", value)], { to: dataType[dtype] });
}

/** An expression in standard operators. `shape` is that of the result. */
function expression(w: Writer, e: Typed, xs: readonly Operand[], shape: Shape): Ref {
  const visit = (part: Typed): Ref => {
    if (part.kind === "operand") return (xs[part.index] as Operand).ref;
    if (part.kind === "number") return constant(w, part.dtype, part.value);
    if (part.kind === "position") {
      const n = shape[part.axis] as number;
      return w.count(n, [n, ...shape.slice(part.axis + 1).map(() => 1)]);
    }
    const args = part.args.map(visit);
    const [a, b] = args as [Ref, Ref];
    const cast = castTo(part.name);
    if (keepsBits(part.name)) w.need(26, "BitCast");
    if (cast) return w.op(keepsBits(part.name) ? "BitCast" : "Cast", [a], { to: dataType[cast] });
    if (part.name === "fmod") return w.op("Mod", [a, b], { fmod: 1 });
    if (part.name === "mod")
      return /f\d/.test(part.dtype) ? w.sub(a, w.mul(w.op("Floor", [w.div(a, b)]), b)) : w.op("Mod", [a, b]);
    if (part.name === "log1p") return w.op("Log", [w.add(constant(w, part.dtype, 1), a)]);
    if (part.name === "trunc") return w.mul(w.op("Sign", [a]), w.op("Floor", [w.op("Abs", [a])]));
    if (part.name.startsWith("shift_"))
      return w.op("BitShift", [a, b], { direction: part.name.slice(6).toUpperCase() });
    return w.op(functionOf(part.name).onnx ?? missing(part.name), args);
  };
  return visit(e);
}
/** The shape to which the operands and positions in an expression broadcast; `shape` is that of the result. */
function shapeOf(e: Typed, xs: readonly Operand[], shape: Shape): Shape {
  if (e.kind === "operand") return (xs[e.index] as Operand).type.shape;
  if (e.kind === "position") return shape.slice(e.axis).map((d, i) => (i === 0 ? d : 1));
  return e.kind === "number" ? [] : e.args.map((a) => shapeOf(a, xs, shape)).reduce<Shape>(broadcastShape, []);
}

const missing = (name: string): never => {
  throw new Error(`internal: the function ${name} has no meaning in ONNX`);
};

/** The pads after the spatial axes with which a window gives `out` results per axis; less than 0: it gives more. */
const padsAfter = (inside: Shape, kernel: Shape, out: Shape, strides: Shape, dilations: Shape, pads: Shape): number[] =>
  out.map(
    (n, i) =>
      (n - 1) * (strides[i] as number) +
      ((kernel[i] as number) - 1) * (dilations[i] as number) +
      1 -
      (inside[i] as number) -
      (pads[i] as number),
  );

/** Cuts the spatial axes of x off after `out` elements, if it has more. */
const cut = (w: Writer, x: Ref, has: Shape, out: Shape): Ref =>
  out.reduce((y, n, i) => ((has[i] as number) > n ? w.slice(y, i + 2, 0, n) : y), x);

interface Window {
  readonly strides: Shape;
  readonly dilations: Shape;
  readonly pads: Shape;
  readonly out: Shape;
}

/** Writes a Conv or MaxPool with the results that the op has. */
function windowed(
  w: Writer,
  name: string,
  inputs: readonly Operand[],
  kernel: Shape,
  at: Window,
  groups?: number,
): Ref[] {
  const inside = (inputs[0] as Operand).type.shape.slice(2);
  const after = padsAfter(inside, kernel, at.out, at.strides, at.dilations, at.pads);
  const ends = after.map((p) => Math.max(p, 0));
  const has = at.out.map(
    (n, i) => n + Math.floor(((ends[i] as number) - (after[i] as number)) / (at.strides[i] as number)),
  );
  const attributes = {
    kernel_shape: kernel,
    strides: at.strides,
    dilations: at.dilations,
    pads: [...at.pads, ...ends],
    ...(groups === undefined ? {} : { group: groups }),
  };
  const results = w.node(name, inputs, attributes, name === "MaxPool" ? 2 : 1);
  return results.map((r) => cut(w, r, has, at.out));
}

export const general: readonly Body[] = [
  bodyOf(op.map, (w, { xs }, { attrs, out }) => {
    const e = typed(
      parse(attrs.expr),
      xs.map((x) => x.type.dtype),
    );
    const y = expression(w, e, xs, out.y.shape);
    if (!sameShape(shapeOf(e, xs, out.y.shape), out.y.shape)) return w.op("Expand", [y, w.i64(out.y.shape)]);
    return e.kind === "call" ? y : w.op("Identity", [y]);
  }),
  bodyOf(op.fold, (w, { x }, { attrs: { of, axes, keepdims = false, last = false } }) => {
    const keep = { keepdims: keepdims ? 1 : 0 };
    if (of === "arg_max" || of === "arg_min")
      return w.op(of === "arg_max" ? "ArgMax" : "ArgMin", [x], {
        axis: axes[0] as number,
        ...keep,
        ...(last ? { select_last_index: 1 } : {}),
      });
    const kind = ({ sum: "Sum", prod: "Prod", max: "Max", min: "Min" } as const)[of];
    return w.reduce(kind, x, axes, keepdims);
  }),
  bodyOf(op.cumulate, (w, { x }, { attrs: { of, axis, exclusive = false, reverse = false } }) => {
    if (of === "sum")
      return w.op("CumSum", [x, w.i64([axis], [])], { exclusive: exclusive ? 1 : 0, reverse: reverse ? 1 : 0 });
    const at = axis < 0 ? axis + x.type.shape.length : axis;
    const parts = Array.from({ length: extent(x, at) }, (_, i) => w.slice(x, at, i, i + 1));
    if (reverse) parts.reverse();
    let total: Ref | undefined;
    const products = parts.map((part) => {
      const before = total ?? w.div(part, part);
      total = total === undefined ? part : w.mul(total, part);
      return exclusive ? before : total;
    });
    return w.op("Concat", reverse ? products.reverse() : products, { axis: at });
  }),
  bodyOf(op.gather, (w, { x, idx }, { attrs: { axis } }) => w.op("Gather", [x, idx], { axis })),
  bodyOf(op.gather_elements, (w, { x, idx }, { attrs: { axis } }) => w.op("GatherElements", [x, idx], { axis })),
  bodyOf(op.scatter_elements, (w, { x, idx, updates }, { attrs: { axis, of } }) => {
    if (of !== "set") w.need(of === "min" || of === "max" ? 18 : 16, "ScatterElements with reduction");
    return w.op("ScatterElements", [x, idx, updates], { axis, ...(of === "set" ? {} : { reduction: of }) });
  }),
  bodyOf(op.scatter_rows, (w, { x, idx, updates }, { attrs: { axis: a, of } }) => {
    if (of !== "set") w.need(of === "min" || of === "max" ? 18 : 16, "ScatterElements with reduction");
    const axis = a < 0 ? a + x.type.shape.length : a;
    const rows = elements(idx.type.shape);
    const shape = x.type.shape.with(axis, rows);
    const places = w.reshape(
      idx,
      shape.map((_, i) => (i === axis ? rows : 1)),
    );
    return w.op("ScatterElements", [x, w.op("Expand", [places, w.i64(shape)]), w.reshape(updates, shape)], {
      axis,
      ...(of === "set" ? {} : { reduction: of }),
    });
  }),
  bodyOf(op.sort, (w, { x }, { attrs: { axis, k, largest = false } }) => {
    const [values, positions] = w.node("TopK", [x, w.i64([k])], { axis, largest: largest ? 1 : 0 }, 2) as [Ref, Ref];
    return { values, positions };
  }),
  bodyOf(op.batch_matmul, (w, { a, b }) => w.op("MatMul", [a, b])),
  bodyOf(op.conv_nd, (w, { x, w: weight }, { attrs }) => {
    return windowed(w, "Conv", [x, weight], weight.type.shape.slice(2), attrs, attrs.parts)[0] as Ref;
  }),
  bodyOf(op.conv_nd_dgrad, (w, { dy, w: weight }, { attrs: { strides, dilations, pads, parts: groups, out } }) => {
    const kernel = weight.type.shape.slice(2);
    const after = padsAfter(out, kernel, dy.type.shape.slice(2), strides, dilations, pads);
    return w.op("ConvTranspose", [dy, weight], {
      kernel_shape: kernel,
      strides,
      dilations,
      group: groups,
      pads: [...pads, ...after.map((p) => Math.max(p, 0))],
      output_padding: after.map((p) => Math.max(-p, 0)),
    });
  }),
  bodyOf(op.conv_nd_wgrad, (w, { x, dy }, { attrs: { strides, dilations, pads, parts: groups, out } }) => {
    // images and channels are exchanged, and strides and dilations, too; one product for each group
    const swap = [1, 0, ...out.map((_, i) => i + 2)];
    const part = (v: Operand, g: number): Operand => {
      const each = extent(v, 1) / groups;
      const shape = [each, extent(v, 0), ...v.type.shape.slice(2)];
      return { ref: w.transpose(w.slice(v, 1, g * each, (g + 1) * each), swap), type: { ...v.type, shape } };
    };
    const taps = { strides: dilations, dilations: strides, pads, out };
    const parts = Array.from({ length: groups }, (_, g) => {
      const [image, filter] = [part(x, g), part(dy, g)];
      return w.transpose(windowed(w, "Conv", [image, filter], dy.type.shape.slice(2), taps)[0] as Ref, swap);
    });
    return parts.length === 1 ? (parts[0] as Ref) : w.op("Concat", parts, { axis: 0 });
  }),
  bodyOf(op.max_pool_nd, (w, { x }, { attrs }) => {
    const [y, at] = windowed(w, "MaxPool", [x], attrs.kernel, attrs) as [Ref, Ref];
    // ONNX counts positions in the whole tensor
    const [n, c, pixels] = [extent(x, 0), extent(x, 1), elements(x.type.shape.slice(2))];
    const planes = w.mul(w.count(n * c, [n, c, ...attrs.out.map(() => 1)]), w.i64([pixels], []));
    return { y, positions: w.sub(at, planes) };
  }),
];
