// Convolution, its gradients and maximum pooling in any element type and number of dimensions, with any strides,
// dilations and pads. The fast templates take f32 images in the usual forms; these take the rest. Products of f16 and
// bf16 are added in f32.

import { numeric } from "../../ir/element_types.js";
import { NdArray } from "../../ir/nd.js";
import { elements, type TensorType, type Value } from "../../ir/types.js";
import { defineOp, type Op } from "../op.js";
import { reshaped } from "../reshaped.js";
import { dim, wantInteger } from "../shape.js";
import { wrap } from "./expression.js";
import { eachPosition, literal, loops, type Nest } from "./nest.js";
import { scatter_elements, zerosOf } from "./take.js";

type Shape = readonly number[];

export type WindowAttrs = {
  strides: Shape;
  dilations: Shape;
  pads: Shape; // before each spatial axis
  parts: number; // of the channels, each with its own weights
};
type ConvAttrs = WindowAttrs & { out: Shape }; // out: the spatial extents of the result

function checkConv(x: TensorType, w: TensorType, a: WindowAttrs): void {
  const spatial = x.shape.length - 2;
  if (spatial < 1 || w.shape.length !== x.shape.length) throw new Error(`x [${x.shape}] and w [${w.shape}] do not fit`);
  for (const list of [a.strides, a.dilations, a.pads])
    if (list.length !== spatial) throw new Error(`[${list}] are not numbers for ${spatial} axes`);
  for (const n of [...a.strides, ...a.dilations]) wantInteger("a stride or dilation", n, 1);
  wantInteger("parts", a.parts, 1);
}

/** Calls f(at of y, at of w, at of x) for each pair of an output position and a tap that meet inside x. */
function eachTap(
  x: Shape,
  w: Shape,
  y: Shape,
  a: WindowAttrs,
  f: (o: number, tap: number, pixel: number) => void,
): void {
  const [from, extents] = [[] as number[], x.slice(2)]; // from: by tap and axis, where x is read for output position 0
  eachPosition(w.slice(2), (t) => {
    t.forEach((i, axis) => void from.push(i * (a.dilations[axis] as number) - (a.pads[axis] as number)));
  });
  const rank = extents.length;
  eachPosition(y.slice(2), (at, o) => {
    for (let tap = 0; tap * rank < from.length; tap++) {
      let pixel = 0;
      for (let axis = 0; axis < rank && pixel >= 0; axis++) {
        const p = (at[axis] as number) * (a.strides[axis] as number) + (from[tap * rank + axis] as number);
        const extent = extents[axis] as number;
        pixel = p >= 0 && p < extent ? pixel * extent + p : -1;
      }
      if (pixel >= 0) f(o, tap, pixel);
    }
  });
}

const groupOf = (channel: string, each: number): string => (each === 1 ? channel : `(${channel} / ${each})`);

/** The position in x of a tap: `p * stride + t * dilation - pad` for each spatial axis. */
const taps = (a: WindowAttrs, p: readonly string[], t: readonly string[]): string[] =>
  p.map((at, i) => `${at} * ${a.strides[i]} + ${t[i]} * ${a.dilations[i]} - ${a.pads[i]}`);
const bounds = (names: readonly string[], extents: Shape): string =>
  names.map((q, i) => `${q} >= 0 && ${q} < ${extents[i]}`).join(" && ");
const addIf = (condition: string, a: string, b: string): string =>
  `if (${condition}) sum = add_(sum, mul_(${a}, ${b}));`;
const constants = (names: readonly string[], values: readonly string[]): string[] =>
  names.map((q, i) => `const int64_t ${q} = ${values[i]};`);
const named = (prefix: string, n: number): string[] => Array.from({ length: n }, (_, i) => `${prefix}${i}`);

