// One region as C++: a struct K of constants and scalar bodies, and the entry that instantiates the template with it.
// The text is meant to be read; comments name the values, and are left out of the digest that names the kernel.

import type { DType, Node, Value } from "../ir/types.js";
import { accessOf } from "../ops/access.js";
import { opOf } from "../ops/op.js";
import { domainOf } from "../lower/domain.js";
import type { Kernel } from "../lower/plan.js";
import { type Chain, type Leaf, rawResult, type Region } from "../lower/region.js";
import type { TemplateSpec } from "../lower/template.js";
import { digest } from "../util/digest.js";
import { floatLiteral } from "../util/float.js";

export interface Emitted {
  readonly kernel: Kernel;
  readonly args: readonly Value[]; // tensors in the order of the kernel's parameters
  readonly scalars: readonly number[]; // Params::scalars
}

const cpp: Readonly<Partial<Record<DType, string>>> = { f32: "float", bf16: "bf16", u8: "uint8_t" };

/**
 * Emits the kernel of a region. `constants` are the template's own; `plain` are the anchor's buffers after packing;
 * `groups` are those of the launch, of which the text says no more than whether there are several.
 */
export function emitKernel(
  r: Region, plain: ReadonlyMap<string, Value>, constants: Constants, groups: number,
): Emitted {
  const k = new KernelText(r.template, r.anchor?.scope ?? r.after.at(-1)?.nodes.at(-1)?.scope ?? "", groups > 1);
  k.constants(constants);
  for (const [name, chain] of r.operands) k.prologue(name, chain);
  k.plainInputs(plain);
  if (r.template.epilogue) k.epilogue(r, constants["FLAT"] === 1);
  else for (const [i, v] of (r.anchor?.outputs ?? []).entries()) k.plainOutput(opOf((r.anchor as Node).op).outputs[i], v);
  return k.finish([...new Set([...r.operands.values(), ...r.after].flatMap((c) => c.nodes.map((n) => n.op)))]);
}

/** Emits a kernel that packs `w` into `packed`. */
export function emitPacking(template: TemplateSpec, w: Value, packed: Value, constants: Constants): Emitted {
  const k = new KernelText(template, packed.name);
  k.constants(constants);
  k.plainInputs(new Map([["w", w]]));
  k.plainOutput("packed", packed);
  return k.finish([]);
}

type Constants = Readonly<Record<string, number | readonly number[]>>;

class KernelText {
  private readonly lines: string[] = [];
  private readonly args: Value[] = [];
  private readonly access = new Map<string, "in" | "out">();
  private readonly scalars: number[] = [];

  constructor(
    private readonly template: TemplateSpec,
    private readonly at: string,
    readonly grouped = false,
  ) {}

  constants(all: Constants): void {
    for (const [name, value] of Object.entries(all)) {
      if (typeof value === "number") {
        const type = Number.isInteger(value) ? "int" : "float";
        this.lines.push(`  static constexpr ${type} ${name} = ${type === "int" ? value : floatLiteral(value)};`);
      } else this.lines.push(`  static constexpr int64_t ${name}[] = {${value.join(", ")}};`);
    }
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

  /** struct X { load }: what the kernel reads as operand x. */
  prologue(name: string, chain: Chain): void {
    const only = chain.leaves.length === 1 && chain.nodes.length === 0 ? chain.leaves[0] : undefined;
    const buffer = only && only.value.type.dtype === "f32" ? this.arg(only.value, "in") : -1;
    const body = new Body(this, domainOf(chain.root.type.shape).channels);
    const result = body.compute(chain);
    this.lines.push(
      `  struct ${pascal(name)} {`,
      `    static constexpr int buffer = ${buffer};`,
      "    static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {",
      ...body.text(),
      `      return ${result};`,
      "    }",
      "  };",
    );
  }

  /** struct Y { store }: what is done with each vector of the result. */
  epilogue(r: Region, flat: boolean): void {
    const raw = rawResult(r);
    const body = new Body(this, flat ? 1 : domainOf(r.shape).channels);
    if (raw) body.define(raw, "y");
    const sumOf = r.sums.map((n) => n.inputs[0] as Value);
    for (const chain of r.after) body.compute(chain);
    for (const v of r.stores) body.put(v); // after all loads: a result may take the place of an operand
    const momentsOf = r.moments?.inputs[0];
    const sumBuffers = r.sums.map((n) => this.arg(n.outputs[0] as Value, "out"));
    const moments = [0, 1].map((i) => (r.moments ? this.arg(r.moments.outputs[i] as Value, "out") : -1));
    this.lines.push(
      "  struct Y {",
      `    static constexpr int sums = ${r.sums.length};`,
      `    static constexpr int sum_buffer[] = {${sumBuffers.length > 0 ? sumBuffers.join(", ") : -1}};`,
      `    static constexpr int mean_buffer = ${moments[0]}, m2_buffer = ${moments[1]};`,
      "    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec* sum) {",
      ...body.text(),
      ...sumOf.map((v, s) => `      sum[${s}] = ${body.nameOf(v)};`),
      `      return ${momentsOf ? body.nameOf(momentsOf) : "y"};`,
      "    }",
      "  };",
    );
  }

  arg(v: Value, access: "in" | "out"): number {
    const key = `${access} ${v.name}`;
    if (!this.access.has(key)) {
      this.access.set(key, access);
      this.args.push(v);
    }
    return [...this.access.keys()].indexOf(key);
  }

  /** C++ for a number that is an argument of the launch, not part of the kernel. */
  scalar(x: number): string {
    if (!this.scalars.includes(x)) this.scalars.push(x);
    return `Vec(p.scalars[${this.scalars.indexOf(x)}])`;
  }

  table(name: string, values: readonly number[]): void {
    const f = values.map((x) => floatLiteral(x)).join(", ");
    this.lines.push(`  static constexpr float ${name}[] = {${f}};`);
  }
  tables = 0;

  finish(ops: readonly string[]): Emitted {
    const { template } = this;
    const body = this.lines.map((l) => l.replace(/\s*\/\/ .*$/, "")).join("\n");
    const tail = ops.length > 4 ? [...ops.slice(0, 3), "etc"] : ops;
    const symbol = [template.name, ...tail, digest(template.name, body).slice(0, 8)].join("_");
    const source = [
      `// ${this.at || "<top>"}`,
      ...this.args.map((v, i) => `//   ${i}: ${v.type.dtype}[${v.type.shape.join(",")}] ${v.name}`),
      "namespace {",
      `struct ${symbol}_K {`,
      ...this.lines,
      "};",
      "}  // namespace",
      `extern "C" void ${symbol}(const Params& p, const Task& t) { ${template.name}<${symbol}_K>(p, t); }`,
      "",
    ].join("\n");
    return { kernel: { symbol, template: template.name, header: template.header ?? template.name, source }, args: this.args, scalars: this.scalars };
  }

  private line(code: string, v: Value): void {
    this.lines.push(`  ${code}`.padEnd(51) + ` // ${v.name}`);
  }
}

/** The statements of one load or store function. */
class Body {
  private readonly lines: string[] = [];
  private readonly names = new Map<string, string>(); // value, or value with access, -> C++ name
  private next = 0;

