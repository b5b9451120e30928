// Control flow of foreign models, which the IR does not have: If takes one branch, and Loop and Scan are unrolled. So
// conditions and numbers of iterations must be known when the model is imported. And Gradient, which needs the nodes
// before it.

import { grad } from "../autodiff/grad.js";
import type { Builder } from "../ir/builder.js";
import type { Value } from "../ir/types.js";
import { map } from "../ops/general/map.js";
import { concat, slice } from "../ops/move.js";
import { reshaped } from "../ops/reshaped.js";
import { type Held, NeedsConstants, Refused } from "./at.js";
import { type Attribute, arrays, elementsOf, type OnnxGraph, type OnnxNode, type Tensor, tensorOf } from "./model.js";
import { bodyOfGraph, type Instance, instance } from "./subgraph.js";

const NO_ELEMENTS = "it has no elements, and its graph does not declare the shapes of its outputs";
const MOST_ITERATIONS = 10000;
const ITERATION = 20; // nodes that an iteration counts as: its body is copied, with constants for counter and condition

/** What control flow needs of the reader of a model. */
export interface Scope {
  readonly builder: Builder; // in the scope of the node
  /** What is known of a name; undefined if nothing is. Throws AfterRefused if the node that makes it was refused. */
  held(name: string): Held | undefined;
  /** Makes a constant or a computed value known under a name. */
  define(name: string, value: Tensor | Value | Held): void;
  /** Counts nodes that are written out. Throws if the model has too many. */
  count(nodes: number): void;
  /** Reads an instance of a graph. */
  run(made: Instance): void;
}

const nameOf = (n: OnnxNode): string => (n.domain === "" ? n.op : `${n.domain}::${n.op}`);
/** Whether an operator is read by this file: it needs more than the values of its inputs. */
export const isControlFlow = (n: OnnxNode): boolean => Object.hasOwn(operators, nameOf(n));

/** Reads a node of control flow, in this version of the operator set. */
export const controlFlow = (n: OnnxNode, version: number, scope: Scope): void =>
  operators[nameOf(n)]?.(n, scope, version);

const operators: Readonly<Record<string, (n: OnnxNode, scope: Scope, version: number) => void>> = {
  If: branch,
  Loop: loop,
  Scan: scan,
  "ai.onnx.preview.training::Gradient": gradient,
};

function graphOf(n: OnnxNode, name: string): OnnxGraph {
  const a = n.attributes[name];
  if (a?.kind !== "graph") throw new Refused(`attribute ${name} is ${a ? a.kind : "missing"}, not a graph`);
  return a.value;
}

const intsOf = (a: Attribute | undefined): readonly number[] | undefined => (a?.kind === "ints" ? a.value : undefined);

/** The number that a name stands for, which must be a constant. */
function numberOf(scope: Scope, name: string | undefined, what: string): number {
  if (!name) throw new Refused(`${what} is missing`);
  const tensor = scope.held(name)?.tensor;
  if (!tensor) throw new NeedsConstants([name], `${what} (${name}) must be a constant`);
  if (tensor.dims.reduce((a, d) => a * d, 1) !== 1) throw new Refused(`${what} is [${tensor.dims}], not one number`);
  return Number(elementsOf(tensor)[0]);
}

function branch(n: OnnxNode, scope: Scope): void {
  const taken = numberOf(scope, n.inputs[0], "its condition") !== 0;
  const made = instance(bodyOfGraph(graphOf(n, taken ? "then_branch" : "else_branch")), `${prefixOf(n)}/`, new Map());
  defineOutputs(n, made, scope);
}

/** Reads the instance, whose outputs become those of the node. */
export function defineOutputs(n: OnnxNode, made: Instance, scope: Scope): void {
  if (made.outputs.length < n.outputs.length) throw new Refused(`its graph has ${made.outputs.length} outputs`);
  scope.run(made);
  n.outputs.forEach((name, i) => {
    if (name !== "") scope.define(name, heldOf(scope, made.outputs[i] as string));
  });
}

const prefixOf = (n: OnnxNode): string => n.name || (n.outputs.find((name) => name !== "") ?? n.op);
const heldOf = (scope: Scope, name: string | undefined): Held => {
  if (name === undefined) throw new Refused("its graph has too few outputs");
  const h = scope.held(name);
  if (!h) throw new Refused(`its graph does not make ${name}`);
  return h;
};