/** x [N, C, ...] and w [M, C / parts, ...] -> y [N, M, ...out]: a cross-correlation, as ONNX's Conv. */
export const conv_nd: Op<readonly ["x", "w"], readonly ["y"], ConvAttrs> = defineOp({
  name: "conv_nd",
  inputs: ["x", "w"],
  outputs: ["y"],
  attrs: ["strides", "dilations", "pads", "parts", "out"],
  types: { x: numeric, w: numeric },
  oneType: true,
  kind: "kernel",
  onnx: "Conv",
  batch: { rows: ["x"] },
  infer: ({ x, w }, attrs: ConvAttrs) => {
    checkConv(x, w, attrs);
    if (dim(w, 1) * attrs.parts !== dim(x, 1) || dim(w, 0) % attrs.parts !== 0)
      throw new Error(`w [${w.shape}] does not fit ${dim(x, 1)} channels in ${attrs.parts} parts`);
    return { y: { dtype: x.dtype, shape: [dim(x, 0), dim(w, 0), ...attrs.out] } };
  },
  reference: ({ x, w }, attrs, types) => {
    const y = NdArray.fill([dim(x, 0), dim(w, 0), ...attrs.out], () => 0);
    sumTaps(x, w, y, attrs, "y");
    return { y: wrapped(y, types.x) };
  },
  grad: (b, p, { out: _, ...window }) => ({
    x: conv_nd_dgrad(b, p.d.y as Value, p.in.w, { ...window, out: p.in.x.type.shape.slice(2) }),
    w: conv_nd_wgrad(b, p.in.x, p.d.y as Value, { ...window, out: p.in.w.type.shape.slice(2) }),
  }),
  nest: ({ x, w }, attrs, { y }): Nest => {
    const [channels, spatial] = [dim(w, 1), x.shape.slice(2)];
    return {
      space: y.shape,
      work: 1 + 2 * elements(w.shape.slice(1)),
      body: (k, at) => {
        const type = k.type(x.dtype);
        const [n, m, ...p] = at as [string, string, ...string[]];
        const q = named("q", spatial.length);
        const inner = loops([channels, ...w.shape.slice(2)], "t", ([c, ...t]) => [
          ...constants(q, taps(attrs, p, t)),
          addIf(
            bounds(q, spatial),
            k.load(0, [n, `${groupOf(m, dim(w, 0) / attrs.parts)} * ${channels} + ${c}`, ...q]),
            k.load(1, [m, c as string, ...t]),
          ),
        ]);
        return [`${type} sum = ${literal(0, type)};`, ...inner, k.store(0, at, "sum")];
      },
    };
  },
});

/**
 * dy [N, M, ...] and w [M, C / parts, ...] -> dx [N, C, ...out]: the gradient of conv_nd by x, and the transposed
 * convolution of ONNX.
 */
export const conv_nd_dgrad: Op<readonly ["dy", "w"], readonly ["dx"], ConvAttrs> = defineOp({
  name: "conv_nd_dgrad",
  inputs: ["dy", "w"],
  outputs: ["dx"],
  attrs: ["strides", "dilations", "pads", "parts", "out"],
  types: { dy: numeric, w: numeric },
  oneType: true,
  kind: "kernel",
  onnx: "ConvTranspose",
  batch: { rows: ["dy"] },
  infer: ({ dy, w }, attrs: ConvAttrs) => {
    checkConv(dy, w, attrs);
    if (dim(w, 0) !== dim(dy, 1) || dim(w, 0) % attrs.parts !== 0)
      throw new Error(`w [${w.shape}] does not fit ${dim(dy, 1)} channels in ${attrs.parts} parts`);
    return { dx: { dtype: dy.dtype, shape: [dim(dy, 0), dim(w, 1) * attrs.parts, ...attrs.out] } };
  },
  reference: ({ dy, w }, attrs, types) => {
    const dx = NdArray.fill([dim(dy, 0), dim(w, 1) * attrs.parts, ...attrs.out], () => 0);
    sumTaps(dx, w, dy, attrs, "x");
    return { dx: wrapped(dx, types.dy) };
  },
  grad: (b, p, { out: _, ...window }) => ({
    dy: conv_nd(b, p.d.dx as Value, p.in.w, { ...window, out: p.in.dy.type.shape.slice(2) }),
    w: conv_nd_wgrad(b, p.d.dx as Value, p.in.dy, { ...window, out: p.in.w.type.shape.slice(2) }),
  }),
  nest: ({ dy, w }, attrs, { dx }): Nest => {
    const [channels, each, spatial] = [dim(w, 1), dim(w, 0) / attrs.parts, dy.shape.slice(2)];
    return {
      space: dx.shape,
      work: 1 + 2 * each * elements(w.shape.slice(2)),
      body: (k, at) => {
        const type = k.type(dy.dtype);
        const [n, c, ...p] = at as [string, string, ...string[]];
        const [far, q] = [named("f", spatial.length), named("q", spatial.length)];
        const meets = (f: string, axis: number): string => `${f} >= 0 && ${f} % ${attrs.strides[axis]} == 0`;
        const inner = loops([each, ...w.shape.slice(2)], "t", ([m, ...t]) => [
          ...constants(
            far,
            p.map((i, axis) => `${i} + ${attrs.pads[axis]} - ${t[axis]} * ${attrs.dilations[axis]}`),
          ),
          ...constants(
            q,
            far.map((f, axis) => `${f} / ${attrs.strides[axis]}`),
          ),
          `if (${[...far.map(meets), bounds(q, spatial)].join(" && ")}) {`,
          `const int64_t m = ${groupOf(c, channels)} * ${each} + ${m};`,
          `sum = add_(sum, mul_(${k.load(0, [n, "m", ...q])}, ${k.load(1, ["m", `${c} % ${channels}`, ...t])}));`,
          "}",
        ]);
        return [`${type} sum = ${literal(0, type)};`, ...inner, k.store(0, at, "sum")];
      },
    };
  },
});

