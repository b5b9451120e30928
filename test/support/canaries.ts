// Canaries: an artefact whose launches each run on memory of their own, with bytes of a known value around every buffer
// and after every workspace. A kernel that writes past either, or whose template asks for a workspace that is a row too
// short, changes them, and the position of the canary names the launch.

import { join } from "node:path";
import { type Artefact, load } from "node-cuda-rt";
import { buildArtefact } from "../../compiler/emit/project.js";
import { byteSize, type Graph, type Target } from "../../compiler/ir/types.js";
import { ALIGN, type Launch, type Plan, type Program, type Step, type Tensor } from "../../compiler/lower/plan.js";
import { lower } from "../../compiler/pipeline.js";
import { alignUp } from "../../compiler/util/math.js";
import { root } from "../../compiler/util/root.js";

const CANARY_BYTES = 256; // before and after each piece of memory: a row of partials of 64 channels
const CANARY = 0xa5; // of a float: -2.9e-16, which no op case computes

/** A canary: bytes that no launch may change. */
interface Canary {
  readonly what: string; // "behind the workspace of conv_fprop_3f2a9c, step 2"
  readonly bytes: number;
}

/**
 * A plan with canaries, and per program the memory that they guard, in the order of the canaries in the state tensor
 * `seen`.
 */
export interface Guarded {
  readonly plan: Plan;
  readonly canaries: ReadonlyMap<string, readonly Canary[]>;
}

const seenOf = (program: string): string => `canaries/${program}/seen`;
const freshOf = (program: string): string => `canaries/${program}/fresh`;

/**
 * Returns the plan with every launch moved to memory that nothing else uses: its operands are copied there before it
 * and back after it. Operands of one launch that share memory keep sharing it. The canaries are set by copies when a
 * program begins and copied to a state tensor when it ends, so neither the runtime nor the kernels know of them.
 */
export function guard(plan: Plan): Guarded {
  const layout = new Layout(plan);
  const canaries = new Map<string, readonly Canary[]>();
  const programs = plan.programs.map((p) => {
    const guarded = layout.program(p);
    canaries.set(p.name, guarded.canaries);
    return guarded.program;
  });
  return { plan: { ...plan, arenas: layout.arenas, tensors: layout.tensors, programs }, canaries };
}

interface Run {
  readonly first: number; // offset in its arena
  readonly end: number;
  readonly arena: Tensor["arena"];
  readonly members: readonly number[]; // tensors
}

class Layout {
  readonly tensors: Tensor[];
  readonly arenas: Record<Tensor["arena"], number>;
  private canaries: (Canary & { readonly tensor: number })[] = [];

  constructor(private readonly plan: Plan) {
    this.tensors = [...plan.tensors];
    this.arenas = { ...plan.arenas };
  }

  program(p: Program): { readonly program: Program; readonly canaries: readonly Canary[] } {
    this.canaries = [];
    const steps = p.steps.flatMap((s, i) => (s.do === "launch" ? this.launch(s, i) : [s]));
    const bytes = this.canaries.reduce((sum, c) => sum + c.bytes, 0);
    const [fresh, seen] = [freshOf(p.name), seenOf(p.name)].map((name) => {
      const offset = this.take("state", bytes);
      this.tensor(name, bytes, "state", offset);
      return offset;
    }) as [number, number];
    let at = 0;
    const set: Step[] = [];
    const look: Step[] = [];
    for (const { tensor, bytes } of this.canaries) {
      set.push({ do: "copy", from: this.tensor("fresh", bytes, "state", fresh + at), to: tensor });
      look.push({ do: "copy", from: tensor, to: this.tensor("seen", bytes, "state", seen + at) });
      at += bytes;
    }
    return { program: { ...p, steps: [...set, ...steps, ...look] }, canaries: this.canaries };
  }

