// Reverse-mode differentiation. The rules are in the op records; this file decides which values need a gradient, and
// adds the gradients of a value's uses.

import type { Builder } from "../ir/builder.js";
import type { Node, Value } from "../ir/types.js";
import { add } from "../ops/elementwise.js";
import { named, opOf } from "../ops/op.js";

/**
 * Appends the gradients of `loss` to the graph and returns them: d loss / d v for each v of `wrt`, with the shape of v.
 * `seed` is the gradient of the loss itself, with the loss's shape: ones for a scalar loss or a vector of group losses.
 * Throws if the loss does not depend on one of `wrt`, or if an op between them has no gradient. The message names what
 * stops the gradient.
 */
export function grad(b: Builder, loss: Value, seed: Value, wrt: readonly Value[]): Value[] {
  const d = adjoints(b, loss, seed, wrt);
  return wrt.map((v) => d.get(v) as Value);
}

/**
 * Like `grad`, but returns a map with the gradients of `wrt` and of all values between `wrt` and the loss. Values that
 * have no gradient are not in the map.
 */
export function adjoints(b: Builder, loss: Value, seed: Value, wrt: readonly Value[]): ReadonlyMap<Value, Value> {
  const nodes = [...b.nodes];
  const needed = new Set(wrt);
  for (const n of nodes)
    if (!opOf(n.op).stops && n.inputs.some((v) => needed.has(v))) for (const v of n.outputs) needed.add(v);
  const d = new Map<Value, Value>([[loss, seed]]);
  for (const n of nodes.toReversed()) {
    const op = opOf(n.op);
    if (op.stops || !n.outputs.some((v) => d.has(v)) || !n.inputs.some((v) => needed.has(v))) continue;
    if (!op.grad)
      throw new Error(
        `the loss %${loss.name} depends on the parameters through ${place(n)}, and ${n.op} has no gradient; ` +
          "if it needs none, pass its operand through stop_gradient",
      );
    const under = b.at(`${n.scope}'`);
    const point = {
      in: named(op.inputs, n.inputs),
      out: named(op.outputs, n.outputs),
      d: named(
        op.outputs,
        n.outputs.map((v) => d.get(v)),
      ),
    };
    const grads = op.grad(under, point as never, n.attrs) as Record<string, Value | readonly Value[] | undefined>;
    const flat = (op.inputs as readonly string[]).flatMap((i) => grads[i.replace("...", "")]);
    n.inputs.forEach((v, i) => {
      const g = flat[i];
      const sum = d.get(v);
      if (g && needed.has(v)) d.set(v, sum ? add(under, sum, g) : g);
    });
  }
  for (const v of wrt) if (!d.has(v)) throw new Error(`the loss %${loss.name} ${withoutGradient(nodes, loss, d, v)}`);
  return d;
}

const place = (n: Node): string => `${n.op} in ${n.scope || "<top>"}`;

/** The reason why `v` has no gradient: the loss does not depend on it, or some nodes between them stop the gradient. */
function withoutGradient(nodes: readonly Node[], loss: Value, d: ReadonlyMap<Value, Value>, v: Value): string {
  const leads = new Set([loss]);
  for (const n of nodes.toReversed()) if (n.outputs.some((x) => leads.has(x))) for (const x of n.inputs) leads.add(x);
  const from = new Set([v]);
  const stops: string[] = [];
  for (const n of nodes) {
    const operand = n.inputs.find((x) => from.has(x));
    if (operand === undefined || !n.outputs.some((x) => leads.has(x))) continue;
    if (opOf(n.op).stops) stops.push(place(n));
    else if (n.outputs.some((x) => d.has(x))) stops.push(`${place(n)}, which has no gradient for %${operand.name}`);
    else for (const x of n.outputs) from.add(x);
  }
  return stops.length === 0
    ? `does not depend on %${v.name}`
    : `has no gradient for %${v.name}, because it is stopped by ${stops.join("; and by ")}`;
}
