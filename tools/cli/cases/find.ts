// Test cases in the layout of the ONNX project: a folder with model.onnx is a case, and its folders test_data_set_N
// hold the inputs and the expected outputs.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join, relative, sep } from "node:path";
import { parseJson } from "../../../compiler/util/json.js";

/** An output agrees if |actual - expected| <= atol + rtol * |expected| for every element. */
export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
}

export interface Case {
  readonly name: string; // the folder, relative to the folder of all cases
  readonly dir: string;
  readonly sets: readonly string[]; // names of the folders with data
  readonly tolerance: Tolerance;
}

/** That of the ONNX project's own runner. */
const usual: Tolerance = { rtol: 1e-3, atol: 1e-7 };

type Json = Readonly<Record<string, unknown>>;
const isObject = (v: unknown): v is Json => typeof v === "object" && v !== null && !Array.isArray(v);

/** `base` with the rtol and atol that are in `v`. */
function changed(base: Tolerance, v: unknown, where: string): Tolerance {
  if (!isObject(v)) throw new Error(`${where}: is no JSON object`);
  const number = (key: keyof Tolerance): number => {
    const x = v[key] ?? base[key];
    if (typeof x !== "number" || !(x >= 0 && x < Number.POSITIVE_INFINITY))
      throw new Error(`${where}: ${key} is no number from 0 on`);
    return x;
  };
  return { rtol: number("rtol"), atol: number("atol") };
}

function readJson(file: string): unknown {
  try {
    return parseJson(readFileSync(file, "utf8"));
  } catch (e) {
    throw new Error(`${file}: ${(e as Error).message}`);
  }
}

/** The tolerance of a case by its name and folder, from tolerances.json of all cases and data.json of the case. */
function tolerances(dir: string): (name: string, caseDir: string) => Tolerance {
  const file = join(dir, "tolerances.json");
  const all = existsSync(file) ? readJson(file) : {};
  if (!isObject(all)) throw new Error(`${file}: is no JSON object`);
  const base = changed(usual, all.default ?? {}, `${file}: default`);
  const overrides = isObject(all.overrides) ? Object.entries(all.overrides) : [];
  const fits = (pattern: string, name: string): boolean =>
    pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
  return (name, caseDir) => {
    const own = join(caseDir, "data.json");
    const first = existsSync(own) ? changed(base, readJson(own), own) : base;
    return overrides
      .filter(([pattern]) => fits(pattern, name))
      .reduce((t, [pattern, v]) => changed(t, v, `${file}: ${pattern}`), first);
  };
}

const inOrder = (a: string, b: string): number => a.localeCompare(b, "en", { numeric: true });

/** All cases below `dir`, by name. Throws if there are none, or if a file of tolerances is damaged. */
export function findCases(dir: string): Case[] {
  if (!existsSync(dir)) throw new Error(`${dir}: no such folder`);
  const toleranceOf = tolerances(dir);
  const cases: Case[] = [];
  const look = (at: string): void => {
    const entries = readdirSync(at, { withFileTypes: true });
    const folders = entries.flatMap((e) => (e.isDirectory() ? [e.name] : [])).toSorted(inOrder);
    if (!entries.some((e) => e.name === "model.onnx")) {
      for (const f of folders) look(join(at, f));
      return;
    }
    const name = relative(dir, at).split(sep).join("/") || basename(at);
    const sets = folders.filter((f) => f.startsWith("test_data_set"));
    cases.push({ name, dir: at, sets, tolerance: toleranceOf(name, at) });
  };
  look(dir);
  if (cases.length === 0) throw new Error(`${dir}: no folder in it has a model.onnx`);
  return cases;
}

/** The files PREFIX_0.pb, PREFIX_1.pb, ... of a folder, in order. */
export function numbered(dir: string, prefix: string): string[] {
  const files: string[] = [];
  while (existsSync(join(dir, `${prefix}_${files.length}.pb`))) files.push(join(dir, `${prefix}_${files.length}.pb`));
  return files;
}
