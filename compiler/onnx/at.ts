// What the rules of operators see of a node of a foreign model: its inputs, attributes and version. An attribute or
// input that a rule does not read is an error, because the result would depend on it.

import type { Builder } from "../ir/builder.js";
import type { Role, Value } from "../ir/types.js";
import { elements } from "../ir/types.js";
import { Memory } from "./memory.js";
import { type Attribute, type ElementType, elementsOf, type OnnxNode, scalarOf, type Tensor } from "./model.js";
import { Refused } from "./refused.js";

export { Refused } from "./refused.js";

/** A node cannot be read because the node that makes a value was refused. */
export class AfterRefused extends Error {}

/** A node is not supported because these values, its inputs, are not constants. */
export class NeedsConstants extends Refused {
  constructor(
    readonly values: readonly string[],
    why: string,
  ) {
    super(why);
  }
}

/** A value of a foreign model: computed when the program runs, or a constant, which becomes a state if it is needed. */
export interface Held {
  readonly type: { readonly dtype: ElementType; readonly shape: readonly number[] };
  readonly tensor: Tensor | undefined; // of a constant
  /** The value in the IR. Throws Refused if the IR has no such value. `role` is that of a state made for it. */
  value(role: Role): Value;
}

/** A BatchNormalization of a network that is trained: its statistics are those of a batch, if they are not frozen. */
export interface Normalization {
  readonly x: Value; // [N, C, ...]
  readonly gamma: Value; // [C], as all others
  readonly beta: Value;
  readonly mean: Value; // running
  readonly variance: Value;
  readonly eps: number;
  readonly momentum: number; // the weight of a batch in the running statistics
}

/** How the batch normalisations of a network that is trained are built. */
export interface Normalize {
  readonly scales: Role; // of gamma and beta
  /** A normalisation by statistics of a batch; undefined: it uses the running ones. */
  readonly build: (b: Builder, n: Normalization) => Value | undefined;
}

/** What differs in a network that is trained. */
export interface InTraining {
  readonly normalize: Normalize;
  /** What Dropout makes of a tensor, f32; absent: the tensor itself. */
  readonly drop?: (b: Builder, x: Value) => Value;
}

/** A node, with what is known of its inputs. */
export class At {
  private readonly left: Map<string, Attribute>;
  private readonly unread: Set<number>;

  constructor(
    readonly node: OnnxNode,
    readonly version: number, // of the operator set
    readonly builder: Builder,
    private readonly held: readonly (Held | undefined)[], // undefined: an optional input that is not given
    private readonly wanted: (output: string) => boolean,
    readonly memory = new Memory(), // of the model
    readonly training?: InTraining, // of a network that is trained
  ) {
    this.left = new Map(Object.entries(node.attributes));
    this.unread = new Set(held.flatMap((h, i) => (h ? [i] : [])));
  }

  refuse(why: string): never {
    throw new Refused(why);
  }

  /** The number of inputs that are listed, given or not. */
  get count(): number {
    return this.held.length;
  }
  has(i: number): boolean {
    return this.held[i] !== undefined;
  }
  /** Whether another node or the graph uses output `i`. */
  wants(i: number): boolean {
    const name = this.node.outputs[i];
    return name !== undefined && name !== "" && this.wanted(name);
  }

  private input(i: number): Held {
    this.unread.delete(i);
    return this.held[i] ?? this.refuse(`input ${i} is missing`);
  }
  /** Input `i` as a value of the IR; a constant becomes a state of this role. */
  in(i: number, role: Role = "param"): Value {
    return this.input(i).value(role);
  }
  all(): Value[] {
    return this.held.map((_, i) => this.in(i));
  }
  type(i: number): Held["type"] {
    return (this.held[i] ?? this.refuse(`input ${i} is missing`)).type;
  }
  /** The type of input `i`, which is read by that alone. */
  typeOnly(i: number): Held["type"] {
    return this.input(i).type;
  }
  shape(i: number): readonly number[] {
    return this.type(i).shape;
  }
  /** Input `i`, whose value must be known now. */
  constant(i: number): Tensor {
    const name = this.node.inputs[i] as string;
    const { tensor } = this.input(i);
    if (!tensor) throw new NeedsConstants([name], `input ${i} (${name}) must be a constant`);
    return tensor;
  }
  /** The integers of input `i`, which must be a constant. Those beyond 2^53 are clamped. */
  integers(i: number): number[] {
    const t = this.constant(i);
    if (!/^[iu]\d+$/.test(t.type)) this.refuse(`input ${i} is ${t.type}, not integers`);
    return Array.from(elementsOf(t) as ArrayLike<number | bigint>, (x) =>
      Math.min(Math.max(Number(x), Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER),
    );
  }
  /** The number that input `i` is, if it is a constant of one number; reads it then. */
  numberIfConstant(i: number): number | undefined {
    const tensor = this.held[i]?.tensor;
    if (!tensor || elements(tensor.dims) !== 1) return undefined;
    const value = scalarOf(tensor);
    if (value !== undefined) this.unread.delete(i);
    return value;
  }
  /** The integers of an attribute or, in newer versions, of input `i`; undefined if there are none. */
  integersOf(name: string, i: number, inputSince: number): readonly number[] | undefined {
    if (this.version < inputSince) return this.ints(name);
    return this.has(i) ? this.integers(i) : undefined;
  }

  private take(name: string, kind: Attribute["kind"]): unknown {
    const a = this.left.get(name);
    this.left.delete(name);
    if (a && a.kind !== kind) this.refuse(`attribute ${name} is ${a.kind}, not ${kind}`);
    return a?.value;
  }
  given(name: string): boolean {
    return this.left.has(name);
  }
  int(name: string, otherwise: number): number {
    return (this.take(name, "int") as number | undefined) ?? otherwise;
  }
  float(name: string, otherwise: number): number {
    return (this.take(name, "float") as number | undefined) ?? otherwise;
  }
  text(name: string, otherwise: string): string {
    return (this.take(name, "string") as string | undefined) ?? otherwise;
  }
  ints(name: string): readonly number[] | undefined {
    return this.take(name, "ints") as readonly number[] | undefined;
  }
  texts(name: string): readonly string[] | undefined {
    return this.take(name, "strings") as readonly string[] | undefined;
  }
  floats(name: string): readonly number[] | undefined {
    return this.take(name, "floats") as readonly number[] | undefined;
  }
  tensor(name: string): Tensor | undefined {
    return this.take(name, "tensor") as Tensor | undefined;
  }
  /** Leaves out attributes that do not change the result. */
  ignore(...names: readonly string[]): void {
    for (const name of names) this.left.delete(name);
  }
  /** Reads an attribute that must have this value if the node has it. */
  must(name: string, value: number, why: string): void {
    const got = this.int(name, value);
    if (got !== value) this.refuse(`attribute ${name} is ${got}: ${why}`);
  }
  /** An axis, which may count from the end. */
  axis(a: number, rank: number): number {
    if (!(a >= -rank && a < rank)) this.refuse(`there is no axis ${a} in a tensor of rank ${rank}`);
    return a < 0 ? a + rank : a;
  }
  /** Axes, each at most once. */
  axes(list: readonly number[], rank: number): number[] {
    const axes = list.map((a) => this.axis(a, rank));
    if (new Set(axes).size !== axes.length) this.refuse(`axes [${list}] name an axis twice`);
    return axes;
  }
  /** Throws unless everything that the node has was read. */
  end(): void {
    for (const name of this.left.keys()) this.refuse(`attribute ${name} is not supported`);
    for (const i of this.unread) this.refuse(`input ${i} (${this.node.inputs[i]}) is not supported`);
  }
}
