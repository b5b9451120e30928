// A record of launches (tools/gpu/record.h) beside the ops' references: every launch is computed again in f64 from the
// same bytes, with rounding if the plan stores bf16 and if operands enter the tensor cores.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { emitter } from "../../compiler/emit/kernel.js";
import { fromStorage, NdArray } from "../../compiler/ir/nd.js";
import { type DType, elements, type Graph, type Node, type Target, type Value } from "../../compiler/ir/types.js";
import { padImages, splitFinite } from "../../compiler/lower/device_graph.js";
import { fuse } from "../../compiler/lower/fuse.js";
import { type Covered, writeMirrors } from "../../compiler/lower/mirrors.js";
import type { Launch, Plan, Step } from "../../compiler/lower/plan.js";
import { storeActivations } from "../../compiler/lower/precision.js";
import { outputsOf, type Region } from "../../compiler/lower/region.js";
import { type Lowered, select } from "../../compiler/lower/select.js";
import { templatesOf } from "../../compiler/lower/templates/index.js";
import { optimize } from "../../compiler/pipeline.js";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { compute } from "./plan_run.js";

/** How a result of a launch differs from the reference. */
export interface LaunchCheck {
  readonly kernel: string; // template
  readonly name: string; // of the launch and the value
  readonly ulps: number; // of bf16; 0 for other types
  readonly norm: number; // |difference| / |reference|, 2-norm; NaN if either has a NaN
  readonly ok: boolean; // within 2 units of bf16's last place, or 1e-3 of the norm
}

