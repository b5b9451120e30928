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
import { type Attribute, elementsOf, type OnnxGraph, type OnnxNode, type Tensor, tensorOf } from "./model.js";
import { bodyOfGraph, type Instance, instance } from "./subgraph.js";

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
function numberOf(scope: Scope, name: string, what: string): number {
  const tensor = scope.held(name)?.tensor;
  if (!tensor) throw new NeedsConstants([name], `${what} (${name}) must be a constant`);
  if (tensor.dims.reduce((a, d) => a * d, 1) !== 1) throw new Refused(`${what} is [${tensor.dims}], not one number`);
  return Number(elementsOf(tensor)[0]);
}

function branch(n: OnnxNode, scope: Scope): void {
  const taken = numberOf(scope, n.inputs[0] as string, "its condition") !== 0;
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
const heldOf = (scope: Scope, name: string): Held => {
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
  let i = 0;
  for (; go && i < most; i++) {
    if (i === MOST_ITERATIONS) throw new Refused(`it has more than ${MOST_ITERATIONS} iterations`);
    scope.count(ITERATION);
    const prefix = `${prefixOf(n)}/${i}/`;
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
    const [after, ...rest] = made.outputs as [string, ...string[]];
    carried = rest.slice(0, kept);
    rest.slice(kept).forEach((name, k) => collected[k]?.push(name));
    go = numberOf(scope, after, `its condition after iteration ${i}`) !== 0;
  }
  if (go && trips === "") throw new Refused(`it has more than ${MOST_ITERATIONS} iterations`);
  n.outputs.forEach((name, k) => {
    if (name === "") return;
    if (k < kept) return scope.define(name, heldOf(scope, carried[k] as string));
    scope.define(name, stacked(scope, collected[k - kept] ?? [], 0, body.outputs[k + 1]?.shape, name));
  });
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
function stacked(scope: Scope, names: readonly string[], axis: number, declared: unknown, name: string): Held | Value {
  if (names.length === 0) throw new Refused(`its output ${name} collects nothing, [${declared}]`);
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

/** Scan of version 9 and later; version 8 has an axis of batches, and is refused. */
function scan(n: OnnxNode, scope: Scope, version: number): void {
  if (version < 9) throw new Refused("version 8 of Scan is not supported");
  const body = graphOf(n, "body");
  const count = n.attributes.num_scan_inputs;
  if (count?.kind !== "int") throw new Refused("attribute num_scan_inputs is missing");
  const kept = n.inputs.length - count.value;
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
  let carried = n.inputs.slice(0, kept);
  const collected: string[][] = body.outputs.slice(kept).map(() => []);
  for (let i = 0; i < length; i++) {
    scope.count(ITERATION);
    const prefix = `${prefixOf(n)}/${i}/`;
    xs.forEach(({ name, axis, reverse }, k) => {
      const v = heldOf(scope, name).value("buffer");
      const from = reverse ? length - 1 - i : i;
      const part = slice(scope.builder, v, { axis, start: from, end: from + 1 });
      scope.define(`${prefix}scan${k}`, reshaped(scope.builder, part, v.type.shape.toSpliced(axis, 1)));
    });
    const given = new Map(
      body.inputs.map((v, k) => [v.name, k < kept ? (carried[k] as string) : `${prefix}scan${k - kept}`]),
    );
    const made = instance(bodyOfGraph(body), prefix, given);
    scope.run(made);
    carried = made.outputs.slice(0, kept);
    made.outputs.slice(kept).forEach((name, k) => collected[k]?.push(name));
  }
  n.outputs.forEach((name, k) => {
    if (name === "") return;
    if (k < kept) return scope.define(name, heldOf(scope, carried[k] as string));
    const parts = collected[k - kept] ?? [];
    const backwards = list("scan_output_directions", k - kept) === 1;
    const axis = list("scan_output_axes", k - kept);
    scope.define(name, stacked(scope, backwards ? parts.toReversed() : parts, axis, body.outputs[k]?.shape, name));
  });
}

/** The derivatives of one value by others: the nodes between them are differentiated as a loss is. */
function gradient(n: OnnxNode, scope: Scope): void {
  const { xs, y, zs } = n.attributes;
  if (xs?.kind !== "strings" || y?.kind !== "string") throw new Refused("attribute xs or y is missing");
  const names = [...xs.value, ...(zs?.kind === "strings" ? zs.value : [])];
  const moved = names.findIndex((name, i) => n.inputs[i] !== name);
  if (moved >= 0) throw new Refused(`its input ${moved} is ${n.inputs[moved]}, not ${names[moved]} itself`);
  const b = scope.builder;
  const of = heldOf(scope, y.value).value("buffer");
  const by = xs.value.map((name) => heldOf(scope, name).value("buffer"));
  const seed = map(b, [], { expr: `to_${of.type.dtype}(1)`, shape: of.type.shape });
  const found = grad(b, of, seed, by);
  n.outputs.forEach((name, i) => {
    if (name !== "") scope.define(name, found[i] as Value);
  });
}
