// Writes one region as C++ or CUDA C++: a struct K of constants and scalar bodies, and the entry that instantiates the
// template with it. The bodies are the same for both, because Vec, At and the leaf functions have the same names in
// kernels/cpu and kernels/cuda. The text is meant to be read: comments name the values. The digest in the kernel's name
// does not cover comments.

import { byteSize, type DType, elements, type Node, type Target, type Value } from "../ir/types.js";
import { domainOf } from "../lower/domain.js";
import type { Emitted, Emitter } from "../lower/emitter.js";
import type { BlockSize } from "../lower/plan.js";
import { type Chain, fullReads, type Leaf, type Region, rawResult, storedOperand } from "../lower/region.js";
import type { Constants, Fused, TemplateSpec } from "../lower/template.js";
import { accessOf } from "../ops/access.js";
import { isConstant, scale } from "../ops/constant.js";
import { opOf } from "../ops/op.js";
import { digest } from "../util/digest.js";
import { floatLiteral } from "../util/float.js";

const cpp: Readonly<Partial<Record<DType, string>>> = { f32: "float", bf16: "bf16", u8: "uint8_t" };

/** Writes the kernels of both devices. */
export const emitter: Emitter = { kernel: emitKernel, packing: emitPacking };

function emitKernel(
  r: Region,
  plain: ReadonlyMap<string, Value>,
  constants: Constants,
  device: Target["device"],
  groups: number,
  prologues: Fused["prologues"],
): Emitted {
  const k = new KernelText(
    r.template,
    r.anchor?.scope ?? r.after.at(-1)?.nodes.at(-1)?.scope ?? "",
    device,
    groups > 1,
  );
  k.constants(constants);
  if (r.template.members) {
    const n = r.anchor as Node;
    const buffers = [...n.inputs.map((v) => k.arg(v, "in")), ...n.outputs.map((v) => k.arg(v, "out"))];
    k.members(r.template.members(n, (i) => buffers[i] as number));
    return k.finish([n.op]);
  }
  for (const [name, chain] of r.operands) k.prologue(name, chain, prologues.has(name));
  k.plainInputs(plain);
  if (r.template.epilogue) k.epilogue(r, constants.FLAT === 1);
  else
    for (const [i, v] of (r.anchor?.outputs ?? []).entries()) k.plainOutput(opOf((r.anchor as Node).op).outputs[i], v);
  return k.finish([...new Set([...r.operands.values(), ...r.after].flatMap((c) => c.nodes.map((n) => n.op)))]);
}

function emitPacking(
  template: TemplateSpec,
  w: Value,
  packed: Value,
  constants: Constants,
  device: Target["device"],
): Emitted {
  const k = new KernelText(template, packed.name, device);
  k.constants(constants);
  k.plainInputs(new Map([["w", w]]));
  k.plainOutput("packed", packed);
  return k.finish([]);
}

class KernelText {
  private readonly lines: string[] = [];
  private readonly args: Value[] = [];
  private readonly access = new Map<string, "in" | "out">();
  private readonly scalars: number[] = [];

  constructor(
    private readonly template: TemplateSpec,
    private readonly at: string,
    private readonly device: Target["device"],
    readonly grouped = false,
  ) {}

  /** Whether prologues read in memory order, and epilogues say what they will touch. */
  private get streams(): boolean {
    return this.device === "cpu" && this.template.streams === true;
  }

  private size: BlockSize = { threads: 0, sharedBytes: 0 };
  private hopper: BlockSize | undefined;
  private blocks = false; // whether the template states the blocks per multiprocessor

  constants(all: Constants): void {
    const number = (name: string): number => (all[name] as number | undefined) ?? 0;
    this.size = { threads: number("THREADS"), sharedBytes: number("SHARED_BYTES") };
    if (number("HOPPER_THREADS") > 0)
      this.hopper = { threads: number("HOPPER_THREADS"), sharedBytes: number("HOPPER_SHARED_BYTES") };
    this.blocks = number("BLOCKS") > 0;
    for (const [name, value] of Object.entries(all)) {
      if (typeof value === "number") {
        const type = Number.isInteger(value) ? "int" : "float";
        this.lines.push(`  static constexpr ${type} ${name} = ${type === "int" ? value : floatLiteral(value)};`);
      } else if ("type" in value) this.lines.push(`  using ${name} = ${value.type};`);
      else this.lines.push(`  static constexpr int64_t ${name}[] = {${value.join(", ")}};`);
    }
  }

  /** Members as the template writes them. */
  members(lines: readonly string[]): void {
    this.lines.push(...lines);
  }