/** x rounded to bf16, ties to even. */
export function toBf16(x: number): number {
  const f = new Float32Array([x]);
  const u = new Uint32Array(f.buffer);
  const bits = u[0] as number;
  u[0] = (bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000;
  return f[0] as number;
}
/** x rounded to tf32: 10 bits of mantissa, ties away from zero. */
function toTf32(x: number): number {
  const u = new Uint32Array(Float32Array.of(x).buffer);
  u[0] = ((u[0] as number) + 0x1000) & 0xffffe000;
  return new Float32Array(u.buffer)[0] as number;
}
const each = (x: NdArray, f: (x: number) => number): NdArray => new NdArray(x.shape, x.data.map(f));
/** How the tensor cores round operands of convolutions. */
const seenAs = { bf16: toBf16, tf32: toTf32, f32: (x: number) => x } as const;

/**
 * Checks every launch of `g` in the record except the flat ones, whose tensors are ranges of many tensors.
 * `valuesPath`: the states and inputs from which it was made.
 */
export async function checkRecord(
  dir: string,
  recordPath: string,
  valuesPath: string,
  g: Graph,
  target: Target,
): Promise<readonly LaunchCheck[]> {
  const plan = JSON.parse(readFileSync(join(dir, "plan.json"), "utf8")) as Plan;
  const { steps } = plan.programs.find((p) => p.name === g.name) as Plan["programs"][number];
  const record = new Recorded(
    plan,
    steps,
    SafetensorsFile.open(valuesPath),
    recordPath,
    seenAs[target.precision ?? "f32"],
  );
  const templateOf = templatesOf(target);
  const graph = storeActivations(padImages(splitFinite(optimize(g, target), target), target), target);
  const covered = writeMirrors([{ g: graph, regions: fuse(graph, templateOf) }], target, templateOf);
  const { regions } = covered.programs[0] as Covered;
  const { launches } = select(graph, regions, covered.mirrors, target, templateOf, emitter);
  const queue = launches.filter((l) => !l.kernel.template.startsWith("pack_"));
  const checks: LaunchCheck[] = [];
  let next = 0;
  for (const [i, l] of queue.entries()) {
    if (l.flat) continue;
    const at = steps.findIndex(
      (s, k) =>
        k >= next && s.do === "launch" && plan.kernels[s.kernel]?.symbol === l.kernel.symbol && s.name === l.name,
    );
    if (at < 0) throw new Error(`${l.kernel.symbol} ${l.name} is not in the plan`);
    next = at + 1;
    checks.push(...record.check(at, steps[at] as Launch, l, regions[i] as Region));
  }
  return checks;
}

class Recorded {
  private readonly file: SafetensorsFile;

  constructor(
    private readonly plan: Plan,
    private readonly steps: readonly Step[],
    private readonly start: SafetensorsFile,
    path: string,
    private readonly seen: (x: number) => number,
  ) {
    this.file = SafetensorsFile.open(path);
  }

  check(step: number, s: Launch, l: Lowered, r: Region): LaunchCheck[] {
    const tensorOf = (v: Value): number => s.args[l.args.indexOf(v)] as number;
    const read = (v: Value): NdArray => {
      const packed = l.packed.get(v);
      if (packed && this.plan.target.device === "cpu") return this.weight(step, v, tensorOf(packed));
      if (packed) return unpacked(v.type.shape, this.before(step, tensorOf(packed)));
      return fromStorage(v.type.shape, this.before(step, tensorOf(v)));
    };
    const values = compute(r, read, {
      result: (v, x) => (v.type.dtype === "bf16" && r.stores.includes(v) ? each(x, toBf16) : x),
      operands: (n, xs) => operands(n, xs, this.seen),
    });
    return outputsOf(r).map((v) => {
      const tensor = tensorOf(v);
      const got = fromStorage(v.type.shape, this.values(step, tensor, "after") ?? this.before(step, tensor));
      return judged(l, v, got, resized(values.get(v) as NdArray, v.type.shape));
    });
  }

  /** The weight whose copy is `packed`: what a launch before `step` packed, or else the state at the beginning. */
  private weight(step: number, { name, type: { shape } }: Value, packed: number): NdArray {
    const packs = (s: Step): s is Launch => s.do === "launch" && s.args.length === 2 && s.args[1] === packed;
    const at = this.steps.slice(0, step).findLastIndex(packs);
    if (at < 0) return new NdArray(shape, Float64Array.from(this.start.floats(name)));
    return fromStorage(shape, this.before(at, (this.steps[at] as Launch).args[0] as number));
  }

  /** The contents of the tensor before the step: as recorded then, or as an earlier step recorded them last. */
  private before(step: number, tensor: number): Float64Array {
    let found = this.values(step, tensor, "before");
    for (let i = step - 1; i >= 0 && !found; i--)
      found = this.values(i, tensor, "after") ?? this.values(i, tensor, "before");
    if (!found) throw new Error(`the record does not say what tensor ${tensor} held before step ${step}`);
    return found;
  }

  private values(step: number, tensor: number, when: string): Float64Array | undefined {
    if (!this.file.tensors.has(`${step} ${tensor} ${when}`)) return undefined;
    return decode(this.plan.tensors[tensor]?.type.dtype as DType, this.file.bytes(`${step} ${tensor} ${when}`));
  }
}

function decode(dtype: DType, { buffer }: Uint8Array<ArrayBuffer>): Float64Array {
  if (dtype === "bf16") {
    const wide = Uint32Array.from(new Uint16Array(buffer), (x) => x << 16);
    return Float64Array.from(new Float32Array(wide.buffer));
  }
  if (dtype === "f32") return Float64Array.from(new Float32Array(buffer));
  if (dtype === "i64") return Float64Array.from(new BigInt64Array(buffer), Number);
  if (dtype === "u8") return Float64Array.from(new Uint8Array(buffer));
  throw new Error(`no ${dtype} in a record`);
}

/**
 * A weight from its packed copy: (o, r, s, c), or pairs of pixels of an image, one tap further if the padding is odd.
 */
function unpacked(shape: readonly number[], data: Float64Array): NdArray {
  const [out, c, h, w] = shape as [number, number, number, number];
  const columns = data.length / out;
  if (columns === c * h * w) return fromStorage(shape, data);
  const channels = columns / (h * w);
  const pairs = columns / (h * 8);
  return NdArray.fill(shape, (i) => {
    const [o, k, y, x] = [Math.floor(i / (c * h * w)), Math.floor(i / (h * w)) % c, Math.floor(i / w) % h, i % w];
    if (Number.isInteger(channels)) return data[o * columns + (y * w + x) * channels + k] as number;
    const tap = x + (w % 4 === 3 ? 1 : 0); // pad 3 of a 7 x 7, pad 1 of a 3 x 3
    return data[o * columns + (y * pairs + Math.floor(tap / 2)) * 8 + (tap % 2) * 4 + k] as number;
  });
}

/** Operands as a convolution uses them: rounded, and of a padded image only the channels that the weights have. */
function operands(n: Node, xs: readonly NdArray[], seen: (x: number) => number): readonly NdArray[] {
  if (!n.op.startsWith("conv")) return xs;
  const channels = (n.op === "conv_wgrad" ? n.outputs[0] : n.inputs[1])?.type.shape[1] as number;
  const image = n.op === "conv_wgrad" ? 1 : n.op === "conv" ? 0 : -1;
  return xs.map((x, i) => each(i === image ? resized(x, x.shape.with(1, channels)) : x, seen));
}

/** The first channels of an image, or x itself. */
function resized(x: NdArray, shape: readonly number[]): NdArray {
  if (x.shape.length !== 4 || x.shape[1] === shape[1]) return new NdArray(shape, x.data);
  const size = elements(x.shape.slice(2));
  const [from, to] = [(x.shape[1] as number) * size, (shape[1] as number) * size];
  return NdArray.fill(shape, (i) => x.data[Math.floor(i / to) * from + (i % to)] as number);
}

function judged(l: Lowered, v: Value, got: NdArray, want: NdArray): LaunchCheck {
  let [off, size, ulps] = [0, 0, 0];
  got.data.forEach((x, i) => {
    const y = want.data[i] as number;
    if (x !== y) off += (x - y) ** 2;
    size += y ** 2;
    if (v.type.dtype === "bf16")
      ulps = Math.max(ulps, Math.abs(x - y) / 2 ** (Math.floor(Math.log2(Math.max(Math.abs(y), 2 ** -126))) - 7));
  });
  const norm = off === 0 ? 0 : Math.sqrt(off / size);
  const ok = norm <= 1e-3 || (v.type.dtype === "bf16" && ulps <= 2);
  return { kernel: l.kernel.template, name: `${l.name} %${v.name}`, ulps, norm, ok };
}
