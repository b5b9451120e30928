// How flags may be written: `-` and `_` are the same inside a name, a flag may have several names, and --arch is
// understood as it was before it had two meanings.

import type { Flag } from "./record.js";

/** What is the same for all spellings of a name. */
export const normal = (name: string): string => (name.startsWith("--") ? name.replaceAll("_", "-") : name);

/** The name by which an option is known: the last. */
export const nameOf = (flag: Flag): string => flag.names.at(-1) as string;

/** The flag that an argument names; undefined for values and for what is unknown. */
export function flagOf(argument: string, flags: readonly Flag[]): Flag | undefined {
  const name = normal(argument.startsWith("--") ? (argument.split("=", 1)[0] as string) : argument);
  return flags.find((f) => f.names.some((n) => normal(n) === name));
}

/** Rewrites each long spelling of a flag to the name by which its option is known. */
export function canonical(argv: readonly string[], flags: readonly Flag[]): string[] {
  return argv.map((a) => {
    const flag = a.startsWith("--") ? flagOf(a, flags) : undefined;
    if (!flag) return a;
    const equal = a.indexOf("=");
    return nameOf(flag) + (equal < 0 ? "" : a.slice(equal));
  });
}

const isTarget = (value: string): boolean => /^(sm_|x86|native|emulator)/.test(value);

/**
 * Replaces --arch: with a network's name, as the published command lines have it, by --network; with the name of an
 * instruction set or a GPU architecture by --target-arch, which `note` hears of. Throws when -a names another network.
 */
export function settleArch(argv: readonly string[], flags: readonly Flag[], note: (text: string) => void): string[] {
  const known = (name: string): boolean => flags.some((f) => f.names.includes(name));
  const at = argv.findIndex((a) => a === "--arch" || a.startsWith("--arch="));
  if (at < 0 || !known("--network")) return [...argv];
  const [, inline] = /^--arch=(.*)$/.exec(argv[at] as string) ?? [];
  const value = inline ?? argv[at + 1];
  if (value === undefined) return [...argv];
  const rest = [...argv.slice(0, at), ...argv.slice(at + (inline === undefined ? 2 : 1))];
  if (known("--target-arch") && isTarget(value)) {
    note(`--arch names a network; write --target-arch ${value} for what the kernels are compiled for`);
    return [...rest, "--target-arch", value];
  }
  const other = rest.findIndex((a) => a === "-a" || /^--network(=|$)/.test(a));
  if (other < 0) return [...rest, "--network", value];
  const network = /=(.*)$/.exec(rest[other] as string)?.[1] ?? rest[other + 1];
  if (network !== value) throw new Error(`-a ${network} and --arch ${value} contradict each other`);
  return rest;
}

/** The arguments that a training binary gets: all but the flags that are used up here, with their values. */
export function passedOn(argv: readonly string[], flags: readonly Flag[]): string[] {
  const out: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const a = argv[i] as string;
    const flag = flagOf(a, flags);
    if (!flag || flag.passedOn) out.push(a);
    else if (flag.unit !== undefined && !(a.startsWith("--") && a.includes("="))) i++;
  }
  return out;
}
