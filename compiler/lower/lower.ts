// Lowers all programs of an artefact to one Plan: regions, launches, the state they share, memory, and the tables that
// the runtime reads.

import { byteSize, type Graph, type State, sameType, showType, type Target, type Value } from "../ir/types.js";
import { alignUp } from "../util/math.js";
import { scheduleCollectives } from "./collectives.js";
import { padImages, splitFinite } from "./device_graph.js";
import type { Emitter } from "./emitter.js";
import { flatten } from "./flatten.js";
import { fuse } from "./fuse.js";
import { launchCounts } from "./launches.js";
import { layOutState, type Place, type Placed, type PlacedStep, planMemory } from "./memory.js";
import { writeMirrors } from "./mirrors.js";
import {
  ALIGN,
  type Kernel,
  type Plan,
  type Program,
  programName,
  roomOf,
  type StateEntry,
  type Step,
  type Tensor,
} from "./plan.js";
import { explainPrecision, requireTypes, storeActivations } from "./precision.js";
import { rankSum } from "./rank_sum.js";
import { recompute } from "./recompute.js";
import { printRegion } from "./region.js";
import { type Lowered, type Packed, type Selection, select } from "./select.js";
import { templatesOf } from "./templates/index.js";

export interface LoweredPlan {
  readonly plan: Plan;
  readonly explain: string; // the text of explain.txt: launches, precision, fusion decisions, regions
}

/**
 * Lowers graphs that the passes have optimised, and adds the program "refresh", which rebuilds derived state. Throws if
 * two programs have states with one name but different types or roles, or if a graph cannot be lowered.
 */
export function lowerPrograms(
  name: string,
  programs: readonly Graph[],
  target: Target,
  meta: Plan["meta"],
  emitter: Emitter,
): LoweredPlan {
  const explain: string[] = [];
  for (const g of programs) requireTypes(g, target);
  const templateOf = templatesOf(target);
  const fused = programs.map((program) => {
    const g = storeActivations(padImages(splitFinite(program, target), target), target);
    const decisions: string[] = [];
    const note = (line: string): void => void decisions.push(`  ${line}`);
    const regions = fuse(g, templateOf, note);
    const low =
      target.memory === "low" && g.updates.size > 0
        ? recompute(g, regions, target.precision ?? "f32", note)
        : undefined;
    return low
      ? { g: low.graph, regions: fuse(low.graph, templateOf, note, low), decisions }
      : { g, regions, decisions };
  });
  const graphs = fused.map(({ g }) => g);
  const { programs: covered, mirrors } = writeMirrors(fused, target, templateOf);
  const selections = covered.map(({ g, regions }, i) => {
    explain.push(`== ${programName(g)}: precision`, ...explainPrecision(g, target).map((line) => `  ${line}`));
    explain.push(`== ${programName(g)}: decisions`, ...(fused[i]?.decisions ?? []));
    explain.push(`== ${programName(g)}: kernels`, ...regions.map(printRegion));
    return select(g, regions, mirrors, target, templateOf, emitter);
  });
  const states = unionStates(graphs);
  const derived = new Map(selections.flatMap((s) => [...s.derived]));
  const copies = new Map([...mirrors.values(), ...[...derived.values()].map((p) => p.value)].map((v) => [v.name, v]));
  const order = layOutState(
    selections.map((s) => s.launches),
    [...states, ...copies.values()],
  );
  const tables = new Tables(target.bucketBytes);
  const statePlace = tables.placeState(order);
  const lowered = graphs.map((g, i) => {
    const { launches } = selections[i] as Selection;
    return tables.program(g, planMemory(g, launches, statePlace, repacking(g, launches, [...derived.values()])));
  });
  const refresh = emptyGraph("refresh");
  const firstRank = new Set(graphs.flatMap((g) => g.firstRank ?? []));
  const packs = [...derived.values()].map((p) => p.launch);
  lowered.push(tables.program(refresh, planMemory(refresh, [], statePlace, packs)));
  const plan = tables.finish(name, target, meta, states, [...copies.values()], lowered, firstRank);
  return { plan, explain: [...launchCounts(plan), ...explain].join("\n") };
}

