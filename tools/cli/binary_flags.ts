// The flags of the training binaries. Only the binaries' own code defines them, so this file asks the program
// moproc-train-help for them. They can then be listed and checked before a binary is compiled.

import { spawnSync } from "node:child_process";
import { nativeFile } from "../../compiler/emit/native.js";
import type { Flag } from "./record.js";
import { normal } from "./spelling.js";

/** A flag as `moproc-train-help VERB --json` lists it. */
export interface BinaryFlag {
  readonly section: string;
  readonly names: readonly string[];
  readonly unit: string; // "" for a switch
  readonly default: string; // "" if there is none
  readonly range: string;
  readonly help: string;
}

/** The flags that a training binary has for a verb. Throws if moproc-train-help is not built or fails. */
export function binaryFlags(verb: string): readonly BinaryFlag[] {
  const r = spawnSync(nativeFile("moproc-train-help"), [verb, "--json"], { encoding: "utf8" });
  if (r.error) throw r.error;
  if (r.status !== 0) throw new Error(`moproc-train-help ${verb} --json: ${r.stderr.trim()}`);
  return JSON.parse(r.stdout) as BinaryFlag[];
}

/**
 * The flags of a verb that runs a training binary: its `own`, then the others of the binary. A flag that is in both
 * lists becomes one flag, with the names of both and the help of `own`.
 */
export function withBinaryFlags(own: readonly Flag[], binary: readonly BinaryFlag[]): Flag[] {
  const same = (f: Flag, b: BinaryFlag): boolean => b.names.some((n) => f.names.some((o) => normal(o) === normal(n)));
  const merged = own.map((f) => {
    const twin = binary.find((b) => same(f, b));
    const more = twin?.names.filter((n) => n !== "--arch" && !f.names.some((o) => normal(o) === normal(n))) ?? [];
    return { ...f, names: [...more, ...f.names].toSorted((a, b) => Number(isLong(a)) - Number(isLong(b))) };
  });
  const others = binary.filter((b) => !own.some((f) => same(f, b)));
  return [...merged, ...others.map(asFlag)];
}

const isLong = (name: string): boolean => name.startsWith("--");

const asFlag = (b: BinaryFlag): Flag => ({
  names: b.names,
  section: b.section,
  help: b.help,
  passedOn: true,
  ...(b.unit !== "" && { unit: b.unit }),
  ...(b.default !== "" && { shown: b.default }),
  ...(b.range !== "" && { kind: { range: b.range, parse: (text: string) => text } }), // the binary checks it
});
