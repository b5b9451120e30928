// The resources of each kernel that ptxas reports (-Xptxas -v), for people and tests.

/** The file of a CUDA artefact with a ResourceTable, which is empty for the emulator. */
export const RESOURCES = "resources.json";

export interface Resources {
  readonly registers: number; // per thread
  readonly spill_bytes: number; // spill stores and spill loads per thread
  readonly stack_bytes: number; // per thread
  readonly static_shared_bytes: number; // per block
}
/** architecture -> symbol -> resources */
export type ResourceTable = Readonly<Record<string, Readonly<Record<string, Resources>>>>;

/** Reads the joined reports of any number of compilations for any number of architectures. */
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
