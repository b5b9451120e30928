// How flags may be written: `-` and `_` are the same inside a name, a flag may have several names, and --arch has both
// of its meanings, the network and the target.

import type { Flag } from "./record.js";

/** The name with `-` for `_`, which is the same for all spellings. */
export const normal = (name: string): string => (name.startsWith("--") ? name.replaceAll("_", "-") : name);

/** The name of a flag's option: the last of its names. */
export const nameOf = (flag: Flag): string => flag.names.at(-1) as string;

/** The flag that an argument names; undefined for values and unknown names. */
export function flagOf(argument: string, flags: readonly Flag[]): Flag | undefined {
  const name = normal(argument.startsWith("--") ? (argument.split("=", 1)[0] as string) : argument);
  return flags.find((f) => f.names.some((n) => normal(n) === name));
}

/** Replaces each long spelling of a flag by the name of its option. */
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
 * Replaces --arch: by --network if its value is the name of a network, as in the published command lines; by
 * --target-arch if it is an instruction set or a GPU architecture, and calls `note` with a message. Throws if -a names
 * another network.
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

/** The arguments for a training binary: all except the flags that only the verb reads, and their values. */
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
