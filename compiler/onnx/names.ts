// Names and small constants of one graph or function while it is written.

import type { OnnxNode, Tensor } from "./model.js";
import { elementsOf } from "./model.js";
import type { Ref, Sink } from "./writer.js";

/** Hands out names: the one asked for, or with _1, _2 ... when it is taken. */
export class Names {
  private readonly taken: Set<string>;
  private readonly next = new Map<string, number>();

  constructor(taken: Iterable<string> = []) {
    this.taken = new Set(taken);
  }

  fresh(base: string): string {
    let name = base;
    for (let n = this.next.get(base) ?? 1; this.taken.has(name); n++) {
      name = `${base}_${n}`;
      this.next.set(base, n + 1);
    }
    this.taken.add(name);
    return name;
  }
}

/** Collects the nodes of one op; `prefix` is put in front of the names of what it makes on the way. */
export class Collector implements Sink {
  readonly nodes: Omit<OnnxNode, "name">[] = [];

  constructor(
    private readonly names: Names,
    private readonly prefix: string,
    readonly constant: Sink["constant"],
  ) {}

  fresh(base: string): Ref {
    return this.names.fresh(this.prefix + base);
  }
  node(n: Omit<OnnxNode, "name">): void {
    this.nodes.push(n);
  }
}

/** Each different constant once. */
export class Constants {
  readonly tensors: Tensor[] = [];
  private readonly known = new Map<string, Ref>();

  constructor(private readonly names: Names) {}

  readonly constant = (t: Omit<Tensor, "name">): Ref => {
    const data = t.data as Uint8Array; // a constant is never external
    const key = `${t.type}[${t.dims}]${Buffer.from(data).toString("latin1")}`;
    const found = this.known.get(key);
    if (found !== undefined) return found;
    const name = this.names.fresh(describe(t));
    this.known.set(key, name);
    this.tensors.push({ ...t, name });
    return name;
  };
}

/** i64_1_3, f32_0.5: a name that says what is in a small constant. */
function describe(t: Omit<Tensor, "name">): string {
  const values = elementsOf({ ...t, name: "" });
  if (values.length > 4) return `${t.type}_table`;
  return [
    t.type,
    ...Array.from(values as ArrayLike<number | bigint>, (v) => (typeof v === "number" ? Number(v.toPrecision(6)) : v)),
  ].join("_");
}