function loop(n: OnnxNode, scope: Scope): void {
  const body = graphOf(n, "body");
  const [trips = "", condition = "", ...start] = n.inputs;
  const most = trips === "" ? MOST_ITERATIONS : numberOf(scope, trips, "its number of iterations");
  const kept = start.length;
  let go = condition === "" || numberOf(scope, condition, "its condition") !== 0;
  let carried = [...start];
  const collected: string[][] = body.outputs.slice(kept + 1).map(() => []);
  if (!Number.isInteger(most)) throw new Refused(`its number of iterations is ${most}`);
  const endless = (trips === "" || most > MOST_ITERATIONS) && isKept(body);
  if (go && endless) throw new Refused(`it has more than ${MOST_ITERATIONS} iterations`);
  const iterate = (i: number, prefix: string): readonly string[] => {
    scope.count(ITERATION);
    const [counter = "", before = ""] = body.inputs.map((v) => v.name);
    scope.define(`${prefix}counter`, tensorOf("", "i64", [], BigInt64Array.of(BigInt(i))));
    scope.define(`${prefix}before`, tensorOf("", "bool", [], Uint8Array.of(1)));
    const given = new Map([
      [counter, `${prefix}counter`],
      [before, `${prefix}before`],
      ...body.inputs.slice(2).map((v, k) => [v.name, carried[k] as string] as const),
    ]);
    const made = instance(bodyOfGraph(body), prefix, given);
    scope.run(made);
    return made.outputs;
  };
  let i = 0;
  for (; go && i < most; i++) {
    if (i === MOST_ITERATIONS) throw new Refused(`it has more than ${MOST_ITERATIONS} iterations`);
    const [after, ...rest] = iterate(i, `${prefixOf(n)}/${i}/`) as [string, ...string[]];
    carried = rest.slice(0, kept);
    rest.slice(kept).forEach((name, k) => collected[k]?.push(name));
    go = numberOf(scope, after, `its condition after iteration ${i}`) !== 0;
  }
  if (go && trips === "") throw new Refused(`it has more than ${MOST_ITERATIONS} iterations`);
  const one = typesOnce(scope, body, () => iterate(0, `${prefixOf(n)}/none/`));
  n.outputs.forEach((name, k) => {
    if (name === "") return;
    if (k < kept) return scope.define(name, heldOf(scope, carried[k] as string));
    const parts = collected[k - kept] ?? [];
    scope.define(name, parts.length > 0 ? stacked(scope, parts, 0) : empty(one(k + 1), 0));
  });
}

type Type = Held["type"];

/**
 * The types of a body's outputs, for what collects nothing. Those that the body does not declare in full are known only
 * after an iteration, which `iterate` reads: its results are not used.
 */
function typesOnce(scope: Scope, body: OnnxGraph, iterate: () => readonly string[]): (k: number) => Type {
  let made: readonly string[] | undefined;
  return (k) => {
    const { shape, type } = body.outputs[k] ?? {};
    if (type && shape?.every((d) => typeof d === "number")) return { dtype: type, shape: shape as number[] };
    made ??= iterate();
    return heldOf(scope, made[k] as string).type;
  };
}

/** No values of this type along a new axis. */
function empty({ dtype, shape }: Type, axis: number): Tensor {
  const at = axis < 0 ? axis + shape.length + 1 : axis;
  return tensorOf("", dtype, shape.toSpliced(at, 0, 0), new arrays[dtype](0));
}

/** Whether the condition of a loop's body is the same after every iteration, so that only its number ends the loop. */
function isKept(body: OnnxGraph): boolean {
  const makers = new Map(body.nodes.flatMap((n) => n.outputs.map((name) => [name, n] as const)));
  let name = body.outputs[0]?.name ?? "";
  for (let n = makers.get(name); n?.op === "Identity" && n.domain === ""; n = makers.get(name)) {
    makers.delete(name); // no name comes twice
    name = n.inputs[0] ?? "";
  }
  return name === body.inputs[1]?.name;
}

/** Values one after the other along a new axis. */
function stacked(scope: Scope, names: readonly string[], axis: number): Value {
  const parts = names.map((part) => {
    const v = heldOf(scope, part).value("buffer");
    const at = axis < 0 ? axis + v.type.shape.length + 1 : axis;
    return { v: reshaped(scope.builder, v, v.type.shape.toSpliced(at, 0, 1)), at };
  });
  return concat(
    scope.builder,
    parts.map(({ v }) => v),
    { axis: parts[0]?.at ?? 0 },
  );
}

/** What Scan does for one sequence. */
interface Sequence {
  readonly prefix: string; // of names
  readonly carried: readonly string[];
  readonly length: number;
  readonly element: (i: number, k: number) => Value; // element i of scan input k
}

