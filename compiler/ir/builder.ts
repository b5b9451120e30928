// Appends nodes to one graph. `b.in("fc1")` is a builder of the same graph with a longer scope. The name of a value is
// made of its scope and its op; if that name is taken, the value gets a suffix "_1", "_2", and so on.

import { inferTypes, recordOf, wantAttrs } from "./registry.js";
import type { Attrs, Graph, Init, Node, Role, State, TensorType, Value } from "./types.js";
import { sameType, showType } from "./types.js";

interface Draft {
  readonly name: string;
  readonly groups: number;
  readonly inputs: Value[];
  readonly state: State[];
  readonly nodes: Node[];
  readonly updates: Map<Value, Value>;
  readonly names: Set<string>;
  readonly next: Map<string, number>; // base name -> the suffix to try next
  most: number; // nodes
}

export class Builder {
  private constructor(
    readonly scope: string,
    private readonly g: Draft,
  ) {}

  /** A builder of an empty graph, whose batch consists of `groups` independent groups (absent: 1). */
  static create(name: string, options: { readonly groups?: number } = {}): Builder {
    const draft = { name, groups: options.groups ?? 1, inputs: [], state: [], nodes: [] };
    return new Builder("", {
      ...draft,
      updates: new Map(),
      names: new Set(),
      next: new Map(),
      most: Number.POSITIVE_INFINITY,
    });
  }

  /**
   * A builder that has the inputs and states of `g`, but none of its nodes, for passes that build the nodes again. The
   * names of `g`'s values count as taken.
   */
  static resume(g: Graph): Builder {
    const b = Builder.create(g.name, { groups: g.groups });
    for (const v of [...g.inputs, ...g.state, ...g.nodes.flatMap((n) => n.outputs)]) b.g.names.add(v.name);
    b.g.inputs.push(...g.inputs);
    b.g.state.push(...g.state);
    return b;
  }

  get groups(): number {
    return this.g.groups;
  }
  get nodes(): readonly Node[] {
    return this.g.nodes;
  }
  get states(): readonly State[] {
    return this.g.state;
  }

  /** From now on, emit() throws a RangeError if the graph would have more than `most` nodes. */
  limit(most: number): void {
    this.g.most = most;
  }

  /** A builder of the same graph with `part` appended to the scope. */
  in(part: string): Builder {
    return new Builder(this.scope && part ? `${this.scope}.${part}` : this.scope + part, this.g);
  }

  /** A builder of the same graph with exactly this scope. */
  at(scope: string): Builder {
    return new Builder(scope, this.g);
  }

  /** Declares an input of the graph and returns it. The scope is not part of its name. */
  input(name: string, type: TensorType): Value {
    const v = this.value(name, type);
    this.g.inputs.push(v);
    return v;
  }

  /** Declares the state `scope.name` and returns it. */
  state(name: string, type: TensorType, init: Init, role: Role = "param"): State {
    const v = { ...this.value(this.in(name).scope, type), init, role };
    this.g.state.push(v);
    return v;
  }

  /** `next` is the value of `state` after the step. Throws if the types differ or `state` has an update already. */
  update(state: Value, next: Value): void {
    if (this.g.updates.has(state)) throw new Error(`%${state.name} is updated twice in ${this.g.name}`);
    if (!sameType(state.type, next.type)) {
      throw new Error(`update of %${state.name}: ${showType(next.type)} for ${showType(state.type)}`);
    }
    this.g.updates.set(state, next);
  }

  /** The value of a state after the step; undefined if it has no update so far. */
  updateOf(state: Value): Value | undefined {
    return this.g.updates.get(state);
  }

  /**
   * Appends a node of the op `name` and returns its results in the order of the op's outputs. Most callers use the op
   * itself: `relu(b, x)`. Throws if no such op is defined, or if the op does not accept the operands or attributes; in
   * the second case the message names the op, the operands with their types, and the scope.
   */
  emit(name: string, inputs: readonly Value[], attrs: Attrs): Value[] {
    const op = recordOf(name);
    let types: Readonly<Record<string, TensorType>>;
    try {
      wantAttrs(op, attrs);
      types = inferTypes(
        op,
        inputs.map((v) => v.type),
        attrs,
      );
    } catch (e) {
      const args = inputs.map((v) => `${v.name}: ${showType(v.type)}`).join(", ");
      throw new Error(`${op.name}(${args}) in ${this.scope || "<top>"}: ${(e as Error).message}`);
    }
    if (this.g.nodes.length >= this.g.most) throw new RangeError(`there are ${this.g.most} nodes already`);
    const names: readonly string[] = op.outputs;
    const outputs = names.map((o) =>
      this.value(this.in(names.length > 1 ? `${op.name}_${o}` : op.name).scope, types[o] as TensorType),
    );
    this.g.nodes.push({ op: op.name, inputs: [...inputs], attrs, outputs, scope: this.scope });
    return outputs;
  }

  /** Appends an existing node without a change. Only passes need this. */
  keep(n: Node): void {
    this.g.nodes.push(n);
  }

  /** The graph built so far, with these outputs. */
  finish(outputs: readonly Value[]): Graph {
    const { name, groups, inputs, state, nodes, updates } = this.g;
    return {
      name,
      groups,
      inputs: [...inputs],
      state: [...state],
      nodes: [...nodes],
      outputs,
      updates: new Map(updates),
    };
  }

  private value(base: string, type: TensorType): Value {
    const { names, next } = this.g;
    let name = base;
    for (let n = next.get(base) ?? 1; names.has(name); n++) {
      name = `${base}_${n}`;
      next.set(base, n + 1);
    }
    names.add(name);
    return { name, type };
  }
}