  plainInputs(plain: ReadonlyMap<string, Value>): void {
    const lists = new Map<string, number[]>();
    for (const [name, v] of plain) {
      const [list, index] = name.split(".");
      if (index === undefined) this.line(`static constexpr int ${upper(name)}_BUFFER = ${this.arg(v, "in")};`, v);
      else lists.set(list as string, [...(lists.get(list as string) ?? []), this.arg(v, "in")]);
    }
    for (const [list, ks] of lists) {
      this.lines.push(`  static constexpr int ${upper(list)}_BUFFERS[] = {${ks.join(", ")}};`);
      this.lines.push(`  static constexpr int ${upper(list)}_COUNT = ${ks.length};`);
    }
  }

  plainOutput(name: string, v: Value): void {
    this.line(`static constexpr int ${upper(name)}_BUFFER = ${this.arg(v, "out")};`, v);
  }

  /** struct X { load }: how the kernel reads operand x; `computed` says that it is not read as it is stored. */
  prologue(name: string, chain: Chain, computed: boolean): void {
    const only = computed ? undefined : storedOperand(chain);
    const buffer = only ? this.arg(only, "in") : -1;
    const body = new Body(this, domainOf(chain.root.type.shape).channels, new Set(), this.streams ? "stream" : "full");
    const result = body.compute(chain);
    this.lines.push(
      `  struct ${pascal(name)} {`,
      `    static constexpr int buffer = ${buffer};`,
      `    using stored = ${only ? cpp[only.type.dtype] : "void"};`,
      ...(this.device === "cuda" ? [`    static constexpr int reads = ${fullReads(chain)};`] : []),
      "    static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {",
      ...body.text(),
      `      return ${result};`,
      "    }",
      "  };",
    );
  }

  /** struct Y { store }: what the kernel computes of each vector of the result, and stores. */
  epilogue(r: Region, flat: boolean): void {
    const raw = rawResult(r);
    const run = this.device === "cpu" ? 1 : 0; // channels of a flat run of elements
    const body = new Body(this, flat ? run : domainOf(r.shape).channels, new Set(r.stores));
    if (raw) body.begin(raw, "y");
    const sumOf = r.sums.map((n) => n.inputs[0] as Value);
    for (const chain of r.after) body.compute(chain);
    for (const v of r.stores) body.put(v); // after all loads, because a result may overwrite an operand
    for (const [v, mirror] of r.mirrors) body.put(mirror, v);
    const prefetches = this.streams ? this.prefetches(r, raw) : [];
    const momentsOf = r.moments?.inputs[0];
    const sumBuffers = r.sums.map((n) => this.arg(n.outputs[0] as Value, "out"));
    const moments = [0, 1].map((i) => (r.moments ? this.arg(r.moments.outputs[i] as Value, "out") : -1));
    this.lines.push(
      "  struct Y {",
      `    static constexpr int sums = ${r.sums.length};`,
      `    static constexpr int sum_buffer[] = {${sumBuffers.length > 0 ? sumBuffers.join(", ") : -1}};`,
      `    static constexpr int mean_buffer = ${moments[0]}, m2_buffer = ${moments[1]};`,
      ...(this.device === "cuda" ? [`    static constexpr int operand_words = ${operandWords(r, raw)};`] : []),
      ...prefetches,
      "    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec* sum) {",
      ...body.text(),
      ...sumOf.map((v, s) => `      sum[${s}] = ${body.nameOf(v)};`),
      `      return ${momentsOf ? body.nameOf(momentsOf) : "y"};`,
      "    }",
      "  };",
    );
  }

  /** Y::prefetch: what the epilogue reads and writes of the result's size. */
  private prefetches(r: Region, raw: Value | undefined): readonly string[] {
    const own = new Set([raw, ...r.stores]);
    const reads = r.after.flatMap((c) => c.leaves.filter((l) => l.access === "full" && !own.has(l.value)));
    const { channels } = domainOf(r.shape);
    const line = (v: Value, access: "in" | "out"): string =>
      `      moproc::prefetch<${cpp[v.type.dtype]}, ${channels}, ${access === "in" ? 0 : 1}>` +
      `(p, ${this.arg(v, access)}, i, channels);`;
    const lines = [
      ...[...new Set(reads.map((l) => l.value))].map((v) => line(v, "in")),
      ...r.stores.filter((v) => v.type.dtype in cpp).map((v) => line(v, "out")),
    ];
    if (lines.length === 0) return [];
    return ["    static MOPROC_INLINE void prefetch(const Params& p, const At& i, int channels) {", ...lines, "    }"];
  }

