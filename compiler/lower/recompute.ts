// --memory low: which values a training step computes a second time in the backward pass instead of keeping them.
//
// Without it, the peak is at the end of the forward pass, because the backward pass still needs almost everything that
// was stored. A value is dropped if the kernel that makes it is cheap for the memory that it holds: BatchNorm, residual
// sum and ReLU, which are one pass over memory, and convolutions with few input channels. The rule: kernels are counted
// with the larger of the bytes that they move and FLOPS / BALANCE; all that are repeated may take SHARE of the step. A
// search that adds and removes one value at a time looks for the lowest peak within that.
//
// Results do not change by a bit. A repeated kernel has the same operands, expressions and order of sums; every other
// kernel stays what it is, because repeated nodes share kernels with each other only (fuse.ts).

import { byteSize, type Graph, type Node, type Precision, type Value } from "../ir/types.js";
import { isConstant } from "../ops/constant.js";
import { isElementwise, opOf } from "../ops/op.js";
import { hoisted } from "./fuse.js";
import { type Candidate, lowestPeak } from "./recompute_search.js";
import { inputsOf, outputsOf, type Region, rawResult } from "./region.js";
import { isView, viewOf } from "./views.js";

/** The part of a step's estimated time that repeated kernels may take. */
export const SHARE = 0.07;
/** Floating-point operations that take as long as moving one byte, on two cores with AVX-512 and their memory. */
export const BALANCE = { f32: 11, bf16: 20 } as const;
const SMALLEST = 1e-3; // of the peak: values with fewer bytes are kept

/** A graph with nodes that are repeated, and what fuse() must know to give all other nodes the kernels they had. */
export interface Repeating {
  readonly graph: Graph;
  readonly stored: ReadonlySet<Value>; // the values that kernels with an epilogue write
  readonly repeated: ReadonlySet<Node>;
}

const sum = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0);

/**
 * `g`, which fuse() covers with `regions`, with values that are made again for the backward pass; undefined if that
 * saves nothing. `note` is called with a line of text per value.
 */
export function recompute(
  g: Graph,
  regions: readonly Region[],
  precision: Precision,
  note: (line: string) => void = () => {},
): Repeating | undefined {
  return new Recomputation(g, regions, precision === "bf16" ? BALANCE.bf16 : BALANCE.f32, note).run();
}

class Recomputation {
  private readonly nodes: readonly Node[];
  private readonly position = new Map<Node, number>();
  private readonly producer = new Map<Value, Node>();
  private readonly base = new Map<Value, Value>(); // view -> the value whose bytes it is
  private readonly writer = new Map<Value, number>(); // value in memory -> the region that writes it
  private readonly reads: readonly (readonly Value[])[]; // of each region, views replaced by what they view

  constructor(
    private readonly g: Graph,
    private readonly regions: readonly Region[],
    private readonly balance: number,
    private readonly note: (line: string) => void,
  ) {
    this.nodes = hoisted(g, new Set());
    for (const [i, n] of this.nodes.entries()) {
      this.position.set(n, i);
      for (const v of n.outputs) this.producer.set(v, n);
      if (isView(n)) this.base.set(n.outputs[0] as Value, this.baseOf(viewOf(n).of));
    }
    for (const [i, r] of regions.entries()) for (const v of outputsOf(r)) this.writer.set(v, i);
    this.reads = regions.map((r) => [...new Set(inputsOf(r).map((v) => this.baseOf(v)))]);
  }

  run(): Repeating | undefined {
    const kept = new Set<Value>([...this.g.outputs, ...this.g.updates.values()].map((v) => this.baseOf(v)));
    for (const r of this.regions) if (isFlat(r)) for (const v of inputsOf(r)) kept.add(this.baseOf(v));
    const work = [...this.writer.keys()].filter((v) => !kept.has(v));
    const step = sum(
      this.regions.map((r) => {
        const bytes = sum([...inputsOf(r), ...outputsOf(r)].map((v) => byteSize(v.type)));
        return this.time(bytes, r.anchor ? (r.template.flops(r.anchor) ?? 0) : 0);
      }),
    );
    const found = lowestPeak({
      values: work.map((v) => ({ value: v, bytes: byteSize(v.type), made: this.writer.get(v) as number })),
      reads: this.reads,
      candidate: (v) => this.candidate(v),
      smallest: SMALLEST,
      budget: SHARE * step,
    });
    if (found.chosen.length === 0) return undefined;
    const cost = sum(found.chosen.map((c) => c.cost));
    this.note(
      `${found.chosen.length} values are made again for the backward pass, in about ` +
        `${((100 * cost) / step).toFixed(1)} % of the step's time; peak about ${mb(found.peak)} MB instead of ` +
        `${mb(found.before)} MB`,
    );
    for (const c of found.chosen)
      this.note(`%${c.value.name}: made again from ${c.sources.map((v) => `%${v.name}`).join(", ")}`);
    return this.rewrite(found.turn, found.chosen);
  }

  /** The estimated time of a kernel, in bytes moved. */
  private time(bytes: number, flops: number): number {
    return Math.max(bytes, flops / this.balance);
  }

  private baseOf(v: Value): Value {
    return this.base.get(v) ?? v;
  }