/**
 * The packing launches that run at the end of a program: those of the states that the program updates, unless it writes
 * their packed copy itself.
 */
export function repacking(g: Graph, launches: readonly Lowered[], derived: readonly Packed[]): Lowered[] {
  const updated = new Set([...g.updates.keys()].map((s) => s.name));
  const mirrored = new Set(launches.flatMap((l) => [...l.mirrors]));
  return derived.filter((p) => updated.has(p.of.name) && !mirrored.has(p.value)).map((p) => p.launch);
}

const emptyGraph = (name: string): Graph => ({
  name,
  groups: 1,
  inputs: [],
  state: [],
  nodes: [],
  outputs: [],
  updates: new Map(),
});

function unionStates(graphs: readonly Graph[]): State[] {
  const all = new Map<string, State>();
  for (const g of graphs) {
    for (const s of g.state) {
      const known = all.get(s.name);
      if (known && (!sameType(known.type, s.type) || known.role !== s.role)) {
        throw new Error(
          `state %${s.name} is ${showType(known.type)} in one program and ${showType(s.type)} in ${g.name}`,
        );
      }
      if (!known) all.set(s.name, s);
    }
  }
  return [...all.values()];
}

/** Collects the tensors, kernels and arena sizes of a plan. */
class Tables {
  private readonly tensors: Tensor[] = [];
  private readonly indexOf = new Map<string, number>();
  private readonly stateTensor = new Map<string, number>();
  private readonly kernels = new Map<string, { readonly kernel: Kernel; readonly index: number }>();
  private readonly arenas = { state: 0, grad: 0, work: 0, io: 0 };
  private readonly ioPlace = new Map<string, Place>();
  private scratchBytes = 0;

  constructor(private readonly bucketBytes: number | undefined) {}

  placeState(order: readonly Value[]): ReadonlyMap<string, Place> {
    const places = new Map<string, Place>();
    for (const v of order) {
      places.set(v.name, { arena: "state", offset: this.arenas.state });
      this.arenas.state += roomOf(v.type);
    }
    for (const v of order) {
      this.stateTensor.set(v.name, this.tensor("", v, places.get(v.name) as Place));
    }
    return places;
  }

  program(g: Graph, placed: Placed): Program {
    const io = this.shareInputs(g, placed);
    const flattened = flatten(placed.steps, placed.place);
    const flat = scheduleCollectives(flattened.steps, flattened.place, this.bucketBytes);
    const place = (v: Value): Place => {
      const at = flat.place.get(v);
      if (!at) throw new Error(`internal: lower: %${v.name} of ${g.name} has no place in memory`);
      return at.arena === "io" ? { arena: "io", offset: io(at.offset) } : at;
    };
    const index = (v: Value): number => this.tensor(programName(g), v, place(v));
    const steps = flat.steps.map((s) => this.step(s, index));
    this.arenas.grad = Math.max(this.arenas.grad, placed.gradBytes);
    this.arenas.work = Math.max(this.arenas.work, placed.workBytes);
    const outputs = g.outputs.map((v) => [...placed.place.keys()].find((to) => to.name === `${v.name}.out`) ?? v);
    return {
      name: g.name,
      ranks: g.name === "refresh" ? 0 : (g.ranks ?? 1),
      inputs: g.inputs.map(index),
      outputs: outputs.map(index),
      steps,
      liveBytesMax: placed.liveBytesMax,
      workBytes: placed.workBytes,
    };
  }