  /** The index of v among the kernel's arguments, to which it is added if it is new. */
  arg(v: Value, access: "in" | "out"): number {
    const key = `${access} ${v.name}`;
    if (!this.access.has(key)) {
      this.access.set(key, access);
      this.args.push(v);
    }
    return [...this.access.keys()].indexOf(key);
  }

  /** The C++ expression for a number that is an argument of the launch, not part of the kernel. */
  scalar(x: number): string {
    if (!this.scalars.includes(x)) this.scalars.push(x);
    return `Vec(p.scalars[${this.scalars.indexOf(x)}])`;
  }

  /**
   * The C++ name of a table with one constant per channel. On CUDA it is a variable of the device, because device code
   * cannot index a constexpr member array at run time.
   */
  table(values: readonly number[]): string {
    const name = `T${this.tables.length}`;
    this.tables.push(`${name}[] = {${values.map((x) => floatLiteral(x)).join(", ")}}`);
    return this.device === "cpu" ? name : `SYMBOL_${name}`;
  }
  private readonly tables: string[] = [];

  finish(ops: readonly string[]): Emitted {
    const { template } = this;
    const body = [...this.tables, ...this.lines].map((l) => l.replace(/\s*\/\/ .*$/, "")).join("\n");
    const tail = ops.length > 4 ? [...ops.slice(0, 3), "etc"] : ops;
    const symbol = [template.name, ...tail, digest(template.name, body).slice(0, 8)].join("_");
    const entry =
      this.device === "cpu"
        ? `extern "C" void ${symbol}(const Params& p, const Task& t) { ${template.name}<${symbol}_K>(p, t); }`
        : `extern "C" __global__ void __launch_bounds__(${this.bounds(`${symbol}_K`)}) ${symbol}(` +
          `const __grid_constant__ Params p) { ${template.name}<${symbol}_K>(p); }`;
    const source = [
      `// ${this.at || "<top>"}`,
      ...this.args.map((v, i) => `//   ${i}: ${v.type.dtype}[${v.type.shape.join(",")}] ${v.name}`),
      "namespace {",
      ...(this.device === "cuda" ? this.tables.map((t) => `__device__ const float ${symbol}_${t};`) : []),
      `struct ${symbol}_K {`,
      ...(this.device === "cpu" ? this.tables.map((t) => `  static constexpr float ${t};`) : []),
      ...this.lines.map((l) => l.replaceAll("SYMBOL_T", `${symbol}_T`)),
      "};",
      "}  // namespace",
      entry,
      "",
    ].join("\n");
    const own = this.hopper ? { hopper: this.hopper } : {};
    const kernel = {
      symbol,
      template: template.name,
      header: template.header ?? template.name,
      source,
      ...this.size,
      ...own,
    };
    return { kernel, args: this.args, scalars: this.scalars };
  }

  /** The arguments of __launch_bounds__; with a path for sm_90a they depend on the architecture. */
  private bounds(k: string): string {
    const all = this.hopper ? [`Path<${k}>::threads`, `path_blocks<${k}>()`] : [`${k}::THREADS`, `${k}::BLOCKS`];
    return all.slice(0, this.blocks ? 2 : 1).join(", ");
  }

  private line(code: string, v: Value): void {
    this.lines.push(`${`  ${code}`.padEnd(51)} // ${v.name}`);
  }
}

/** The 32-bit registers that the operands of an epilogue need for eight channels. */
function operandWords(r: Region, raw: Value | undefined): number {
  const own = new Set([raw, ...r.stores]);
  const words = new Map<string, number>();
  for (const { value: v, access } of r.after.flatMap((c) => c.leaves)) {
    if (own.has(v) || access === "scalar" || access === "row") continue;
    words.set(`${v.name} ${access}`, access === "full" ? (2 * byteSize(v.type)) / elements(v.type.shape) : 8);
  }
  return [...words.values()].reduce((a, b) => a + b, 0);
}

/** The statements of one load or store function. */
class Body {
  private readonly lines: string[] = [];
  private readonly names = new Map<string, string>(); // value, or value with access, -> C++ name
  private next = 0;

  constructor(
    private readonly k: KernelText,
    private readonly channels: number,
    private readonly stored: ReadonlySet<Value> = new Set(),
    private readonly full: "full" | "stream" = "full", // how it reads an operand of the domain's own shape
  ) {}

  text(): readonly string[] {
    return this.lines;
  }

  /** Value v is the C++ parameter `name` of the function. */
  begin(v: Value, name: string): void {
    if (this.rounds(v)) this.lines.push(`      ${name} = rounded<bf16>(${name});`);
    this.names.set(v.name, name);
  }