/** Reads a body for all elements. Returns the names of the last states, and of what each iteration made. */
function scanned(
  scope: Scope,
  body: OnnxGraph,
  s: Sequence,
): { carried: readonly string[]; collected: readonly (readonly string[])[] } {
  const kept = s.carried.length;
  let { carried } = s;
  const collected: string[][] = body.outputs.slice(kept).map(() => []);
  for (let i = 0; i < s.length; i++) {
    const made = scanStep(scope, body, { ...s, carried, prefix: `${s.prefix}${i}/` }, i);
    carried = made.slice(0, kept);
    made.slice(kept).forEach((name, k) => collected[k]?.push(name));
  }
  return { carried, collected };
}

function scanStep(scope: Scope, body: OnnxGraph, s: Sequence, i: number): readonly string[] {
  scope.count(ITERATION);
  const kept = s.carried.length;
  const given = new Map(
    body.inputs.map((v, k) => {
      if (k < kept) return [v.name, s.carried[k] as string];
      const name = `${s.prefix}scan${k - kept}`;
      scope.define(name, s.element(i, k - kept));
      return [v.name, name];
    }),
  );
  const made = instance(bodyOfGraph(body), s.prefix, given);
  scope.run(made);
  return made.outputs;
}

/** A position along an axis of a value, without the axis. */
function taken(scope: Scope, v: Value, axis: number, i: number): Value {
  const part = slice(scope.builder, v, { axis, start: i, end: i + 1 });
  return reshaped(scope.builder, part, v.type.shape.toSpliced(axis, 1));
}

function scan(n: OnnxNode, scope: Scope, version: number): void {
  const body = graphOf(n, "body");
  const count = n.attributes.num_scan_inputs;
  if (count?.kind !== "int") throw new Refused("attribute num_scan_inputs is missing");
  const first = version < 9 ? 1 : 0; // version 8 has the lengths of sequences before its states
  const kept = n.inputs.length - first - count.value;
  if (kept < 0 || count.value < 1) throw new Refused(`${count.value} of its ${n.inputs.length} inputs are scanned`);
  if (body.inputs.length !== kept + count.value) throw new Refused(`its graph has ${body.inputs.length} inputs`);
  if (version < 9) return scanOfBatch(n, scope, body, kept);
  const list = (name: string, k: number): number => intsOf(n.attributes[name])?.[k] ?? 0;
  const xs = n.inputs.slice(kept).map((name, k) => {
    const { shape } = heldOf(scope, name).type;
    const axis = list("scan_input_axes", k);
    const at = axis < 0 ? axis + shape.length : axis;
    if (!(at >= 0 && at < shape.length)) throw new Refused(`there is no axis ${axis} in [${shape}]`);
    return { name, axis: at, length: shape[at] as number, reverse: list("scan_input_directions", k) === 1 };
  });
  const length = xs[0]?.length ?? 0;
  if (xs.some((x) => x.length !== length)) throw new Refused("its inputs have different lengths");
  if (length > MOST_ITERATIONS) throw new Refused(`it has more than ${MOST_ITERATIONS} iterations`);
  const element = (i: number, k: number): Value => {
    const { name, axis, reverse } = xs[k] as (typeof xs)[number];
    return taken(scope, heldOf(scope, name).value("buffer"), axis, reverse ? length - 1 - i : i);
  };
  const sequence: Sequence = { prefix: `${prefixOf(n)}/`, carried: n.inputs.slice(0, kept), length, element };
  const { carried, collected } = scanned(scope, body, sequence);
  const one = typesOnce(scope, body, () => {
    throw new Refused(NO_ELEMENTS);
  });
  n.outputs.forEach((name, k) => {
    if (name === "") return;
    if (k < kept) return scope.define(name, heldOf(scope, carried[k] as string));
    const parts = collected[k - kept] ?? [];
    const backwards = list("scan_output_directions", k - kept) === 1;
    const axis = list("scan_output_axes", k - kept);
    const ordered = backwards ? parts.toReversed() : parts;
    scope.define(name, parts.length > 0 ? stacked(scope, ordered, axis) : empty(one(k), axis));
  });
}

/**
 * Scan of version 8: states are [batch, ...], what is scanned [batch, length, ...], and input 0 may have the length of
 * each sequence, which may be 0. Behind the end of a sequence the results are 0, as in ONNX Runtime; ONNX leaves them
 * open.
 */