  /** How `v` can be made again; undefined if it cannot be. */
  private candidate(v: Value): Candidate | undefined {
    if ([...this.base.values()].includes(v)) return undefined;
    const nodes = new Set<Node>();
    const sources = new Set<Value>();
    const visit = (u: Value): boolean => {
      const n = this.producer.get(u);
      if (!n || (u !== v && this.writer.has(this.baseOf(u)))) {
        if (this.writer.has(this.baseOf(u))) sources.add(this.baseOf(u));
        return true; // in memory, or an input or a state
      }
      if (isConstant(n) || nodes.has(n)) return true;
      if (isView(n) || (!isElementwise(n) && !this.hasEpilogue(n)) || opOf(n.op).flat) return false;
      nodes.add(n);
      return n.inputs.every(visit);
    };
    if (!visit(v) || sources.size === 0) return undefined;
    const inOrder = [...nodes].sort((a, b) => this.at(a) - this.at(b));
    const anchors = inOrder.filter((n) => !isElementwise(n));
    const flops = sum(anchors.map((n) => this.regionOf(n)?.template.flops(n) ?? 0));
    const bytes = sum([...sources, v].map((u) => byteSize(u.type)));
    return { value: v, nodes: inOrder, sources: [...sources], cost: this.time(bytes, flops) };
  }

  private at(n: Node): number {
    return this.position.get(n) as number;
  }

  private regionOf(n: Node): Region | undefined {
    return this.regions.find((r) => r.anchor === n);
  }

  /** Whether n is an anchor whose only result passes through registers: a convolution, a matrix product. */
  private hasEpilogue(n: Node): boolean {
    const r = this.regionOf(n);
    return n.outputs.length === 1 && r !== undefined && rawResult(r) === n.outputs[0];
  }

  /** The graph in which the regions after number `turn` read what was made again. */
  private rewrite(turn: number, chosen: readonly Candidate[]): Repeating {
    const of = new Map(chosen.map((c) => [c.value, c]));
    const again = new Map<Value, Value>(); // chosen value -> the one that was made again
    const late = new Map<Value, Value>(); // value that is not stored -> the same, computed from what was made again
    const stored = new Set(this.regions.flatMap((r) => r.stores));
    const repeated = new Set<Node>();
    const out: Node[] = [];
    const makeAgain = (c: Candidate): void => {
      const own = new Map<Value, Value>();
      const index = again.size;
      for (const n of c.nodes) {
        const outputs = n.outputs.map((v) => {
          const to = { name: `${v.name}.again${v === c.value ? "" : `_${index}`}`, type: v.type };
          own.set(v, to);
          if (v === c.value) again.set(v, to);
          if (stored.has(v) && v === c.value) stored.add(to);
          return to;
        });
        const inputs = n.inputs.map((v) => own.get(v) ?? again.get(v) ?? v);
        const copy = { ...n, inputs, outputs };
        repeated.add(copy);
        out.push(copy);
      }
    };
    const lateOf = (v: Value): Value => {
      const known = again.get(v) ?? late.get(v);
      if (known) return known;
      const n = this.producer.get(v);
      if (!n || this.writer.has(this.baseOf(v)) || !isElementwise(n) || isConstant(n)) return v;
      const inputs = n.inputs.map(lateOf);
      if (inputs.every((u, i) => u === n.inputs[i])) return v;
      const outputs = n.outputs.map((u) => ({ name: `${u.name}.late`, type: u.type }));
      n.outputs.forEach((u, i) => late.set(u, outputs[i] as Value));
      out.push({ ...n, inputs, outputs });
      return late.get(v) as Value;
    };
    const owner = this.owners();
    const begun = new Set<number>();
    for (const n of this.nodes) {
      const r = owner.get(n);
      if (r === undefined || r <= turn) {
        out.push(n);
        continue;
      }
      if (!begun.has(r)) for (const c of this.neededBy(r, of, again)) makeAgain(c);
      begun.add(r);
      out.push({ ...n, inputs: n.inputs.map(lateOf) });
    }
    return { graph: { ...this.g, nodes: used(this.g, out) }, stored, repeated };
  }

  /** What has to be made again before region r, in the order of the first pass. */
  private neededBy(r: number, of: ReadonlyMap<Value, Candidate>, known: ReadonlyMap<Value, Value>): Candidate[] {
    const needed = new Set<Candidate>();
    const visit = (v: Value): void => {
      const c = of.get(v);
      if (!c || known.has(v) || needed.has(c)) return;
      needed.add(c);
      c.sources.forEach(visit);
    };
    this.reads[r]?.forEach(visit);
    const last = (c: Candidate): number => this.at(c.nodes.at(-1) as Node);
    return [...needed].sort((a, b) => last(a) - last(b));
  }

  /** Node -> the region that it opens or joins; nodes that only prologues compute are in none. */
  private owners(): ReadonlyMap<Node, number> {
    const owner = new Map<Node, number>();
    for (const [i, r] of this.regions.entries()) {
      const stores = r.stores.map((v) => this.producer.get(v));
      for (const n of [r.anchor, ...stores, ...r.sums, r.moments]) if (n) owner.set(n, i);
    }
    return owner;
  }
}

const mb = (bytes: number): string => (bytes / 1e6).toFixed(0);

const isFlat = (r: Region): boolean =>
  r.template.flat === true || r.after.some((c) => c.nodes.some((n) => opOf(n.op).flat === true));

/** The nodes whose results are used. */
function used(g: Graph, nodes: readonly Node[]): Node[] {
  const needed = new Set<Value>([...g.outputs, ...g.updates.values()]);
  const kept = nodes.toReversed().filter((n) => {
    if (!n.outputs.some((v) => needed.has(v))) return false;
    for (const v of n.inputs) needed.add(v);
    return true;
  });
  return kept.reverse();
}
