// kernels/cpu/loops.hpp: the general template, for every op whose record says its loops (`nest`). The op's statements
// are written into the kernel as they are; this file turns logical indices into addresses.

import { elements, type Node, type TensorType } from "../../ir/types.js";
import type { LoopText, Nest } from "../../ops/general/nest.js";
import { named, opOf } from "../../ops/op.js";
import { ceilDiv } from "../../util/math.js";
import { plain, type TemplateSpec } from "../template.js";
import { storageOrder, storageStrides } from "./shapes.js";

const TASK = 65536; // operations of a task, roughly

const cpp: Readonly<Record<string, string>> = {
  ...{ f32: "float", f64: "double", f16: "Half", bf16: "BFloat" },
  ...{ i64: "int64_t", i32: "int32_t", i16: "int16_t", i8: "int8_t" },
  ...{ u64: "uint64_t", u32: "uint32_t", u16: "uint16_t", u8: "uint8_t", bool: "bool" },
};
/** The type in which elements of this type are computed. */
const computed = (t: string): string => (t === "f16" || t === "bf16" ? "float" : (cpp[t] as string));

function nestOf(n: Node): Nest {
  const op = opOf(n.op);
  if (!op.nest) throw new Error(`internal: loops: ${n.op} in ${n.scope || "<top>"} does not say its loops`);
  const types = n.inputs.map((v) => v.type);
  return op.nest(
    named(op.inputs, types) as never,
    n.attrs as never,
    named(
      op.outputs,
      n.outputs.map((v) => v.type),
    ) as never,
  ) as Nest;
}

/** An axis of the space as it is looped over: its extent, and the step of each operand and result along it. */
interface Axis {
  readonly name: string;
  readonly extent: number;
  readonly steps: readonly number[];
}

/** The steps of a tensor along the axes of a space to which numpy broadcasts it. */
function broadcastSteps(t: TensorType, space: readonly number[]): number[] {
  const strides = storageStrides(t.shape);
  return space.map((_, i) => {
    const own = i - space.length + t.shape.length;
    return own < 0 || t.shape[own] === 1 ? 0 : (strides[own] as number);
  });
}

/** The axes of a pointwise space, those joined that are one run in all tensors. */
function joined(space: readonly number[], tensors: readonly TensorType[]): Axis[] {
  const steps = tensors.map((t) => broadcastSteps(t, space));
  const out: Axis[] = [];
  for (const i of storageOrder(space.length)) {
    const extent = space[i] as number;
    const own = steps.map((s) => s[i] as number);
    const last = out.at(-1);
    if (extent === 1) continue;
    if (last?.steps.every((s, t) => s === (own[t] as number) * extent))
      out[out.length - 1] = { name: last.name, extent: last.extent * extent, steps: own };
    else out.push({ name: `p${out.length}`, extent, steps: own });
  }
  return out.length > 0 ? out : [{ name: "p0", extent: 1, steps: tensors.map(() => 0) }];
}

/** "p0 * 64 + p1", without what is 0. */
function address(index: readonly string[], steps: readonly number[]): string {
  const terms = index.flatMap((at, i) =>
    steps[i] === 0 || at === "0" ? [] : [steps[i] === 1 ? `(${at})` : `(${at}) * ${steps[i]}`],
  );
  return terms.join(" + ") || "0";
}

function textOf(n: Node, nest: Nest): { axes: readonly Axis[]; lines: readonly string[] } {
  const tensors = [...n.inputs, ...n.outputs].map((v) => v.type);
  const order = storageOrder(nest.space.length);
  const axes = nest.pointwise
    ? joined(nest.space, tensors)
    : order.map((i): Axis => ({ name: `p${i}`, extent: nest.space[i] as number, steps: [] }));
  const element = (tensor: number, index: readonly string[]): string => {
    const type = tensors[tensor] as TensorType;
    const steps = nest.pointwise ? axes.map((a) => a.steps[tensor] as number) : storageStrides(type.shape);
    return `b${tensor}[${address(index, steps)}]`;
  };
  const k: LoopText = {
    type: (t) => computed(t),
    stored: (t) => cpp[t] as string,
    load: (i, index) => `value_(${element(i, index)})`,
    again: (i, index) => `value_(${element(n.inputs.length + i, index)})`,
    store: (i, index, value) => `put_(${element(n.inputs.length + i, index)}, ${value});`,
    scratch: (type) => `static_cast<${type}*>(t.scratch)`,
  };
  const at = nest.pointwise ? axes.map((a) => a.name) : nest.space.map((_, i) => `p${i}`);
  return { axes, lines: nest.body(k, at) };
}

/** The members of K, with the function that computes the points from <= i < to of one line of the innermost axis. */
function members(n: Node, buffer: (i: number) => number): string[] {
  const nest = nestOf(n);
  const { axes, lines } = textOf(n, nest);
  const inner = axes.at(-1);
  const outer = axes.slice(0, -1).toReversed();
  const buffers = [...n.inputs.map((v) => [v, "const "] as const), ...n.outputs.map((v) => [v, ""] as const)];
  return [
    `  static constexpr int64_t POINTS = ${elements(nest.space)};`,
    `  static constexpr int64_t LINE = ${inner?.extent ?? 1};`,
    `  static constexpr int64_t BLOCK = ${blockOf(nest)};`,
    "  static void line(const Params& p, const Task& t, int64_t line, int64_t from, int64_t to) {",
    ...buffers.map(([v, access], i) => {
      const type = `${access}${cpp[v.type.dtype]}*`;
      return `    ${type} const __restrict b${i} = static_cast<${type}>(p.buf[${buffer(i)}]); // ${v.name}`;
    }),
    ...outer.map(({ name, extent }) => `    const int64_t ${name} = line % ${extent}; line /= ${extent};`),
    `    for (int64_t ${inner?.name ?? "p0"} = from; ${inner?.name ?? "p0"} < to; ++${inner?.name ?? "p0"}) {`,
    ...lines.map((l) => `      ${l}`),
    "    }",
    "  }",
  ];
}

const blockOf = (nest: Nest): number => Math.max(1, Math.floor(TASK / nest.work));

/** The template of every op that says its loops. Its kernels have no constants but those in their statements. */
export const loopsOf = (op: string): TemplateSpec => ({
  name: "loops",
  op,
  ...plain,
  constants: () => ({}),
  members,
  launch: (n) => {
    const nest = nestOf(n);
    return {
      tasks: [ceilDiv(elements(nest.space), blockOf(nest))],
      workspaceBytes: 0,
      scratchBytes: nest.scratchBytes ?? 0,
    };
  },
  flops: (n) => {
    const nest = nestOf(n);
    return elements(nest.space) * nest.work;
  },
  rows: () => 1,
});