  private launch(l: Launch, step: number): Step[] {
    const kernel = `${this.plan.kernels[l.kernel]?.symbol}, step ${step}`;
    const moved = new Map<number, number>();
    for (const run of this.runs(l.args)) {
      const names = run.members.map((t) => `%${this.tensors[t]?.name}`).join(", ");
      const begin = this.guarded(run.end - run.first, `${names} of ${kernel}`);
      for (const t of run.members) {
        const { name, type, offset } = this.tensors[t] as Tensor;
        moved.set(t, this.tensors.push({ name, type, arena: "work", offset: begin + offset - run.first }) - 1);
      }
    }
    const workspace = this.guarded(l.workspaceBytes, `the workspace of ${kernel}`);
    const copies = [...moved].map(([from, to]) => ({ do: "copy", from, to }) as const);
    return [
      ...copies,
      { ...l, args: l.args.map((t) => moved.get(t) as number), workspace },
      ...copies.map(({ from, to }) => ({ do: "copy", from: to, to: from }) as const),
    ];
  }

  /** The memory of a launch's tensors; tensors that overlap are one run. */
  private runs(args: readonly number[]): readonly Run[] {
    let runs: readonly Run[] = [];
    for (const t of new Set(args)) {
      const { arena, offset, type } = this.tensors[t] as Tensor;
      const own = { first: offset, end: offset + byteSize(type), arena, members: [t] };
      const near = runs.filter((r) => r.arena === arena && r.first < own.end && own.first < r.end);
      const all = [...near, own];
      runs = [
        ...runs.filter((r) => !near.includes(r)),
        {
          first: Math.min(...all.map((r) => r.first)),
          end: Math.max(...all.map((r) => r.end)),
          arena,
          members: all.flatMap((r) => r.members),
        },
      ];
    }
    return runs;
  }

  /** Offset of `bytes` bytes of the work arena, with a canary before and one after them. */
  private guarded(bytes: number, what: string): number {
    this.canary(CANARY_BYTES, this.take("work", CANARY_BYTES), `before ${what}`);
    const room = alignUp(bytes, ALIGN) + CANARY_BYTES;
    const begin = this.take("work", room);
    this.canary(room - bytes, begin + bytes, `behind ${what}`);
    return begin;
  }

  private canary(bytes: number, offset: number, what: string): void {
    this.canaries.push({ what, bytes, tensor: this.tensor("canary", bytes, "work", offset) });
  }

  private take(arena: Tensor["arena"], bytes: number): number {
    const offset = alignUp(this.arenas[arena], ALIGN);
    this.arenas[arena] = offset + alignUp(bytes, ALIGN);
    return offset;
  }

  private tensor(name: string, bytes: number, arena: Tensor["arena"], offset: number): number {
    return this.tensors.push({ name, type: { dtype: "u8", shape: [bytes] }, arena, offset }) - 1;
  }
}

/** An artefact with canaries, loaded. */
export class GuardedArtefact {
  constructor(
    readonly artefact: Artefact,
    private readonly canaries: Guarded["canaries"],
  ) {
    for (const [program, all] of canaries) artefact.set(freshOf(program), this.intact(all));
  }

  private intact(all: readonly Canary[]): Uint8Array {
    return new Uint8Array(all.reduce((sum, c) => sum + c.bytes, 0)).fill(CANARY);
  }

  /** Canaries that the last run of a program changed: "behind the workspace of KERNEL, step N: byte N was written". */
  broken(program: string): readonly string[] {
    const seen = this.artefact.get(seenOf(program));
    let at = 0;
    return (this.canaries.get(program) ?? []).flatMap(({ what, bytes }) => {
      const wrong = seen.subarray(at, at + bytes).findIndex((b) => b !== CANARY);
      at += bytes;
      return wrong < 0 ? [] : [`${what}: byte ${wrong} was written`];
    });
  }
}

/** Compiles the graphs as `compiled` does, with canaries, below build/test. `spoil` may change the plan before. */
export async function compiledWithCanaries(
  name: string,
  graphs: readonly Graph[],
  target: Target,
  spoil: (plan: Plan) => Plan = (plan) => plan,
): Promise<GuardedArtefact> {
  const dir = join(root, "build", "test", name);
  const artefact = lower(graphs, { name, target });
  const { plan, canaries } = guard(spoil(artefact.plan));
  await buildArtefact(dir, { ...artefact, plan });
  return new GuardedArtefact(load(dir, { threads: 2 }), canaries);
}
