// Writes one node of the IR as standard nodes whose inputs and outputs have the right names.

import type { Node, Value } from "../ir/types.js";
import { named, opOf } from "../ops/op.js";
import { bodies } from "./functions/index.js";
import type { Collector } from "./names.js";
import type { Ref, Sink, Writer } from "./writer.js";

/** Writes the standard nodes of `n` into `sink`; its operands and results have the names in `refs`. */
export function writeBody(n: Node, w: Writer, sink: Collector, refs: ReadonlyMap<Value, Ref>): void {
  const body = bodies.get(n.op);
  if (!body) throw new Error(`internal: op ${n.op} has no meaning in ONNX`);
  const op = opOf(n.op);
  const operands = named(
    op.inputs,
    n.inputs.map((v) => ({ ref: refs.get(v) as Ref, type: v.type })),
  );
  const out = Object.fromEntries((op.outputs as readonly string[]).map((o, i) => [o, (n.outputs[i] as Value).type]));
  const got = body.write(w, operands as never, { attrs: n.attrs, out });
  const results = typeof got === "string" ? [got] : (op.outputs as readonly string[]).map((o) => got[o] as Ref);
  bind(
    sink,
    results,
    n.outputs.map((v) => refs.get(v) as Ref),
  );
}

/**
 * Renames the results of the collected nodes. A result that no collected node makes, or that occurs twice, gets an
 * Identity node.
 */
function bind(sink: Collector, results: readonly Ref[], to: readonly Ref[]): void {
  const made = new Set(sink.nodes.flatMap((n) => n.outputs));
  const renamed = new Map<Ref, Ref>();
  const passed: Parameters<Sink["node"]>[0][] = [];
  results.forEach((r, i) => {
    if (made.has(r) && !renamed.has(r)) renamed.set(r, to[i] as Ref);
    else passed.push({ op: "Identity", domain: "", inputs: [r], outputs: [to[i] as Ref], attributes: {} });
  });
  const now = (r: Ref): Ref => renamed.get(r) ?? r;
  const nodes = [...sink.nodes, ...passed].map((n) => ({
    ...n,
    inputs: n.inputs.map(now),
    outputs: n.outputs.map(now),
  }));
  sink.nodes.splice(0, sink.nodes.length, ...nodes);
}
