// Makes the graph of one rank from the graph of a whole batch. The rows of the batch are divided between the ranks in
// order, in whole groups. Values per row or per group are computed by the rank that has the rows; sums over rows become
// an all_reduce of the ranks' sums; an op that needs all rows gets them by an all_gather. Surprising: BatchNorm's
// running statistics are those of the first group, so only rank 0 has them right. They are sent to other ranks only if
// something needs them there (Graph.firstRank).
//
// In a graph that updates no state (evaluation) the ranks exchange nothing: each runs it on its own batch, which has 1
// / ranks of the rows.

import { Builder } from "../ir/builder.js";
import type { Graph, Node, Shuffle, Value } from "../ir/types.js";
import { all_gather, all_reduce, own_rows } from "../ops/collective.js";
import { constant, isConstant } from "../ops/constant.js";
import { slice, take_rows } from "../ops/move.js";
import { opOf } from "../ops/op.js";
import { attrsForRows, operandNameOf, type Rows, rowsOf } from "../ops/rows.js";
import { nameOutputs } from "../rewrite/outputs.js";

/**
 * The graph that each of `ranks` ranks runs; `g` itself for one rank. Throws if the rows of an input cannot be divided
 * equally, or if `g` updates state and each rank would not get a power of two of whole groups.
 */
export const distribute = (g: Graph, ranks: number, shuffle: Shuffle): Graph =>
  ranks === 1 ? g : new Distributor(g, ranks, shuffle).run();

/**
 * Each rank sends a message to all others with every step. It consists of this many words for the trainer and two
 * numbers for each of the rank's rows: input `mail` i64[MAIL_WORDS + 2 rows]. The output `mails` contains the messages
 * of all ranks, in the order of the ranks. The trainer derives this number from the shape of `mail`, so it is defined
 * only here.
 */
const MAIL_WORDS = 4;

/**
 * rows: each rank has its own rows of the value; same: every rank has the whole value; summand: the value is the sum of
 * the ranks' values; first: only rank 0 has the value.
 */
type Placement = "rows" | "same" | "summand" | "first";

class Distributor {
  private readonly b: Builder;
  private readonly now = new Map<Value, Value>(); // value of g -> value of the rank's graph
  private readonly placed = new Map<Value, Placement>(); // of values of the rank's graph
  private readonly whole = new Map<Value, Value>(); // value -> its all_gather or all_reduce, once there is one
  private readonly own = new Map<Value, Value>(); // value that all ranks have -> the rank's rows of it
  private readonly alone: boolean;
  private rows = 0; // of the batch, per rank

  constructor(
    private readonly g: Graph,
    private readonly ranks: number,
    private readonly shuffle: Shuffle,
  ) {
    this.alone = g.updates.size === 0;
    if (!this.alone) checkGroups(g, ranks);
    this.b = Builder.create(g.name, { groups: this.alone ? g.groups : g.groups / ranks });
  }

  run(): Graph {
    const { g, b } = this;
    for (const v of g.inputs) this.input(v);
    for (const s of g.state) this.put(s, b.at("").state(s.name, s.type, s.init, s.role), "same");
    for (const n of g.nodes) this.node(n);
    const firstRank: string[] = [];
    for (const [s, v] of g.updates) {
      const is = this.now.get(v) as Value;
      const first = this.placementOf(is) === "first";
      if (first) firstRank.push(s.name);
      b.update(this.now.get(s) as Value, first ? is : this.everywhere(is));
    }
    const mails = this.alone ? [] : [this.mails()];
    const outputs = g.outputs.map((v) => this.returned(this.now.get(v) as Value));
    const named = nameOutputs(b.finish([...outputs, ...mails]), [
      ...g.outputs,
      ...mails.map((v) => ({ ...v, name: "mails" })),
    ]);
    return { ...named, ranks: this.ranks, firstRank };
  }

  private put(of: Value, v: Value, placement: Placement): void {
    this.now.set(of, v);
    this.placed.set(v, placement);
  }

  private placementOf = (v: Value): Placement => this.placed.get(v) as Placement;

  /**
   * An input becomes the rank's rows of it, except scalars and permutations of the batch, which every rank has whole.
   */
  private input(v: Value): void {
    const { g, b } = this;
    const permutes = g.nodes.some((n) =>
      n.inputs.some((w, i) => w === v && opOf(n.op).permutation === operandNameOf(n, i)),
    );
    const whole = v.type.shape.length === 0 || permutes;
    if (whole) return this.put(v, b.input(v.name, v.type), "same");
    const shape = this.part(v.type.shape, `input ${v.name}`);
    this.rows = Math.max(this.rows, shape[0] as number);
    this.put(v, b.input(v.name, { ...v.type, shape }), "rows");
  }

  private part(shape: readonly number[], what: string): number[] {
    const { ranks } = this;
    const [rows = 0, ...rest] = shape;
    if (rows % ranks !== 0)
      throw new Error(`${this.g.name}: ${what} has ${rows} rows, which cannot be divided into ${ranks} equal parts`);
    return [rows / ranks, ...rest];
  }

