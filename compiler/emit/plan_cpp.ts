// plan.cpp: the plan as constant tables with the types of runtime/core/plan.h, so that the runtime needs no parser. The
// order of the members is that of the structs.

import { byteSize, type Init } from "../ir/types.js";
import {
  type BoundMap,
  type CodeDriver,
  type Plan,
  type Program,
  programName,
  type StateEntry,
  type Step,
  type Tensor,
} from "../lower/plan.js";
import { planDigest } from "./plan_json.js";

const arenas = ["state", "grad", "work", "io"] as const;

/**
 * The text of plan.cpp. It declares the symbols moproc_image_N of `imageCount` embedded files of device code (0 on the
 * CPU). Throws if a state begins as a copy of a value that is not a state.
 */
export function planCpp(plan: Plan, imageCount = 0): string {
  const images = Array.from({ length: imageCount }, (_, i) => `moproc_image_${i}`);
  const cpu = plan.target.device === "cpu";
  const { drivers = [] } = plan;
  const pool = new Pool();
  const states = plan.state.map((s) => stateInit(plan, s));
  const programs = plan.programs.map((p) => programInit(p, pool));
  const names = [plan.name, planDigest(plan), plan.target.device, plan.target.arch];
  const meta = Object.entries(plan.meta).map(([k, v]) => `{${str(k)}, ${str(String(v))}}`);
  return [
    `// ${plan.name}: ${plan.programs.map(programName).join(", ")}; see plan.json for a readable form.`,
    '#include "core/plan.h"',
    "",
    ...(cpu ? plan.kernels.map((k) => `extern "C" void ${k.symbol}(const moproc::Params&, const moproc::Task&);`) : []),
    ...images.map((name) => `extern "C" const unsigned char ${name}[], ${name}_end[];`),
    "",
    "namespace {",
    "using namespace moproc;",
    table("MetaInfo", "meta_", meta),
    table("TensorInfo", "tensors_", plan.tensors.map(tensorInit)),
    table("StateInfo", "states_", states),
    table(
      "KernelInfo",
      "kernels_",
      plan.kernels.map((k) => kernelInit(k, cpu)),
    ),
    ...(images.length > 0
      ? [
          table(
            "ImageInfo",
            "images_",
            images.map((name) => `{${name}, ${name}_end - ${name}}`),
          ),
        ]
      : []),
    ...(drivers.length > 0 ? [table("DriverInfo", "drivers_", drivers.map(driverInit))] : []),
    ...pool.tables(),
    ...plan.programs.map((_, i) => table("StepInfo", `steps_${i}_`, programs[i]?.steps ?? [])),
    table(
      "ProgramInfo",
      "programs_",
      programs.map((p, i) => p.init(i)),
    ),
    `const Plan plan_ = {${plan.version}, ${names.map(str).join(", ")},`,
    `  ${span("meta_", meta.length)}, {${arenas.map((a) => plan.arenas[a]).join(", ")}}, ${plan.scratchBytes},`,
    `  ${span("tensors_", plan.tensors.length)}, ${span("states_", states.length)},`,
    `  ${span("kernels_", plan.kernels.length)}, ${span("programs_", programs.length)}, ` +
      `${span("images_", images.length)}, ${span("drivers_", drivers.length)}};`,
    "}  // namespace",
    "",
    'extern "C" const moproc::Plan* moproc_plan() { return &plan_; }',
    "",
  ].join("\n");
}

/** Lists of numbers and of tensor maps; equal lists are written once. */
class Pool {
  private readonly names = new Map<string, string>();

  constructor(private readonly types = { i: "int32_t", l: "int64_t", f: "float", t: "TensorMapInfo" }) {}

  span(kind: "i" | "l" | "f", values: readonly number[]): string {
    if (values.length === 0) return "{nullptr, 0}";
    const key = `${kind} ${values.join(", ")}`;
    const name = this.names.get(key) ?? `n${this.names.size}_`;
    this.names.set(key, name);
    return span(name, values.length);
  }

  /** The span of a launch's list of maps. */
  maps(maps: readonly BoundMap[]): string {
    if (maps.length === 0) return "{nullptr, 0}";
    const key = `t ${maps.map(mapInit).join(", ")}`;
    const name = this.names.get(key) ?? `n${this.names.size}_`;
    this.names.set(key, name);
    return span(name, maps.length);
  }

  tables(): string[] {
    return [...this.names].map(
      ([key, name]) => `const ${this.types[key[0] as "i" | "l" | "f" | "t"]} ${name}[] = {${key.slice(2)}};`,
    );
  }
}