  finish(
    name: string,
    target: Target,
    meta: Plan["meta"],
    states: readonly State[],
    derived: readonly Value[],
    programs: readonly Program[],
    firstRank: ReadonlySet<string>,
  ): Plan {
    const entry = (v: Value, role: StateEntry["role"], init: StateEntry["init"]): StateEntry => {
      const tensor = this.stateTensor.get(v.name);
      if (tensor === undefined) throw new Error(`internal: lower: no tensor for state %${v.name}`);
      return { tensor, role, init, firstRank: firstRank.has(v.name) };
    };
    const addsUp = target.device === "cuda" && programs.some((p) => p.steps.some((s) => s.do === "all_reduce"));
    const state = [
      ...states.map((s) => entry(s, s.role, s.init)),
      ...derived.map((v) => entry(v, "derived", { kind: "constant", value: 0 })),
    ];
    return {
      version: 2,
      name,
      target,
      meta: { ...meta, ...((target.precision ?? "f32") !== "f32" && { precision: target.precision }) },
      arenas: this.arenas,
      scratchBytes: this.scratchBytes,
      tensors: this.tensors,
      state,
      kernels: [...[...this.kernels.values()].map((k) => k.kernel), ...(addsUp ? [rankSum] : [])],
      programs,
    };
  }

  /**
   * Gives inputs of the same name and type one place in all programs, and reserves a range for the program's outputs.
   * Returns the function that maps an offset in the program's own io arena to the plan's.
   */
  private shareInputs(g: Graph, placed: Placed): (offset: number) => number {
    const moved: { readonly from: number; readonly bytes: number; readonly to: number }[] = [];
    for (const v of g.inputs) {
      const key = `${v.name} ${showType(v.type)}`;
      const shared = this.ioPlace.get(key) ?? { arena: "io" as const, offset: this.takeIo(byteSize(v.type)) };
      this.ioPlace.set(key, shared);
      moved.push({
        from: (placed.place.get(v) as Place).offset,
        bytes: alignUp(byteSize(v.type), ALIGN),
        to: shared.offset,
      });
    }
    const inputBytes = moved.reduce((s, m) => s + m.bytes, 0);
    const outputs = this.takeIo(placed.ioBytes - inputBytes);
    return (offset) => {
      // an offset in an input (also of a view into one), otherwise of an output
      const m = moved.find(({ from, bytes }) => from <= offset && offset < from + bytes);
      return m ? offset - m.from + m.to : offset - inputBytes + outputs;
    };
  }

  private takeIo(bytes: number): number {
    const offset = this.arenas.io;
    this.arenas.io += alignUp(bytes, ALIGN);
    return offset;
  }

  /**
   * The index of the tensor, which is added if it is new. A state or shared input is one tensor in all programs; the
   * names of all other tensors begin with the program's name.
   */
  private tensor(program: string, v: Value, at: Place): number {
    const shared = at.arena === "state" || this.ioPlace.has(`${v.name} ${showType(v.type)}`);
    const name = shared ? v.name : `${program}/${v.name.replace(/\.out$/, "")}`;
    const key = [name, at.arena, at.offset, showType(v.type)].join(" ");
    const known = this.indexOf.get(key);
    if (known !== undefined) return known;
    this.indexOf.set(key, this.tensors.length);
    this.tensors.push({ name, type: v.type, arena: at.arena, offset: at.offset });
    return this.tensors.length - 1;
  }

  private step(step: PlacedStep, index: (v: Value) => number): Step {
    if (step.do === "copy") return { do: "copy", from: index(step.from), to: index(step.to) };
    if (step.do === "collective") return { do: step.op, from: index(step.from), to: index(step.to), name: step.name };
    if (step.do === "await") return step;
    const l = step.launch;
    this.scratchBytes = Math.max(this.scratchBytes, l.shape.scratchBytes);
    return {
      do: "launch",
      kernel: this.kernel(l.kernel),
      name: l.name,
      args: l.args.map(index),
      rows: l.rows,
      groups: l.groups,
      extent: l.shape.extent ?? [],
      tasks: l.shape.tasks,
      workspace: step.workspace,
      workspaceBytes: l.shape.workspaceBytes,
      scalars: l.scalars,
      flops: l.flops,
      bytes: l.bytes,
      maps: l.maps,
    };
  }

  private kernel(k: Kernel): number {
    const known = this.kernels.get(k.symbol);
    if (known) return known.index;
    this.kernels.set(k.symbol, { kernel: k, index: this.kernels.size });
    return this.kernels.size - 1;
  }
}
