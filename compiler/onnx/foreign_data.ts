// A foreign model together with data for its inputs: the data say which extents the model leaves open, and inputs that
// decide shapes become constants with the data's values.

import { elements } from "../ir/types.js";
import { type Foreign, type ForeignOptions, importForeign } from "./foreign.js";
import type { Dim, Model, OnnxGraph, Tensor, ValueInfo } from "./model.js";
import { withShownErrors } from "./shown.js";
import { Unsupported } from "./unsupported.js";

type Data = ReadonlyMap<string, Tensor>;

/** A program for these data, and the inputs of the model that are constants in it. */
export interface Bound {
  readonly foreign: Foreign;
  readonly bound: readonly string[];
}

/** The inputs that a caller must give: older models list initializers as inputs, too. */
export function neededInputs(g: OnnxGraph): ValueInfo[] {
  const given = new Set(g.initializers.map((t) => t.name));
  return g.inputs.filter((v) => !given.has(v.name));
}

/** Throws unless the tensor has the type that the model declares for this input. Adds extents to `dims`. */
function fit(v: ValueInfo, t: Tensor, dims: Map<string, number>): void {
  const is = `${t.type}[${t.dims}]`;
  if (t.type !== v.type || (v.shape && v.shape.length !== t.dims.length))
    throw new Error(`input ${v.name} is ${v.type}[${v.shape ?? "..."}], its data are ${is}`);
  for (const [i, d] of (v.shape ?? []).entries()) {
    const have = t.dims[i] as number;
    const name = typeof d === "number" ? "" : d || `${v.name}:${i}`;
    const want = typeof d === "number" ? d : (dims.get(name) ?? have);
    if (want !== have)
      throw new Error(`input ${v.name}: its data are ${is}, but extent ${i}${name && `, ${name},`} is ${want}`);
    if (name !== "") dims.set(name, have);
  }
}

const inputOf = (m: Model, name: string): ValueInfo => {
  const v = m.graph.inputs.find((x) => x.name === name);
  if (v) return v;
  throw new Error(`the model has no input ${name}; its inputs are ${m.graph.inputs.map((x) => x.name).join(", ")}`);
};

/** The model with the shapes of these data. Throws if they do not fit its inputs, each other or `dims`. */
function shaped(m: Model, data: Data, dims: ReadonlyMap<string, number>): Model {
  const known = new Map(dims);
  for (const [name, t] of data) fit(inputOf(m, name), t, known);
  const odd = [...dims.keys()].find((d) => !m.graph.inputs.some((v) => v.shape?.some((x, i) => isCalled(v, x, i, d))));
  if (odd !== undefined) throw new Error(`--dim ${odd}: no input of the model has such an extent`);
  const inputs = m.graph.inputs.map((v) => ({ ...v, shape: data.get(v.name)?.dims ?? v.shape }));
  return { ...m, graph: { ...m.graph, inputs } };
}

const isCalled = (v: ValueInfo, d: Dim, i: number, name: string): boolean =>
  typeof d === "string" && (d || `${v.name}:${i}`) === name;

/**
 * The model with these inputs as constants. Throws if it has no such inputs, or they have other types. Extents that the
 * constants have and other inputs share get their number.
 */
export const bindInputs = (m: Model, data: Data): Model => withShownErrors(() => bound(m, data));

function bound(m: Model, data: Data): Model {
  const known = new Map<string, number>();
  for (const [name, t] of data) fit(inputOf(m, name), t, known);
  const extent = (d: Dim): Dim => (typeof d === "string" ? (known.get(d) ?? d) : d);
  const inputs = m.graph.inputs.filter((v) => !data.has(v.name)).map((v) => ({ ...v, shape: v.shape?.map(extent) }));
  const others = m.graph.initializers.filter((t) => !data.has(t.name));
  const initializers = [...others, ...[...data].map(([name, t]) => ({ ...t, name }))];
  return { ...m, graph: { ...m.graph, inputs, initializers } };
}

/** The inputs of the model that these values depend on. */
function sourcesOf(g: OnnxGraph, values: readonly string[]): Set<string> {
  const reached = new Set(values);
  for (const n of g.nodes.toReversed())
    if (n.outputs.some((name) => reached.has(name))) for (const name of n.inputs) reached.add(name);
  return new Set(g.inputs.map((v) => v.name).filter((name) => reached.has(name)));
}

/**
 * The program of a model for these data, one tensor for each input. Inputs become constants if the model is not
 * supported otherwise because a value that depends on them must be a constant. Throws if data are missing or do not
 * fit, and as importForeign().
 */
export const importWithData = (
  m: Model,
  data: Data,
  dims: ReadonlyMap<string, number> = new Map(),
  options: ForeignOptions = {},
): Bound => withShownErrors(() => importBound(m, data, dims, options));

function importBound(m: Model, data: Data, dims: ReadonlyMap<string, number>, options: ForeignOptions): Bound {
  const missing = neededInputs(m.graph).filter((v) => !data.has(v.name));
  if (missing.length > 0) throw new Error(`there are no data for its inputs ${missing.map((v) => v.name).join(", ")}`);
  const model = shaped(m, data, dims);
  const initializers = new Set(m.graph.initializers.map((t) => t.name));
  const isConstant = (name: string, t: Tensor): boolean => elements(t.dims) === 0 || initializers.has(name);
  const constants = new Map([...data].filter(([name, t]) => isConstant(name, t)));
  for (;;) {
    try {
      const foreign = importForeign(bindInputs(model, constants), new Map(), { ...options, fold: true });
      return { foreign, bound: [...constants.keys()] };
    } catch (e) {
      if (!(e instanceof Unsupported)) throw e;
      const more = [...sourcesOf(m.graph, e.needed)].filter((name) => data.has(name) && !constants.has(name));
      if (more.length === 0) throw e;
      for (const name of more) constants.set(name, data.get(name) as Tensor);
    }
  }
}