  private node(n: Node): void {
    if (n.op === take_rows.name && this.placementOf(this.now.get(n.inputs[0] as Value) as Value) === "rows")
      return this.takeRows(n);
    const operands = n.inputs.map((v) => this.now.get(v) as Value);
    const at = operands.map((v) => this.placementOf(v));
    const elementwise = opOf(n.op).kind === "elementwise";
    const rows = rowsOf(n);
    if (rows && at.some((p, i) => p === "rows" && rows.operands[i])) return this.onRows(n, operands, rows);
    const one = at.length === 1 ? at[0] : undefined;
    if (n.op === slice.name && one === "rows" && isFirst(n, this.ranks)) return this.keep(n, operands, ["first"]);
    if (one === "summand" && opOf(n.op).kind === "view") return this.keep(n, operands, ["summand"]);
    if (at.includes("first") && (elementwise || opOf(n.op).kind === "view")) {
      return this.keep(
        n,
        operands.map((v, i) => (at[i] === "first" ? v : this.everywhere(v))),
        n.outputs.map(() => "first"),
      );
    }
    this.keep(
      n,
      operands.map((v) => this.everywhere(v)),
      n.outputs.map(() => "same"),
    );
  }

  /** Keeps a node that can be computed from the rank's own rows, with its counts of rows and groups changed. */
  private onRows(n: Node, operands: readonly Value[], rows: Rows): void {
    const inputs = operands.map((v, i) => (rows.operands[i] ? this.ownRows(v) : this.everywhere(v)));
    const attrs = attrsForRows(
      n.attrs,
      (count) => this.part([count], `%${n.outputs[0]?.name}`)[0] as number,
      (count) => (this.alone ? count : count / this.ranks),
    );
    this.keep(
      { ...n, attrs },
      inputs,
      rows.sums.map((sum) => (sum ? "summand" : "rows")),
    );
  }

  private keep(n: Node, inputs: readonly Value[], placements: readonly Placement[]): void {
    const made = this.b.at(n.scope).emit(n.op, inputs, n.attrs);
    n.outputs.forEach((v, i) => this.put(v, made[i] as Value, placements[i] as Placement));
  }

  /**
   * Rows in the order of a permutation. With `shuffle` "load" an input that nothing else reads needs no exchange,
   * because the loader reads it in that order. All other rows are gathered and permuted, and each rank takes its own.
   */
  private takeRows(n: Node): void {
    const [x, order] = n.inputs as [Value, Value];
    const loaded =
      this.g.inputs.includes(x) &&
      this.g.nodes.every((m) => m === n || !m.inputs.includes(x)) &&
      this.shuffle === "load";
    const rows = this.now.get(x) as Value;
    if (loaded || this.alone) return this.put(n.outputs[0] as Value, rows, "rows");
    const [taken] = this.b.at(n.scope).emit(n.op, [this.everywhere(rows), this.now.get(order) as Value], n.attrs) as [
      Value,
    ];
    this.placed.set(taken, "same");
    this.put(n.outputs[0] as Value, this.ownRows(taken), "rows");
  }

  /** The whole value of v, on every rank. */
  private everywhere(v: Value): Value {
    const placement = this.placementOf(v);
    if (placement === "same" || this.alone) return v;
    if (placement === "first") throw new Error(`internal: distribute: %${v.name} is rank 0's alone`);
    const known = this.whole.get(v);
    if (known) return known;
    const b = this.b.at(v.name);
    const made = placement === "rows" ? all_gather(b, v, { ranks: this.ranks }) : all_reduce(b, v);
    this.whole.set(v, made);
    this.placed.set(made, "same");
    return made;
  }

  /** The rank's own rows of v. */
  private ownRows(v: Value): Value {
    if (this.placementOf(v) === "rows") return v;
    const known = this.own.get(v);
    if (known) return known;
    const made = this.fewer(v) ?? own_rows(this.b.at(v.name), this.everywhere(v), { ranks: this.ranks });
    this.own.set(v, made);
    this.placed.set(made, "rows");
    return made;
  }

  /** The rank's rows of v if v is a constant with equal elements; otherwise undefined. */
  private fewer(v: Value): Value | undefined {
    const n = this.b.nodes.find((m) => m.outputs[0] === v);
    const values = n && isConstant(n) ? (n.attrs.values as readonly number[]) : [];
    if (values.length !== 1) return undefined;
    const dtype = v.type.dtype as "f32" | "i64";
    return constant(this.b.at(n?.scope ?? ""), { values, shape: this.part(v.type.shape, `%${v.name}`), dtype });
  }

  private returned(v: Value): Value {
    return this.placementOf(v) === "first" ? v : this.everywhere(v);
  }

  private mails(): Value {
    const b = this.b.at("");
    const mail = b.input("mail", { dtype: "i64", shape: [MAIL_WORDS + 2 * this.rows] });
    this.placed.set(mail, "rows");
    return this.everywhere(mail);
  }
}

/**
 * Throws unless each rank gets the same number of whole groups, and that number is a power of two. Then the tree of a
 * rank's sum over its groups is a branch of the tree over all groups, and the sum has the same bits for every number of
 * ranks.
 */
function checkGroups({ name, groups }: Graph, ranks: number): void {
  const each = groups / ranks;
  if (!Number.isInteger(each))
    throw new Error(
      `${name}: ${groups} groups cannot be divided among ${ranks} ranks; choose a multiple of ${ranks} for --bn-groups`,
    );
  if (!Number.isInteger(Math.log2(each)))
    throw new Error(
      `${name}: ${groups} groups on ${ranks} ranks are ${each} per rank; that must be a power of two, because only ` +
        "then do sums have the same order for every number of ranks; choose " +
        `${ranks} times a power of two for --bn-groups`,
    );
}

/** Whether n is a slice of rows that all belong to rank 0. */
const isFirst = (n: Node, ranks: number): boolean =>
  n.attrs.axis === 0 && (n.attrs.end as number) <= ((n.inputs[0] as Value).type.shape[0] as number) / ranks;
