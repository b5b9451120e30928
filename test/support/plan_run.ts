// Runs a lowered program without C++: its launches in order, each region computed by the ops' references in f64, with
// every value read from and written to the position that the memory plan gave it. Wrong fusion shows as an operand that
// was never written, a wrong lifetime as one that was overwritten.

import { emitter } from "../../compiler/emit/kernel.js";
import { fromStorage, type NdArray, toStorage } from "../../compiler/ir/nd.js";
import { byteSize, elements, type Graph, type Node, type Target, type Value } from "../../compiler/ir/types.js";
import { fuse } from "../../compiler/lower/fuse.js";
import { repacking } from "../../compiler/lower/lower.js";
import { layOutState, type Place, type Placed, planMemory } from "../../compiler/lower/memory.js";
import { type Covered, writeMirrors } from "../../compiler/lower/mirrors.js";
import { ALIGN, roomOf } from "../../compiler/lower/plan.js";
import { type Chain, operandName, outputsOf, type Region } from "../../compiler/lower/region.js";
import { type Lowered, select } from "../../compiler/lower/select.js";
import { templatesOf } from "../../compiler/lower/templates/index.js";
import { named, opOf } from "../../compiler/ops/op.js";

/** The results of a program: outputs by position, states by name. */
export interface PlanRun {
  readonly outputs: readonly NdArray[];
  readonly state: ReadonlyMap<string, NdArray>;
}

/**
 * Lowers a graph that has been through the passes and runs it from `feed`, inputs and states. `change` may spoil the
 * plan first. Throws if the plan is wrong.
 */
export function runPlan(
  g: Graph,
  target: Target,
  feed: ReadonlyMap<Value, NdArray>,
  change: (p: Placed) => Placed = (p) => p,
): PlanRun {
  const templateOf = templatesOf(target);
  const covered = writeMirrors([{ g, regions: fuse(g, templateOf) }], target, templateOf);
  const { regions } = covered.programs[0] as Covered;
  const { launches, derived } = select(g, regions, covered.mirrors, target, templateOf, emitter);
  const places = new Map<string, Place>();
  let offset = 0;
  const copies = [...covered.mirrors.values(), ...[...derived.values()].map((p) => p.value)];
  for (const v of layOutState([launches], [...g.state, ...copies])) {
    places.set(v.name, { arena: "state", offset });
    offset += roomOf(v.type);
  }
  const placed = change(planMemory(g, launches, places, repacking(g, launches, [...derived.values()])));
  const memory = new Memory(placed);
  for (const [v, x] of feed) memory.write(v, x);
  for (const p of derived.values())
    memory.writeAt(places.get(p.value.name) as Place, p.value, feed.get(p.of) as NdArray);
  const queue = [...regions]; // a packing launch has none; all other launches keep their order
  for (const step of placed.steps) {
    if (step.do === "copy") memory.write(step.to, memory.read(step.from));
    else if (step.do !== "launch") throw new Error("a plan of several ranks cannot be run alone");
    else if (step.launch.kernel.template.startsWith("pack_")) memory.pack(step.launch);
    else launch(memory, step, queue.shift() as Region);
  }
  const out = (v: Value): Value => [...placed.place.keys()].find((to) => to.name === `${v.name}.out`) ?? v;
  return {
    outputs: g.outputs.map((v) => memory.read(out(v))),
    state: new Map([...g.updates.keys()].map((s) => [s.name, memory.read(s)])),
  };
}

type LaunchStep = Extract<Placed["steps"][number], { readonly do: "launch" }>;

function launch(memory: Memory, { launch: l, workspace }: LaunchStep, r: Region): void {
  memory.check(l, workspace);
  const read = (v: Value): NdArray => {
    const u = l.packed.get(v) ?? l.reads.find((u) => u === v || isCopy(u, v));
    if (!u) throw new Error(`${l.kernel.symbol} does not read %${v.name}, which its region needs`);
    return memory.read(u, v.type.shape);
  };
  const values = compute(r, read);
  memory.clobber(workspace, l.shape.workspaceBytes);
  for (const v of outputsOf(r)) if (!l.mirrors.has(v)) memory.write(v, values.get(v) as NdArray);
  for (const [v, mirror] of r.mirrors) memory.write(mirror, values.get(v) as NdArray);
}

/** Whether u is a copy of v beside the other gradients, from which a launch may read a region's v. */
const isCopy = (u: Value, v: Value): boolean => u.name.startsWith(`${v.name}.at_`);

/** The rounding of a device, in addition to the ops' meaning. */
export interface Rounding {
  readonly result: (v: Value, x: NdArray) => NdArray; // of a value that is computed
  readonly operands: (n: Node, xs: readonly NdArray[]) => readonly NdArray[]; // of an anchor's operands
}
const exact: Rounding = { result: (_, x) => x, operands: (_, xs) => xs };