  constructor(
    private readonly k: KernelText,
    private readonly channels: number,
  ) {}

  text(): readonly string[] {
    return this.lines;
  }

  define(v: Value, name: string): void {
    this.names.set(v.name, name);
  }

  nameOf(v: Value): string {
    const name = this.names.get(v.name);
    if (name === undefined) throw new Error(`internal: emit: %${v.name} is not computed in this kernel`);
    return name;
  }

  /** Emits loads and nodes that are not there yet; returns the name of the root. */
  compute(chain: Chain): string {
    for (const n of chain.nodes) this.node(n, chain);
    return chain.nodes.length === 0 ? this.leaf(chain.leaves[0] as Leaf) : this.nameOf(chain.root);
  }

  put(v: Value): void {
    const type = v.type.dtype === "i64" ? "int64_t" : cpp[v.type.dtype];
    if (type === undefined) throw new Error(`internal: emit: a fused body cannot store ${v.type.dtype} %${v.name}`);
    this.lines.push(`      put<${type}, ${this.channels}>(p, ${this.k.arg(v, "out")}, i, lanes, ${this.nameOf(v)});`);
  }

  private node(n: Node, chain: Chain): void {
    if (this.names.has((n.outputs[0] as Value).name)) return;
    if (n.op === "constant") return this.constant(n);
    if (n.op === "scale") return this.scale(n);
    const operands = n.inputs.map((v, i) =>
      chain.nodes.some((m) => m.outputs.includes(v)) ? this.nameOf(v) : this.leaf({ value: v, access: accessOf(n, i) }),
    );
    const code = opOf(n.op).code;
    if (!code) throw new Error(`internal: emit: ${n.op} has no scalar code`);
    const outs = n.outputs.map(() => `v${this.next++}`);
    code(operands, n.attrs, outs).forEach((expression, o) => {
      this.lines.push(`      const Vec ${outs[o]} = ${expression};`.padEnd(59) + ` // ${n.op}`);
      this.define(n.outputs[o] as Value, outs[o] as string);
    });
  }

  private leaf(l: Leaf): string {
    // One row for all groups is one value a channel.
    const shared = this.k.grouped && l.access === "group_channel" && l.value.type.shape[0] === 1;
    const access = shared ? "channel" : l.access;
    const key = access === "full" ? l.value.name : `${l.value.name} ${access}`;
    const known = this.names.get(key);
    if (known !== undefined) return known;
    const type = cpp[l.value.type.dtype];
    if (type === undefined) throw new Error(`internal: emit: a fused body cannot read ${l.value.type.dtype} %${l.value.name}`);
    const wide = access === "full" || access === "group_channel" || access === "row_channel";
    const args = wide ? `<${type}, ${this.channels}>` : `<${type}>`;
    const name = `v${this.next++}`;
    const load = `const Vec ${name} = ${access}${args}(p, ${this.k.arg(l.value, "in")}, i, lanes);`;
    this.lines.push(`      ${load}`.padEnd(59) + ` // ${l.value.name}`);
    this.names.set(key, name);
    return name;
  }

  /** Factors depend on batch and image sizes more often than on the model: they are arguments. */
  private scale(n: Node): void {
    const x = this.leafOrName(n.inputs[0] as Value);
    const name = `v${this.next++}`;
    this.lines.push(`      const Vec ${name} = ${x} * ${this.k.scalar(n.attrs["factor"] as number)};`.padEnd(59) + " // scale");
    this.define(n.outputs[0] as Value, name);
  }

  private leafOrName(v: Value): string {
    return this.names.get(v.name) ?? this.leaf({ value: v, access: "full" });
  }

  private constant(n: Node): void {
    const values = n.attrs["values"] as readonly number[];
    const v = n.outputs[0] as Value;
    if (values.length === 1 || values.every((x) => x === values[0])) {
      return this.define(v, this.k.scalar(values[0] as number));
    }
    const name = `T${this.k.tables++}`;
    this.k.table(name, values);
    this.define(v, `table(${name}, i, lanes)`);
  }
}

const upper = (name: string): string => name.toUpperCase();
const pascal = (name: string): string => name.split("_").map((w) => w.charAt(0).toUpperCase() + w.slice(1)).join("");
