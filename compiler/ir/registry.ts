// The table of ops, with what the IR itself needs of them: the names of operands and results, types, and a reference in
// f64. The modules in compiler/ops enter their records when they are imported. Their records have more members
// (compiler/ops/op.ts), which the IR does not read.

import { inWords } from "./element_types.js";
import type { NdArray } from "./nd.js";
import type { Attrs, DType, TensorType } from "./types.js";

/** One item for each operand of an op, by name; a list of items for a trailing "...name". */
type ByName<T> = Readonly<Record<string, T | readonly T[]>>;

export interface OpRecord {
  readonly name: string;
  readonly inputs: readonly string[]; // "...xs" stands for any number of operands and comes last
  readonly outputs: readonly string[];
  readonly attrs?: readonly string[]; // "name?" may be left out; absent: the op has none
  /** The element types that each operand may have, by name, and those that an attribute may name. */
  readonly types: Readonly<Record<string, readonly DType[]>>;
  /** All operands, or those with these names, must have the same element type. */
  readonly oneType?: true | readonly string[];
  /** The types of the outputs by name. Throws if the op does not accept the shapes or attributes. */
  infer(inputs: ByName<TensorType>, attrs: Attrs): Readonly<Record<string, TensorType>>;
  /** The values of the outputs by name. `types` are those of the operands. */
  reference(inputs: ByName<NdArray>, attrs: Attrs, types: ByName<TensorType>): Readonly<Record<string, NdArray>>;
}

const table = new Map<string, OpRecord>();

/** Enters a record. Throws if the name is taken. */
export function register(record: OpRecord): void {
  if (table.has(record.name)) throw new Error(`internal: op ${record.name} is defined twice`);
  table.set(record.name, record);
}

/** The record of an op by name. Throws if no imported module has defined the op. */
export function recordOf(name: string): OpRecord {
  const record = table.get(name);
  if (!record) throw new Error(`unknown op ${name}`);
  return record;
}

/** Throws unless `attrs` are exactly those of the op, apart from optional ones that are left out. */
export function wantAttrs(op: OpRecord, attrs: Attrs): void {
  const declared = op.attrs ?? [];
  const names = declared.map((a) => a.replace("?", ""));
  const has = `${op.name} has ${names.length === 0 ? "no attributes" : `the attributes ${names.join(", ")}`}`;
  for (const [name, value] of Object.entries(attrs))
    if (value !== undefined && !names.includes(name)) throw new Error(`no attribute ${name}: ${has}`);
  for (const name of declared)
    if (!name.endsWith("?") && attrs[name] === undefined) throw new Error(`attribute ${name} is missing: ${has}`);
}

/**
 * The types of the outputs of `op` by name. Throws if the record does not list the element type of an operand, or the
 * one that an attribute names; if it wants one type for all operands and they differ; and if its `infer` throws.
 */
export function inferTypes(
  op: OpRecord,
  operands: readonly TensorType[],
  attrs: Attrs,
): Readonly<Record<string, TensorType>> {
  const inputs = named(op.inputs, operands);
  for (const [name, types] of Object.entries(op.types)) {
    const want = (what: string, type: unknown): void => {
      if (!types.includes(type as DType)) throw new Error(`${what} must be ${inWords(types)}, not ${type}`);
    };
    const given = inputs[name];
    if (Array.isArray(given)) given.forEach((t: TensorType, i) => want(`${name}[${i}]`, t.dtype));
    else if (given) want(name, (given as TensorType).dtype);
    else if (!(name in inputs) && attrs[name] !== undefined) want(name, attrs[name]);
  }
  const { oneType } = op;
  const alike = Array.isArray(oneType) ? oneType.map((name) => inputs[name] as TensorType) : oneType ? operands : [];
  const first = alike[0]?.dtype;
  const other = alike.find((t) => t.dtype !== first);
  if (other) throw new Error(`dtypes differ: ${first} and ${other.dtype}`);
  return op.infer(inputs, attrs);
}

/** All records, in the order in which they were entered. */
export const allRecords = (): readonly OpRecord[] => [...table.values()];

/** Pairs names with items in order. A trailing "...name" gets a list of the remaining items, under "name". */
export function named<T>(names: readonly string[], items: readonly T[]): Record<string, T | readonly T[]> {
  return Object.fromEntries(
    names.map((n, i) => (n.startsWith("...") ? [n.slice(3), items.slice(i)] : [n, items[i] as T])),
  );
}