/** x [N, C, ...] and dy [N, M, ...] -> dw [M, C / parts, ...out]: the gradient of conv_nd by w. */
export const conv_nd_wgrad: Op<readonly ["x", "dy"], readonly ["dw"], ConvAttrs> = defineOp({
  name: "conv_nd_wgrad",
  inputs: ["x", "dy"],
  outputs: ["dw"],
  attrs: ["strides", "dilations", "pads", "parts", "out"],
  types: { x: numeric, dy: numeric },
  oneType: true,
  kind: "kernel",
  onnx: "moproc::ConvNdWgrad",
  infer: ({ x, dy }, attrs: ConvAttrs) => {
    const shape = [dim(dy, 1), dim(x, 1) / attrs.parts, ...attrs.out];
    checkConv(x, { dtype: x.dtype, shape }, attrs);
    if (dim(x, 0) !== dim(dy, 0) || dim(x, 1) % attrs.parts !== 0 || dim(dy, 1) % attrs.parts !== 0)
      throw new Error(`x [${x.shape}] and dy [${dy.shape}] do not fit in ${attrs.parts} parts`);
    return { dw: { dtype: x.dtype, shape } };
  },
  reference: ({ x, dy }, attrs, types) => {
    const dw = NdArray.fill([dim(dy, 1), dim(x, 1) / attrs.parts, ...attrs.out], () => 0);
    sumTaps(x, dw, dy, attrs, "w");
    return { dw: wrapped(dw, types.x) };
  },
  grad: (b, p, { out: _, ...window }) => ({
    x: conv_nd_dgrad(b, p.in.dy, p.d.dw as Value, { ...window, out: p.in.x.type.shape.slice(2) }),
    dy: conv_nd(b, p.in.x, p.d.dw as Value, { ...window, out: p.in.dy.type.shape.slice(2) }),
  }),
  nest: ({ x, dy }, attrs, { dw }): Nest => {
    const [channels, each, spatial] = [dim(dw, 1), dim(dw, 0) / attrs.parts, x.shape.slice(2)];
    return {
      space: dw.shape,
      work: 1 + (2 * elements(dy.shape)) / dim(dy, 1),
      body: (k, at) => {
        const type = k.type(x.dtype);
        const [m, c, ...t] = at as [string, string, ...string[]];
        const q = named("q", spatial.length);
        const inner = loops([dim(x, 0), ...dy.shape.slice(2)], "o", ([n, ...p]) => [
          ...constants(q, taps(attrs, p, t)),
          addIf(
            bounds(q, spatial),
            k.load(0, [n as string, `${groupOf(m, each)} * ${channels} + ${c}`, ...q]),
            k.load(1, [n as string, m, ...p]),
          ),
        ]);
        return [`${type} sum = ${literal(0, type)};`, ...inner, k.store(0, at, "sum")];
      },
    };
  },
});

const wrapped = (v: NdArray, t: TensorType): NdArray =>
  new NdArray(
    v.shape,
    v.data.map((e) => wrap(t.dtype, e)),
  );

/** Adds the products of a convolution to x, w or y, which one is said by `result`. */
function sumTaps(x: NdArray, w: NdArray, y: NdArray, a: WindowAttrs, result: "x" | "w" | "y"): void {
  const [pixels, outs, count] = [x, y, w].map((t) => elements(t.shape.slice(2))) as [number, number, number];
  const [images, channels, each] = [dim(y, 0), dim(w, 1), dim(w, 0) / a.parts];
  const [inputs, results] = [dim(x, 1), dim(y, 1)];
  const [xs, ws, ys] = [x.data, w.data, y.data];
  eachTap(x.shape, w.shape, y.shape, a, (o, tap, pixel) => {
    for (let n = 0; n < images; n++)
      for (let m = 0; m < results; m++) {
        const ix = (n * inputs + Math.floor(m / each) * channels) * pixels + pixel;
        const iw = m * channels * count + tap;
        const iy = (n * results + m) * outs + o;
        let v = ys[iy] as number;
        if (result === "y") {
          for (let c = 0; c < channels; c++) v += (xs[ix + c * pixels] as number) * (ws[iw + c * count] as number);
          ys[iy] = v;
        } else if (result === "x")
          for (let c = 0, i = ix; c < channels; c++, i += pixels)
            xs[i] = (xs[i] as number) + (ws[iw + c * count] as number) * v;
        else
          for (let c = 0, i = iw; c < channels; c++, i += count)
            ws[i] = (ws[i] as number) + (xs[ix + c * pixels] as number) * v;
      }
  });
}

