// Rewrites what no kernel can compute directly. Composite ops (batch_norm and its gradient, mean, normalize_image) are
// replaced by the simpler ops that their records state. A reduction over axes that are not neighbours in memory becomes
// several reductions. An operand with a broadcast that no kernel body can express is replaced by a broadcast_copy. A
// constant whose values differ along other axes than the channels becomes a vector with a new shape.

import { Builder } from "../ir/builder.js";
import { type DType, elements, type Graph, type Node, type Pass, type Value } from "../ir/types.js";
import { tryAccessOf } from "../ops/access.js";
import { constant, isConstant } from "../ops/constant.js";
import { map } from "../ops/general/map.js";
import { max } from "../ops/max.js";
import { broadcast_copy, concat } from "../ops/move.js";
import { named, opOf } from "../ops/op.js";
import { sum } from "../ops/reduce.js";
import { reshaped } from "../ops/reshaped.js";
import { substitute } from "../rewrite/rules.js";

export const expand: Pass = {
  name: "expand",
  run: (g) =>
    writeOutBroadcasts(
      [expandComposite, withoutEmpty, splitReduction, flattenTable, generalise].reduce((h, f) => replace(h, f), g),
    ),
};

/** `g` with the nodes for which `f` returns values removed, and those values in place of their outputs. */
function replace(g: Graph, f: (b: Builder, n: Node) => readonly Value[] | undefined): Graph {
  const b = Builder.resume(g);
  const renamed = new Map<Value, Value>();
  for (const old of g.nodes) {
    const n: Node = { ...old, inputs: old.inputs.map((v) => renamed.get(v) ?? v) };
    const outs = f(b, n);
    if (outs) n.outputs.forEach((v, i) => renamed.set(v, outs[i] as Value));
    else b.keep(n);
  }
  return renamed.size === 0 ? g : substitute(g, b.nodes, renamed);
}

/** The values that replace the outputs of a composite; undefined for any other node. */
function expandComposite(b: Builder, n: Node): Value[] | undefined {
  const op = opOf(n.op);
  if (!op.expand) return undefined;
  const before = b.nodes.length;
  const outs = op.expand(b.at(n.scope), named(op.inputs, n.inputs) as never, n.attrs) as Record<string, Value>;
  const nested = b.nodes.slice(before).find((m) => opOf(m.op).expand);
  if (nested) throw new Error(`internal: expand: ${n.op} expands to the composite ${nested.op}`);
  return (op.outputs as readonly string[]).map((o) => outs[o] as Value);
}

/** What has no elements is not computed, and is no operand of a concat. */
function withoutEmpty(b: Builder, n: Node): Value[] | undefined {
  const isEmpty = (v: Value): boolean => v.type.shape.includes(0);
  const filled = n.op === map.name && n.inputs.length === 0;
  if (n.outputs.every(isEmpty) && !filled && opOf(n.op).kind !== "collective")
    return n.outputs.map(({ type: { dtype, shape } }) => map(b.at(n.scope), [], { expr: `to_${dtype}(0)`, shape }));
  if (n.op !== concat.name || !n.inputs.some(isEmpty)) return undefined;
  const axis = n.attrs.axis as number;
  return [
    concat(
      b.at(n.scope),
      n.inputs.filter((v) => !isEmpty(v)),
      { axis },
    ),
  ];
}

const computedInBodies: ReadonlySet<DType> = new Set<DType>(["f32", "u8", "i64"]);

/** An elementwise op on element types that no body of a fused kernel has, as the general op `map`. */
function generalise(b: Builder, n: Node): Value[] | undefined {
  const { kind, expression } = opOf(n.op);
  const all = [...n.inputs, ...n.outputs].map((v) => v.type.dtype);
  const integers = n.inputs.some((v) => v.type.dtype === "i64") || n.outputs.some((v) => v.type.dtype === "u8");
  if (kind !== "elementwise" || isConstant(n) || (all.every((t) => computedInBodies.has(t)) && !integers))
    return undefined;
  if (!expression)
    throw new Error(`${n.op} in ${n.scope || "<top>"} computes in f32 only, not in ${[...new Set(all)].join(" and ")}`);
  return [
    map(b.at(n.scope), n.inputs, { expr: expression(n.attrs as never), shape: (n.outputs[0] as Value).type.shape }),
  ];
}

/** A constant that no kernel body can write: in a body the only position in a table of numbers is the channel. */
function flattenTable(b: Builder, n: Node): Value[] | undefined {
  if (!isConstant(n)) return undefined;
  const { shape, dtype } = (n.outputs[0] as Value).type;
  const values = n.attrs.values as readonly number[];
  const axis = shape.length === 4 ? 1 : shape.length - 1;
  const inner = elements(shape.slice(axis + 1));
  const channelAt = (i: number): number => Math.floor(i / inner) % (shape[axis] ?? 1);
  if (values.length === 1 || values.every((x, i) => x === values[channelAt(i)])) return undefined;
  const vector = constant(b.at(n.scope), { values, shape: [values.length], dtype: dtype as "f32" | "i64" });
  return [reshaped(b.at(n.scope), vector, shape)];
}

function writeOutBroadcasts(g: Graph): Graph {
  const b = Builder.resume(g);
  for (const n of g.nodes) b.keep(withFullOperands(b, n));
  return b.nodes.length === g.nodes.length ? g : { ...g, nodes: b.nodes };
}

/** The node with copies, in the shape of the result, of the operands that no kernel body can broadcast. */
function withFullOperands(b: Builder, n: Node): Node {
  if (opOf(n.op).kind !== "elementwise") return n;
  const shape = n.outputs[0]?.type.shape ?? [];
  const inputs = n.inputs.map((v, i) => (tryAccessOf(n, i) ? v : broadcast_copy(b.at(n.scope), v, { shape })));
  return inputs.every((v, i) => v === n.inputs[i]) ? n : { ...n, inputs };
}

/**
 * A reduction over several runs of neighbouring axes (in storage order), one run after the other; undefined if there is
 * only one run or n is not a reduction. Throws if dropping the axes would reorder memory.
 */
function splitReduction(b: Builder, n: Node): Value[] | undefined {
  const reduce = [sum, max].find((o) => o.name === n.op);
  if (!reduce) return undefined;
  const x = n.inputs[0] as Value;
  const { shape } = x.type;
  const axes = new Set((n.attrs.axes as readonly number[]).map((a) => (a < 0 ? a + shape.length : a)));
  const stored = (shape.length === 4 ? [0, 2, 3, 1] : shape.map((_, i) => i)).filter((a) => shape[a] !== 1);
  const left = stored.filter((a) => !axes.has(a));
  if (n.attrs.keepdims !== true && left.some((a, i) => i > 0 && a < (left[i - 1] as number))) {
    throw new Error(
      `${n.op} over axes [${[...axes]}] of [${shape}] in ${n.scope || "<top>"}: dropping them would reorder memory ` +
        "(4-D tensors are stored channels-last); use keepdims: true",
    );
  }
  const runs: number[][] = [];
  stored.forEach((a, i) => {
    if (!axes.has(a)) return;
    if (i > 0 && axes.has(stored[i - 1] as number)) runs.at(-1)?.push(a);
    else runs.push([a]);
  });
  if (runs.length <= 1) return undefined;
  const first = runs.slice(0, -1).reduce((v, run) => reduce(b.at(n.scope), v, { axes: run, keepdims: true }), x);
  return [reduce(b.at(n.scope), first, { axes: [...axes], keepdims: n.attrs.keepdims === true })];
}
