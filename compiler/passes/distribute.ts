// The graph of a whole batch -> the graph of one of the ranks that share it. The rows of the batch fall to the ranks in
// order, whole groups each; what is computed a row or a group stays with its rank, sums over rows become summands of an
// all_reduce, and what needs all rows gets them by all_gather. Surprising: BatchNorm's running statistics, which are
// the first group's, are right on rank 0 alone and travel only when somebody reads them (Graph.firstRank).
//
// A graph that updates no state (evaluation) shares nothing: each rank runs it on a batch of its own, of its part's
// size.

import { Builder } from "../ir/builder.js";
import type { Graph, Node, Shuffle, Value } from "../ir/types.js";
import { all_gather, all_reduce, own_rows } from "../ops/collective.js";
import { constant, isConstant } from "../ops/constant.js";
import { slice, take_rows } from "../ops/move.js";
import { opOf } from "../ops/op.js";
import { attrsForRows, operandNameOf, type Rows, rowsOf } from "../ops/rows.js";
import { nameOutputs } from "../rewrite/outputs.js";

/**
 * What one of `ranks` ranks computes; `g` itself for one. Throws where the batch or its groups do not fall into equal
 * parts.
 */
export const distribute = (g: Graph, ranks: number, shuffle: Shuffle): Graph =>
  ranks === 1 ? g : new Distributor(g, ranks, shuffle).run();

/**
 * Each rank sends a message to all others with every step. It begins with this many words for the trainer, and two
 * numbers for each of the rank's rows follow: input `mail` i64[MAIL_WORDS + 2 rows]. The output `mails` is the messages
 * of all ranks, in their order. The trainer finds this number from the shape of `mail`, so it is stated here alone.
 */
const MAIL_WORDS = 4;

/**
 * rows: a rank has its own rows of the value; same: every rank has all of it; summand: the value is the sum of what the
 * ranks have; first: rank 0 has it.
 */
type Placement = "rows" | "same" | "summand" | "first";

class Distributor {
  private readonly b: Builder;
  private readonly now = new Map<Value, Value>(); // of the whole batch -> of the rank
  private readonly placed = new Map<Value, Placement>(); // of values of the rank
  private readonly whole = new Map<Value, Value>(); // a value of the rank -> the same for all ranks
  private readonly own = new Map<Value, Value>(); // the other way round
  private readonly alone: boolean;
  private rows = 0; // of a rank

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

  /** Inputs with rows are the rank's own rows, but for permutations of the batch, which every rank has whole. */
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
      throw new Error(`${this.g.name}: ${what} has ${rows} rows, which do not fall into ${ranks} equal parts`);
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

  /** A node on the rank's own rows. */
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
   * Images in the order of a permutation. An input that nothing else reads is loaded in that order to begin with;
   * anything else is exchanged.
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

  /** v on every rank. */
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

  /** A constant that has the same value everywhere, with the rank's rows. */
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
 * Ranks hold equal runs of whole groups, in number a power of two, so that their trees are branches of the one over all
 * groups.
 */
function checkGroups({ name, groups }: Graph, ranks: number): void {
  const each = groups / ranks;
  if (!Number.isInteger(each))
    throw new Error(
      `${name}: ${groups} groups do not fall to ${ranks} ranks; choose --bn-groups as a multiple of the ranks`,
    );
  if (!Number.isInteger(Math.log2(each)))
    throw new Error(
      `${name}: ${groups} groups are ${each} for each of ${ranks} ranks; that must be a power of two, so that sums ` +
        "come in one order",
    );
}

/** A slice of rows that all belong to rank 0. */
const isFirst = (n: Node, ranks: number): boolean =>
  n.attrs.axis === 0 && (n.attrs.end as number) <= ((n.inputs[0] as Value).type.shape[0] as number) / ranks;
