// The table of ops, as far as the IR itself has to know them: names of operands and results, types, and the meaning in
// f64. Each record in compiler/ops enters itself; what else a record holds is the affair of those who read it there.

import type { NdArray } from "./nd.js";
import type { Attrs, TensorType } from "./types.js";

/** What belongs to each operand of an op, by name; a list for a trailing "...name". */
type ByName<T> = Readonly<Record<string, T | readonly T[]>>;

export interface OpRecord {
  readonly name: string;
  readonly inputs: readonly string[]; // "...xs" stands for any number of operands and comes last
  readonly outputs: readonly string[];
  /** Types of the outputs by name; throws on operands or attributes that the op does not accept. */
  infer(inputs: ByName<TensorType>, attrs: Attrs): Readonly<Record<string, TensorType>>;
  /** Values of the outputs by name. */
  reference(inputs: ByName<NdArray>, attrs: Attrs): Readonly<Record<string, NdArray>>;
}

const table = new Map<string, OpRecord>();

/** Enters a record. Throws if the name is taken. */
export function register(record: OpRecord): void {
  if (table.has(record.name)) throw new Error(`internal: op ${record.name} is defined twice`);
  table.set(record.name, record);
}

/** The record of an op by name; throws for a name that no module has defined. */
export function recordOf(name: string): OpRecord {
  const record = table.get(name);
  if (!record) throw new Error(`unknown op ${name}`);
  return record;
}

/** All records, in the order in which they were entered. */
export const allRecords = (): readonly OpRecord[] => [...table.values()];

/** Pairs names with items in order; the rest goes to a trailing "...name". */
export function named<T>(names: readonly string[], items: readonly T[]): Record<string, T | readonly T[]> {
  return Object.fromEntries(
    names.map((n, i) => (n.startsWith("...") ? [n.slice(3), items.slice(i)] : [n, items[i] as T])),
  );
}
