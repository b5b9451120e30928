// What ptxas says of each kernel (-Xptxas -v), for people and tests: registers, spills, static shared memory.

/** File of an artefact: architecture -> symbol -> resources. Empty for the emulator. */
export const RESOURCES = "resources.json";

export interface Resources {
  readonly registers: number; // of a thread
  readonly spill_bytes: number; // stored and loaded again, of a thread
  readonly stack_bytes: number;
  readonly static_shared_bytes: number; // of a block
}
export type ResourceTable = Readonly<Record<string, Readonly<Record<string, Resources>>>>;

/** Reads the reports of any number of compilations for any number of architectures. */
export function resources(log: string): ResourceTable {
  const table: Record<string, Record<string, Resources>> = {};
  for (const part of log.split("Compiling entry function ").slice(1)) {
    const [, symbol, arch] = /^'(\w+)' for '(\w+)'/.exec(part) ?? [];
    const number = (pattern: RegExp): number => Number(pattern.exec(part)?.[1] ?? 0);
    if (symbol === undefined || arch === undefined) continue;
    table[arch] = {
      ...table[arch],
      [symbol]: {
        registers: number(/Used (\d+) registers/),
        spill_bytes: number(/(\d+) bytes spill stores/) + number(/(\d+) bytes spill loads/),
        stack_bytes: number(/(\d+) bytes stack frame/),
        static_shared_bytes: number(/(\d+) bytes smem/),
      },
    };
  }
  return table;
}