  /** Whether v is stored as bf16. Then it is rounded when it is computed, so that all readers see the same value. */
  private rounds(v: Value): boolean {
    return v.type.dtype === "bf16" && this.stored.has(v);
  }

  /** Appends `const Vec name = expression` for v. */
  private result(v: Value, name: string, expression: string, op: string): void {
    const text = this.rounds(v) ? `rounded<bf16>(${expression})` : expression;
    this.lines.push(`${`      const Vec ${name} = ${text};`.padEnd(59)} // ${op}`);
    this.names.set(v.name, name);
  }

  nameOf(v: Value): string {
    const name = this.names.get(v.name);
    if (name === undefined) throw new Error(`internal: emit: %${v.name} is not computed in this kernel`);
    return name;
  }

  /** Appends the loads and nodes of the chain that are not there yet; returns the C++ name of the root. */
  compute(chain: Chain): string {
    for (const n of chain.nodes) this.node(n, chain);
    return chain.nodes.length === 0 ? this.leaf(chain.leaves[0] as Leaf) : this.nameOf(chain.root);
  }

  /** Appends the store of `v` to `to`, with the dtype of `to`. Throws if a body cannot store that dtype. */
  put(to: Value, v = to): void {
    const type = to.type.dtype === "i64" ? "int64_t" : cpp[to.type.dtype];
    if (type === undefined) throw new Error(`internal: emit: a fused body cannot store ${to.type.dtype} %${to.name}`);
    this.lines.push(`      put<${type}, ${this.channels}>(p, ${this.k.arg(to, "out")}, i, lanes, ${this.nameOf(v)});`);
  }

  private node(n: Node, chain: Chain): void {
    if (this.names.has((n.outputs[0] as Value).name)) return;
    if (isConstant(n)) return this.constant(n);
    if (n.op === scale.name) return this.scale(n);
    const operands = n.inputs.map((v, i) =>
      chain.nodes.some((m) => m.outputs.includes(v)) ? this.nameOf(v) : this.leaf({ value: v, access: accessOf(n, i) }),
    );
    const code = opOf(n.op).code;
    if (!code) throw new Error(`internal: emit: ${n.op} has no scalar code`);
    const outs = n.outputs.map(() => `v${this.next++}`);
    code(operands, n.attrs, outs).forEach((expression, o) => {
      this.result(n.outputs[o] as Value, outs[o] as string, expression, n.op);
    });
  }

  private leaf(l: Leaf): string {
    // A table with one row for all groups has one value per channel.
    const shared = this.k.grouped && l.access === "group_channel" && l.value.type.shape[0] === 1;
    const access = shared ? "channel" : l.access;
    const key = access === "full" ? l.value.name : `${l.value.name} ${access}`;
    const known = this.names.get(key);
    if (known !== undefined) return known;
    const type = cpp[l.value.type.dtype];
    if (type === undefined)
      throw new Error(`internal: emit: a fused body cannot read ${l.value.type.dtype} %${l.value.name}`);
    const wide = access === "full" || access === "group_channel" || access === "row_channel";
    const args = wide ? `<${type}, ${this.channels}>` : `<${type}>`;
    const name = `v${this.next++}`;
    const read = access === "full" ? this.full : access;
    const load = `const Vec ${name} = ${read}${args}(p, ${this.k.arg(l.value, "in")}, i, lanes);`;
    this.lines.push(`${`      ${load}`.padEnd(59)} // ${l.value.name}`);
    this.names.set(key, name);
    return name;
  }

  /** A factor is an argument of the launch, because most depend on batch and image sizes, not on the model. */
  private scale(n: Node): void {
    const x = this.leafOrName(n.inputs[0] as Value);
    const factor = this.k.scalar(n.attrs.factor as number);
    this.result(n.outputs[0] as Value, `v${this.next++}`, `${x} * ${factor}`, "scale");
  }

  private leafOrName(v: Value): string {
    return this.names.get(v.name) ?? this.leaf({ value: v, access: "full" });
  }

  private constant(n: Node): void {
    const values = n.attrs.values as readonly number[];
    const v = n.outputs[0] as Value;
    if (values.length === 1 || values.every((x) => x === values[0])) {
      this.names.set(v.name, this.k.scalar(values[0] as number));
      return;
    }
    this.names.set(v.name, `table(${this.k.table(values)}, i, lanes)`);
  }
}

const upper = (name: string): string => name.toUpperCase();
const pascal = (name: string): string =>
  name
    .split("_")
    .map((w) => w.charAt(0).toUpperCase() + w.slice(1))
    .join("");
