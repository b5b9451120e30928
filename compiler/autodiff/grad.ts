// Reverse-mode differentiation. The rules are in the op records; this file decides which values need a gradient, and
// adds the gradients of a value's uses.

import type { Builder } from "../ir/builder.js";
import type { Value } from "../ir/types.js";
import { add } from "../ops/elementwise.js";
import { named, opOf } from "../ops/op.js";

/**
 * Appends the gradients of `loss` to the graph and returns them: d loss / d v for each v of `wrt`, with the shape of v.
 * `seed` is the gradient of the loss itself, with the loss's shape: ones for a scalar loss or a vector of group losses.
 * Throws if the loss does not depend on one of `wrt`.
 */
export function grad(b: Builder, loss: Value, seed: Value, wrt: readonly Value[]): Value[] {
  const d = adjoints(b, loss, seed, wrt);
  return wrt.map((v) => d.get(v) as Value);
}

/**
 * As `grad`, but returns the gradients of all values between `wrt` and the loss too, by value. Values that have no
 * gradient are not in the map.
 */
export function adjoints(b: Builder, loss: Value, seed: Value, wrt: readonly Value[]): ReadonlyMap<Value, Value> {
  const nodes = [...b.nodes];
  const needed = new Set(wrt);
  for (const n of nodes) {
    if (opOf(n.op).grad && n.inputs.some((v) => needed.has(v))) for (const v of n.outputs) needed.add(v);
  }
  const d = new Map<Value, Value>([[loss, seed]]);
  for (const n of nodes.reverse()) {
    const op = opOf(n.op);
    if (!op.grad || !n.outputs.some((v) => d.has(v)) || !n.inputs.some((v) => needed.has(v))) continue;
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
  for (const v of wrt) if (!d.has(v)) throw new Error(`the loss %${loss.name} does not depend on %${v.name}`);
  return d;
}