function scanOfBatch(n: OnnxNode, scope: Scope, body: OnnxGraph, kept: number): void {
  const [lengths = "", ...names] = n.inputs;
  const shapes = names.map((name) => heldOf(scope, name).type.shape);
  const [batch, most] = shapes[kept] as readonly number[] as [number, number];
  const odd = shapes.findIndex((s, k) => s[0] !== batch || (k >= kept && s[1] !== most));
  if (odd >= 0) throw new Refused(`its input ${odd + 1} is [${shapes[odd]}], not of ${batch} sequences of ${most}`);
  if (batch < 1) throw new Refused("it has no sequences");
  if (batch > MOST_ITERATIONS || most > MOST_ITERATIONS)
    throw new Refused(`it has more than ${MOST_ITERATIONS} iterations`);
  const ends = lengths === "" ? Array<number>(batch).fill(most) : lengthsOf(scope, lengths, batch, most);
  const directions = intsOf(n.attributes.directions);
  const sequences = ends.map((length, b): Sequence => {
    const prefix = `${prefixOf(n)}/${b}/`;
    const own = names.map((name) => taken(scope, heldOf(scope, name).value("buffer"), 0, b));
    const carried = own.slice(0, kept).map((v, k) => {
      scope.define(`${prefix}state${k}`, v);
      return `${prefix}state${k}`;
    });
    const last = Math.max(length, 1) - 1;
    const element = (i: number, k: number): Value =>
      taken(scope, own[kept + k] as Value, 0, directions?.[k] === 1 ? last - i : i);
    return { prefix, carried, length, element };
  });
  const made = sequences.map((s) => scanned(scope, body, s));
  const one = typesOnce(scope, body, () => {
    if (most === 0) throw new Refused(NO_ELEMENTS);
    const [first] = sequences as [Sequence];
    return scanStep(scope, body, { ...first, prefix: `${first.prefix}none/` }, 0);
  });
  n.outputs.forEach((name, k) => {
    if (name === "") return;
    if (k < kept)
      return scope.define(
        name,
        stacked(
          scope,
          made.map(({ carried }) => carried[k] as string),
          0,
        ),
      );
    const some = made.flatMap(({ collected }) => collected[k - kept] ?? [])[0];
    const { dtype, shape } = some === undefined ? one(k) : heldOf(scope, some).type;
    if (most === 0) return scope.define(name, tensorOf("", dtype, [batch, 0, ...shape], new arrays[dtype](0)));
    const rows = made.map(({ collected }) => {
      const parts = collected[k - kept] ?? [];
      const rest = { expr: `to_${dtype}(0)`, shape: [most - parts.length, ...shape] };
      const all = [
        ...(parts.length > 0 ? [stacked(scope, parts, 0)] : []),
        ...(parts.length < most ? [map(scope.builder, [], rest)] : []),
      ];
      return reshaped(scope.builder, concat(scope.builder, all, { axis: 0 }), [1, most, ...shape]);
    });
    scope.define(name, concat(scope.builder, rows, { axis: 0 }));
  });
}

/** The lengths of sequences, a constant. */
function lengthsOf(scope: Scope, name: string, batch: number, most: number): number[] {
  const tensor = scope.held(name)?.tensor;
  if (!tensor) throw new NeedsConstants([name], `the lengths of its sequences (${name}) must be a constant`);
  const list = Array.from(elementsOf(tensor) as ArrayLike<number | bigint>, Number);
  if (list.length !== batch || !list.every((d) => Number.isInteger(d) && d >= 0 && d <= most))
    throw new Refused(`the lengths [${list}] are not ${batch} numbers from 0 to ${most}`);
  return list;
}

/** The derivatives of one value by others: the nodes between them are differentiated as a loss is. */
function gradient(n: OnnxNode, scope: Scope): void {
  const { xs, y, zs } = n.attributes;
  if (xs?.kind !== "strings" || y?.kind !== "string") throw new Refused("attribute xs or y is missing");
  const names = [...xs.value, ...(zs?.kind === "strings" ? zs.value : [])];
  const moved = names.findIndex((name, i) => n.inputs[i] !== name);
  if (moved >= 0)
    throw new Refused(`its input ${moved} is ${n.inputs[moved] ?? "missing"}, not ${names[moved]} itself`);
  if (n.outputs.length > xs.value.length) throw new Refused(`it has more outputs than xs, [${xs.value}]`);
  const b = scope.builder;
  const of = heldOf(scope, y.value).value("buffer");
  const by = xs.value.map((name) => heldOf(scope, name).value("buffer"));
  const seed = map(b, [], { expr: `to_${of.type.dtype}(1)`, shape: of.type.shape });
  const found = grad(b, of, seed, by);
  n.outputs.forEach((name, i) => {
    if (name !== "") scope.define(name, found[i] as Value);
  });
}
