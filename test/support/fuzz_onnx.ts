// A fuzz target for the reader of foreign models: a mutant of valid models is read, imported, imported for data,
// and examined as a network that could be trained. It must be accepted, or refused with an error that names a place in
// the model.

import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { elements } from "../../compiler/ir/types.js";
import { readModel } from "../../compiler/onnx/files.js";
import { findHead, imageInput } from "../../compiler/onnx/find_head.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import { importWithData, neededInputs } from "../../compiler/onnx/foreign_data.js";
import { arrays, tensorOf } from "../../compiler/onnx/model.js";
import { encodeModel, type Model } from "../../compiler/onnx/proto.js";
import { ForeignNetwork } from "../../models/foreign.js";
import { networks } from "./foreign_networks.js";
import { right } from "./hostile_parts.js";
import { mutant } from "./mutate_onnx.js";
import { onnxCases } from "./onnx_cases.js";

const LARGEST = 30_000; // bytes of a model that is mutated
const SIZE = 16; // of images
const OPEN = 3; // what open extents become
const small = { constantBytes: 2 ** 28 }; // the limit of constants is reached sooner

/** Valid models: whole networks, control flow, ONNX's cases; further ones are in folders below `cases`. */
export function corpus(cases?: string): Uint8Array[] {
  const own = [...Object.values(networks).map((make) => encodeModel(make(SIZE))), encodeModel(right)];
  const known = onnxCases().map((c) => encodeModel(c.model));
  const more = cases === undefined ? [] : filesBelow(cases).map((f) => readFileSync(f));
  return [...own, ...own, ...own, ...known, ...more].filter((b) => b.length <= LARGEST);
}

const filesBelow = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, encoding: "utf8" })
    .filter((f) => f.endsWith("model.onnx"))
    .toSorted()
    .map((f) => join(dir, f))
    .filter((f) => statSync(f).size <= LARGEST);

/** What became of a mutant. A fault is a text that says what is wrong with the reader. */
export interface Outcome {
  readonly accepted: boolean;
  readonly fault: string | undefined;
  readonly ms: number; // of a processor
}

const SLOWEST = 4000; // ms
const LONGEST = 10_000; // characters of a message

/** Words for the place of a fault: every message has one of them. */
const PLACE =
  /\b(node|input|output|initializer|attribute|function|graph|model|operator|tensor|extent|metadata|image|at byte \d+)/i;
const LEAK = /\bundefined\b|\[object |Cannot read|is not a function|is not iterable|call stack|internal/;

/** The open extents of a model's inputs by the names under which a caller gives them. */
function openExtents(m: Model): Map<string, number> {
  const given = new Set(m.graph.initializers.map((t) => t.name));
  const open = m.graph.inputs
    .filter((v) => !given.has(v.name))
    .flatMap((v) => (v.shape ?? []).flatMap((d, i) => (typeof d === "string" ? [d || `${v.name}:${i}`] : [])));
  return new Map(open.map((name) => [name, OPEN]));
}

const MOST_DATA = 1e5; // elements of an input

/** Imports a model for data of zeros, which become constants where they decide shapes. */
function importForZeros(m: Model, open: ReadonlyMap<string, number>): void {
  const zeros = neededInputs(m.graph).map(({ name, type, shape = [] }) => {
    const dims = shape.map((d, i) => (typeof d === "number" ? d : (open.get(d || `${name}:${i}`) ?? OPEN)));
    const count = elements(dims);
    return count <= MOST_DATA ? [[name, tensorOf(name, type, dims, new arrays[type](count))] as const] : [];
  });
  if (zeros.every((z) => z.length > 0)) importWithData(m, new Map(zeros.flat()), new Map(), small);
}

function examine(m: Model): void {
  const pixels = { mean: [0, 0, 0], std: [1, 1, 1] } as const;
  const options = { keep: false, frozen: () => false, freezeBatchNorm: false, pixels };
  new ForeignNetwork(m, { ...options, input: imageInput(m), head: findHead(m) }, SIZE);
}

/** The complaint about an error; undefined if it is as it must be. */
function complaint(e: unknown, file: string): string | undefined {
  if (!(e instanceof Error)) return `thrown: ${String(e)}`;
  const { message } = e;
  const shown = message.slice(0, 300);
  if (e.constructor !== Error && !/^(Unsupported|Refused)$/.test(e.constructor.name)) return `${e.stack}`;
  if (LEAK.test(message.replace(/has element type undefined/g, ""))) return `leaks: ${shown}\n${e.stack}`;
  if (!PLACE.test(message) && !message.includes(file)) return `names no place: ${shown}`;
  if (/\p{Cc}/u.test(message)) return `has control characters: ${JSON.stringify(shown)}`;
  return message.length > LONGEST ? `has ${message.length} characters: ${shown}` : undefined;
}

/** Reads the bytes, which are written to `file`, as a model. */
export function outcome(bytes: Uint8Array, file: string): Outcome {
  writeFileSync(file, bytes);
  const start = process.cpuUsage();
  const faults: string[] = [];
  const attempt = (f: () => void): boolean => {
    try {
      f();
      return true;
    } catch (e) {
      const fault = complaint(e, file);
      if (fault !== undefined) faults.push(fault);
      return false;
    }
  };
  let m: Model | undefined;
  const read = attempt(() => {
    m = readModel(file);
  });
  const model = m as Model; // of a file that could be read
  const accepted = read && attempt(() => importForeign(model, openExtents(model), small));
  if (read) attempt(() => importForZeros(model, openExtents(model)));
  if (read) attempt(() => examine(model));
  const { user, system } = process.cpuUsage(start);
  const ms = (user + system) / 1000;
  if (ms > SLOWEST) faults.push(`it took ${ms} ms`);
  return { accepted, fault: faults[0], ms };
}

export interface Totals {
  readonly mutants: number;
  readonly accepted: number;
  readonly slowest: number; // ms
  readonly faults: readonly { readonly seed: number; readonly fault: string }[];
}

/**
 * Reads the mutants of `first` and the following seeds until there are `count`, or `seconds` have passed. `file` is
 * written again and again; `before` is called with each seed before its mutant is read.
 */
export function fuzz(
  files: readonly Uint8Array[],
  file: string,
  first: number,
  count: number,
  seconds = Number.POSITIVE_INFINITY,
  before: (seed: number) => void = () => {},
): Totals {
  const end = performance.now() + 1000 * seconds;
  const faults: { seed: number; fault: string }[] = [];
  let [mutants, accepted, slowest] = [0, 0, 0];
  for (let seed = first; seed < first + count && performance.now() < end; seed++) {
    before(seed);
    const r = outcome(mutant(files, seed).bytes, file);
    mutants++;
    accepted += Number(r.accepted);
    slowest = Math.max(slowest, r.ms);
    if (r.fault !== undefined) faults.push({ seed, fault: r.fault });
  }
  return { mutants, accepted, slowest, faults };
}