function programInit(p: Program, pool: Pool): { readonly steps: string[]; init(i: number): string } {
  const io = [pool.span("i", p.inputs), pool.span("i", p.outputs)];
  return {
    steps: p.steps.map((s) => stepInit(s, pool)),
    init: (i) => braces(str(p.name), ...io, span(`steps_${i}_`, p.steps.length), p.workBytes, p.liveBytesMax, p.ranks),
  };
}

/** {a, b, ...} */
const braces = (...members: readonly (string | number | boolean)[]): string => `{${members.join(", ")}}`;

/** The members of a StepInfo after its operands, for a step that is not a launch. */
const NO_LAUNCH = "0, 0, {0, 0, 0, 0}, {nullptr, 0}, 0, 0, 0, {nullptr, 0}, {nullptr, 0}";

function stepInit(s: Step, pool: Pool): string {
  if (s.do === "copy") {
    return braces("StepKind::copy", str("copy"), -1, pool.span("i", [s.from, s.to]), NO_LAUNCH);
  }
  if (s.do !== "launch") {
    const args = s.do === "await" ? [] : [s.from, s.to];
    const name = s.do === "await" ? "await" : s.name;
    return braces(`StepKind::${s.do}`, str(name), -1, pool.span("i", args), NO_LAUNCH);
  }
  const extent = [0, 1, 2, 3].map((i) => s.extent[i] ?? 0).join(", ");
  const maps = pool.maps(s.maps);
  const sizes = `${s.rows}, ${s.groups}, {${extent}}, ${pool.span("l", s.tasks)}, ${s.workspace}`;
  const args = pool.span("i", s.args);
  const scalars = pool.span("f", s.scalars.map(Math.fround));
  return braces("StepKind::launch", str(s.name), s.kernel, args, sizes, `${s.flops}.`, `${s.bytes}.`, scalars, maps);
}

/** The initializer of a TensorMapInfo. */
function mapInit({ arg, extents, box, window }: BoundMap): string {
  const four = (list: readonly number[]): string => `{${[0, 1, 2, 3].map((i) => list[i] ?? 0).join(", ")}}`;
  const { lower, upper, step } = window ?? { lower: [0, 0], upper: [0, 0], step: 0 };
  return braces(arg, extents.length, four(extents), four(box), step, braces(...lower), braces(...upper));
}

function kernelInit(k: Plan["kernels"][number], cpu: boolean): string {
  const { threads, sharedBytes } = k.hopper ?? { threads: 0, sharedBytes: 0 };
  const entry = cpu ? k.symbol : "nullptr";
  return braces(str(k.symbol), str(k.template), entry, k.threads, k.sharedBytes, threads, sharedBytes);
}

const driverInit = ({ nvcc, cuda, release }: CodeDriver): string => braces(str(nvcc), cuda, str(release));

function tensorInit(t: Tensor): string {
  const dtype = t.type.dtype === "bool" ? "boolean" : t.type.dtype;
  const shape = [0, 1, 2, 3, 4, 5].map((i) => t.type.shape[i] ?? 0).join(", ");
  const at = `${t.type.shape.length}, {${shape}}, ${t.offset}, ${byteSize(t.type)}`;
  return `{${str(t.name)}, DType::${dtype}, Arena::${t.arena}, ${at}}`;
}

function stateInit(plan: Plan, s: StateEntry): string {
  const indexOf = (name: string): number => {
    const i = plan.state.findIndex((o) => plan.tensors[o.tensor]?.name === name);
    if (i < 0)
      throw new Error(`state %${plan.tensors[s.tensor]?.name} begins as a copy of %${name}, which is not a state`);
    return i;
  };
  const of = s.init.kind === "copy" ? indexOf(s.init.of) : -1;
  return braces(s.tensor, `Role::${s.role}`, `InitKind::${s.init.kind}`, number(s.init), of, s.firstRank);
}

function number(init: Init): string {
  if (init.kind === "constant") return `${init.value}`;
  if (init.kind === "normal") return `${init.std}`;
  return init.kind === "uniform" ? `${init.bound}` : "0";
}

const table = (type: string, name: string, rows: readonly string[]): string =>
  rows.length === 0
    ? `const ${type}* const ${name} = nullptr;`
    : `const ${type} ${name}[] = {\n  ${rows.join(",\n  ")}};`;
const span = (name: string, size: number): string => (size === 0 ? "{nullptr, 0}" : `{${name}, ${size}}`);
const str = (s: string): string => JSON.stringify(s);
