// The names and small constants of a graph or function that is being written.

import type { OnnxNode, Tensor } from "./model.js";
import { elementsOf } from "./model.js";
import type { Ref, Sink } from "./writer.js";

/** Returns unused names: the requested one or, if that is taken, the one with _1, _2, ... appended. */
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

/**
 * The name with "_" for characters that may not be in it: names are written into comments of emitted source, so they
 * may not end the comment or continue it on the next line. `__metadata__` is no name of a tensor in safetensors.
 */
export function fitName(name: string): string {
  const printable = name.replace(/[^ -[\]-~]/g, "_").replace(/^ /, "_");
  return printable === "__metadata__" ? "__metadata___" : printable.slice(0, 900);
}

/** Collects the nodes of one op. The names of its intermediate values begin with `prefix`. */
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

/** Collects constants; equal ones are there once. */
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

/** A name with the values of a small constant: i64_1_3, f32_0.5. */
function describe(t: Omit<Tensor, "name">): string {
  const values = elementsOf({ ...t, name: "" });
  if (values.length > 4) return `${t.type}_table`;
  return [
    t.type,
    ...Array.from(values as ArrayLike<number | bigint>, (v) => (typeof v === "number" ? Number(v.toPrecision(6)) : v)),
  ].join("_");
}
