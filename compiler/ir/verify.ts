// Checks a whole graph: every value is defined once, before its uses, with the type that its op infers from the
// operands now.

import { inferTypes, recordOf } from "./registry.js";
import { type Graph, type Node, sameType, showType, type TensorType, type Value } from "./types.js";

/** The types of the node's outputs by name. Throws, naming the node, if its op does not accept it. */
function typesOf(n: Node): Readonly<Record<string, TensorType>> {
  try {
    return inferTypes(
      recordOf(n.op),
      n.inputs.map((v) => v.type),
      n.attrs,
    );
  } catch (e) {
    throw new Error(`${n.op} in ${n.scope}: ${(e as Error).message}`);
  }
}

/** Throws at the first violation; the message names the value, and the node or update that uses or defines it. */
export function verify(g: Graph): void {
  const defined = new Set<Value>();
  const names = new Set<string>();
  const define = (v: Value): void => {
    if (names.has(v.name)) throw new Error(`%${v.name} is defined twice`);
    names.add(v.name);
    defined.add(v);
  };
  const use = (v: Value, where: string): void => {
    if (!defined.has(v)) throw new Error(`${where} uses %${v.name} before its definition`);
  };
  for (const v of [...g.inputs, ...g.state]) define(v);
  for (const n of g.nodes) {
    const op = recordOf(n.op);
    for (const v of n.inputs) use(v, `${n.op} in ${n.scope}`);
    const types = typesOf(n);
    n.outputs.forEach((v, i) => {
      const want = types[op.outputs[i] as string] as TensorType;
      if (!sameType(want, v.type)) {
        throw new Error(`${n.op} in ${n.scope}: %${v.name} is ${showType(v.type)}, the op infers ${showType(want)}`);
      }
      define(v);
    });
  }
  for (const v of g.outputs) use(v, "return");
  for (const [s, v] of g.updates) {
    use(v, `the update of %${s.name}`);
    if (!(g.state as readonly Value[]).includes(s)) throw new Error(`%${s.name} is updated but is not a state`);
    if (!sameType(s.type, v.type))
      throw new Error(`the update of %${s.name} is ${showType(v.type)}, the state is ${showType(s.type)}`);
  }
}
