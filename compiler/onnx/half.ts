// A model in half precision. Products, and what lies between them, compute in f16. Sums, roots, exponentials and
// squares, whose range or rounding f16 does not hold, stay f32, and so does what is computed of the input before the
// first product: bytes less their mean are as exact as before. Casts join the two; inputs and outputs keep their types.

import { f16Bits } from "../util/float.js";
import { type Constant, constantsOf, type Float, type Plan, planOf, typeNumber } from "./half_plan.js";
import { elementsOf, type Model, type OnnxNode, type Tensor, tensorOf } from "./model.js";
import { Names } from "./names.js";

/** What `halved` did. */
export interface Changed {
  readonly tensors: number; // that became f16
  readonly numbers: number; // in them
  readonly zeros: number; // of these, the numbers that became 0 and were not
  readonly casts: number; // nodes that were added
  readonly half: number; // nodes whose result is f16, without casts
  readonly full: number; // nodes whose result is f32, likewise
}

/** The operator sets for which the rules are written. */
const LEAST_OPSET = 13;

/**
 * The model with f16 arithmetic; inputs, outputs and the names of tensors stay. Throws, naming the tensor, if a finite
 * number is beyond the range of f16; naming the operator, if there is no rule for it; and for a model that has
 * functions, subgraphs, training information, inputs with default values, or floats of another type than f32.
 */
export function halved(m: Model): { readonly model: Model; readonly changed: Changed } {
  const opset = m.opsets.get("") ?? 0;
  const { graph } = m;
  if (opset < LEAST_OPSET) throw new Error(`operator set ${opset} in f16: ${LEAST_OPSET} and later are supported`);
  if (m.functions.length + m.training.length > 0) throw new Error("a model with functions or training in f16");
  const plan = planOf(graph, opset);
  const writer = new HalfWriter(m, plan);
  for (const n of graph.nodes) writer.node(n);
  const initializers = graph.initializers.flatMap((t) => writer.initializer(t));
  const values = graph.values.map((v) =>
    v.type === "f32" && writer.isHalf(v.name) ? { ...v, type: "f16" as const } : v,
  );
  return { model: { ...m, graph: { ...graph, nodes: writer.nodes, initializers, values } }, changed: writer.changed };
}

class HalfWriter {
  readonly nodes: OnnxNode[] = [];
  readonly changed = { tensors: 0, numbers: 0, zeros: 0, casts: 0, half: 0, full: 0 };
  private readonly names: Names;
  private readonly nodeNames: Names;
  private readonly outputs: ReadonlySet<string>;
  private readonly constants: ReadonlyMap<string, Constant>;
  private readonly halfNames = new Map<string, string>(); // of constants and outputs that exist in both types
  private readonly casts = new Map<string, string>();

  constructor(
    { graph }: Model,
    private readonly plan: Plan,
  ) {
    const inputs = graph.inputs.map((v) => v.name);
    this.names = new Names([...inputs, ...plan.types.keys(), ...graph.nodes.flatMap((n) => n.outputs)]);
    this.nodeNames = new Names(graph.nodes.map((n) => n.name));
    this.outputs = new Set(graph.outputs.map((v) => v.name));
    this.constants = constantsOf(graph);
    for (const name of this.constants.keys())
      if (this.wants(name, "f16") && this.wants(name, "f32")) this.halfNames.set(name, this.names.fresh(`${name}/f16`));
    for (const name of this.outputs)
      if (plan.types.get(name) === "f16") this.halfNames.set(name, this.names.fresh(`${name}/f16`));
  }

  /** Whether the value that has this name in the new model is f16. */
  isHalf(name: string): boolean {
    if (this.halfNames.has(name)) return false;
    return this.constants.has(name) ? this.wants(name, "f16") : this.plan.types.get(name) === "f16";
  }

  node(n: OnnxNode): void {
    const own = this.constants.get(n.outputs[0] as string);
    if (own) {
      for (const type of this.wanted(own.tensor.name)) {
        const value = { kind: "tensor", value: this.as(own.tensor, type) } as const;
        const output = type === "f16" ? this.nameOf(own.tensor.name) : own.tensor.name;
        this.nodes.push({
          ...n,
          name: this.again(n.name, output !== own.tensor.name),
          outputs: [output],
          attributes: { value },
        });
      }
      return;
    }
    const reads = this.plan.reads.get(n) as readonly (Float | undefined)[];
    const inputs = n.inputs.map((v, i) => this.read(v, reads[i]));
    const outputs = n.outputs.map((v) => (this.plan.types.get(v) === "f16" ? this.nameOf(v) : v));
    this.nodes.push({ ...n, inputs, outputs });
    const type = this.plan.types.get(n.outputs[0] as string);
    if (type === "f16") this.changed.half++;
    if (type === "f32") this.changed.full++;
    for (const v of n.outputs) if (this.outputs.has(v) && this.halfNames.has(v)) this.cast(v, "f32", v);
  }

  /** The tensor in each type in which it is read; one that nobody reads stays as it is. */
  initializer(t: Tensor): Tensor[] {
    if (!this.constants.has(t.name)) return [t];
    return this.wanted(t.name).map((type) => (type === "f16" ? { ...this.as(t, type), name: this.nameOf(t.name) } : t));
  }

  private wants(name: string, type: Float): boolean {
    return this.plan.wants.get(name)?.has(type) ?? false;
  }
  private wanted(name: string): readonly Float[] {
    return this.wants(name, "f16") ? (this.wants(name, "f32") ? ["f32", "f16"] : ["f16"]) : ["f32"];
  }
  private nameOf(name: string): string {
    return this.halfNames.get(name) ?? name;
  }
  private again(name: string, second: boolean): string {
    return second ? this.nodeNames.fresh(name) : name;
  }

  private read(name: string, want: Float | undefined): string {
    if (this.constants.has(name)) return want === "f16" ? this.nameOf(name) : name;
    const has = this.plan.types.get(name);
    if (want !== undefined && want !== has) return this.casts.get(`${want} ${name}`) ?? this.cast(name, want);
    return has === "f16" ? this.nameOf(name) : name;
  }

  private cast(name: string, type: Float, as = this.names.fresh(`${name}/${type}`)): string {
    this.casts.set(`${type} ${name}`, as);
    this.nodes.push({
      name: this.nodeNames.fresh(`${name}/to_${type}`),
      op: "Cast",
      domain: "",
      inputs: [type === "f32" ? this.nameOf(name) : name],
      outputs: [as],
      attributes: { to: { kind: "int", value: typeNumber[type] } },
    });
    this.changed.casts++;
    return as;
  }

  private as(t: Tensor, type: Float): Tensor {
    if (type === "f32") return t;
    const from = elementsOf(t) as Float32Array;
    const to = Uint16Array.from(from, f16Bits);
    from.forEach((x, i) => {
      if (Number.isFinite(x) && Math.abs(x) > 65504)
        throw new Error(`tensor ${t.name} has the value ${x.toPrecision(6)}, but f16 ends at 65504`);
      if (x !== 0 && ((to[i] as number) & 0x7fff) === 0) this.changed.zeros++;
    });
    this.changed.tensors++;
    this.changed.numbers += to.length;
    return tensorOf(t.name, "f16", t.dims, to);
  }
}