type PoolAttrs = Omit<ConvAttrs, "parts"> & { kernel: Shape };

/**
 * x [N, C, ...] -> y [N, C, ...out], the largest element of each window, and its position in the row-major plane of x's
 * spatial axes, i64: the first of several. Elements outside of x do not count; a window without elements has the
 * smallest number, and the number of elements of the plane as its position.
 */
export const max_pool_nd: Op<readonly ["x"], readonly ["y", "positions"], PoolAttrs> = defineOp({
  name: "max_pool_nd",
  inputs: ["x"],
  outputs: ["y", "positions"],
  attrs: ["kernel", "strides", "dilations", "pads", "out"],
  types: { x: numeric },
  kind: "kernel",
  onnx: "MaxPool",
  batch: { rows: ["x"] },
  infer: ({ x }, a: PoolAttrs) => {
    checkConv(x, { dtype: x.dtype, shape: [1, 1, ...a.kernel] }, { ...a, parts: 1 });
    const shape = [dim(x, 0), dim(x, 1), ...a.out];
    return { y: { dtype: x.dtype, shape }, positions: { dtype: "i64" as const, shape } };
  },
  reference: ({ x }, a, types) => {
    const shape = [dim(x, 0), dim(x, 1), ...a.out];
    const y = NdArray.fill(shape, () => lowest(types.x));
    const positions = NdArray.fill(shape, () => -1);
    const [pixels, outs] = [elements(x.shape.slice(2)), elements(a.out)];
    const planes: Shape = [1, 1, ...x.shape.slice(2)];
    eachTap(planes, [1, 1, ...a.kernel], [1, 1, ...a.out], { ...a, parts: 1 }, (o, _tap, pixel) => {
      for (let plane = 0; plane < dim(x, 0) * dim(x, 1); plane++) {
        const [v, at] = [x.data[plane * pixels + pixel] as number, plane * outs + o];
        const best = y.data[at] as number;
        if (positions.data[at] === -1 || v > best || (Number.isNaN(v) && !Number.isNaN(best))) {
          y.data[at] = v;
          positions.data[at] = pixel;
        }
      }
    });
    return {
      y,
      positions: new NdArray(
        shape,
        positions.data.map((at) => (at < 0 ? pixels : at)),
      ),
    };
  },
  grad: (b, p) => {
    const { shape } = p.in.x.type;
    const dy = p.d.y;
    if (!dy) return {};
    const flat = (v: Value): Value => reshaped(b, v, [...v.type.shape.slice(0, 2), elements(v.type.shape.slice(2))]);
    const planes = zerosOf(b, { dtype: dy.type.dtype, shape: [...shape.slice(0, 2), elements(shape.slice(2))] });
    const dx = scatter_elements(b, planes, flat(p.out.positions), flat(dy), { axis: 2, of: "add" });
    return { x: reshaped(b, dx, shape) };
  },
  nest: ({ x }, a, { y }): Nest => {
    const spatial = x.shape.slice(2);
    return {
      space: y.shape,
      work: 1 + 2 * elements(a.kernel),
      body: (k, at) => {
        const type = k.type(x.dtype);
        const [n, c, ...p] = at as [string, string, ...string[]];
        const q = named("q", spatial.length);
        const plane = q.reduce((s, at, i) => (i === 0 ? at : `(${s}) * ${spatial[i]} + ${at}`));
        return [
          `${type} m = lowest_<${type}>();`,
          "int64_t best = -1;",
          ...loops(a.kernel, "t", (t) => [
            ...constants(q, taps({ ...a, parts: 1 }, p, t)),
            `if (${bounds(q, spatial)}) {`,
            `const ${type} v = ${k.load(0, [n, c, ...q])};`,
            `if (best < 0 || above_(v, m, false)) { m = v; best = ${plane}; }`,
            "}",
          ]),
          k.store(0, at, "m"),
          k.store(1, at, `best < 0 ? int64_t(${elements(spatial)}) : best`),
        ];
      },
    };
  },
});

const lowest = ({ dtype }: TensorType): number =>
  ({ i8: -128, i16: -32768, i32: -(2 ** 31), i64: -(2 ** 63) })[dtype as string] ??
  (dtype.startsWith("u") ? 0 : -Infinity);