/** All values of a region, computed from those that `read` returns. */
export function compute(r: Region, read: (v: Value) => NdArray, rounding = exact): ReadonlyMap<Value, NdArray> {
  const made = new Map<Value, NdArray>();
  const value = (v: Value): NdArray => made.get(v) ?? read(v);
  const run = (n: Node, operands: readonly NdArray[]): void => {
    const op = opOf(n.op);
    const types = n.inputs.map((v) => v.type);
    const out = op.reference(named(op.inputs, operands), n.attrs, named(op.inputs, types) as never) as Record<
      string,
      NdArray
    >;
    for (const [i, v] of n.outputs.entries()) made.set(v, rounding.result(v, out[op.outputs[i]] as NdArray));
  };
  /** Computes a chain. Its operands come from its own nodes, or are among its leaves. */
  const chain = (c: Chain): void => {
    for (const n of c.nodes) {
      if (made.has(n.outputs[0] as Value)) continue;
      for (const v of n.inputs)
        if (!made.has(v) && !c.leaves.some((l) => l.value === v))
          throw new Error(`%${v.name} is no leaf of %${c.root.name}`);
      run(n, n.inputs.map(value));
    }
  };
  if (r.anchor) {
    const operands = r.anchor.inputs.map((v, i) => {
      const name = operandName(r.anchor as Node, i);
      const c = r.operands.get(name);
      if (c) chain(c);
      return value(r.plain.get(name) ?? v);
    });
    run(r.anchor, rounding.operands(r.anchor, operands));
  }
  for (const c of r.after) chain(c);
  for (const n of [...r.sums, ...(r.moments ? [r.moments] : [])]) run(n, n.inputs.map(value));
  return made;
}

interface Held extends Place {
  readonly bytes: number;
  readonly name: string;
  readonly data: Float64Array; // in storage order
}

const overlaps = (a: Place & { readonly bytes: number }, b: Place & { readonly bytes: number }): boolean =>
  a.arena === b.arena && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;

/** The contents of memory. A write makes every value that it overlaps unreadable. */
class Memory {
  private held: Held[] = [];

  constructor(private readonly placed: Placed) {}

  private at(v: Value): Place & { readonly bytes: number } {
    const place = this.placed.place.get(v);
    if (!place) throw new Error(`%${v.name} has no place`);
    return { ...place, bytes: byteSize(v.type) };
  }

  write(v: Value, x: NdArray): void {
    this.writeAt(this.at(v), v, x);
  }

  writeAt({ arena, offset }: Place, v: Value, x: NdArray): void {
    if (offset % ALIGN !== 0) throw new Error(`%${v.name} is written at ${offset}, not a multiple of ${ALIGN}`);
    const entry = { arena, offset, bytes: byteSize(v.type), name: v.name, data: toStorage(x) };
    this.held = [...this.held.filter((h) => !overlaps(h, entry)), entry];
  }

  /** The value at v's position, as `shape`: v's own, or that of the weight of which v is a packed copy. */
  read(v: Value, shape = v.type.shape): NdArray {
    const at = this.at(v);
    const from = this.held.find((h) => overlaps(h, at));
    if (!from || from.offset > at.offset || from.offset + from.bytes < at.offset + at.bytes)
      throw new Error(
        `%${v.name} is read from ${at.arena} ${at.offset}, where ${from ? `%${from.name}` : "nothing"} is`,
      );
    const count = elements(shape);
    const begin = at.bytes === from.bytes ? 0 : (at.offset - from.offset) / (at.bytes / count);
    return fromStorage(shape, from.data.slice(begin, begin + count));
  }

  /** Writes the packed copy of a weight, which has the weight's value. */
  pack(l: Lowered): void {
    const [w, packed] = [l.reads[0], l.writes[0]] as [Value, Value];
    this.write(packed, this.read(w)); // more bytes than elements
  }

  clobber(offset: number, bytes: number): void {
    if (bytes > 0) this.held = this.held.filter((h) => !overlaps(h, { arena: "work", offset, bytes }));
  }

  /**
   * Throws if the workspace overlaps a tensor, a result an operand that it may not replace exactly, or two results
   * overlap.
   */
  check(l: Lowered, workspace: number): void {
    const own = { arena: "work" as const, offset: workspace, bytes: l.shape.workspaceBytes };
    for (const v of [...l.reads, ...l.writes])
      if (overlaps(own, this.at(v))) throw new Error(`the workspace of ${l.kernel.symbol} covers %${v.name}`);
    for (const w of l.writes)
      for (const v of l.reads) {
        const [to, from] = [this.at(w), this.at(v)];
        if (!overlaps(to, from)) continue;
        const same = to.offset === from.offset && to.bytes === from.bytes;
        if (!same || !l.mayOverwrite.get(w)?.some((u) => u === v || isCopy(v, u)))
          throw new Error(`%${w.name} of ${l.kernel.symbol} is written over %${v.name}, which it reads`);
      }
    for (const [i, w] of l.writes.entries())
      for (const v of l.writes.slice(0, i))
        if (overlaps(this.at(w), this.at(v))) throw new Error(`%${w.name} and %${v.name} are written to one place`);
  }
}
