// Counts launches. All reports use these functions, so that their counts agree.

import { type Launch, type Plan, programName } from "./plan.js";

/** The definition of a launch, for reports. */
export const LAUNCH_MEANS =
  "A launch is one call of a kernel by the runtime; on a GPU it is one grid or, if the kernel works in several " +
  "phases, " +
  "one grid per phase. Copies and collectives are steps of a program, but no launches.";

/** The launches of a program, in order. */
export const launchesOf = (program: Plan["programs"][number]): Launch[] =>
  program.steps.filter((s): s is Launch => s.do === "launch");

/** The number of grids that the launches are on a GPU: one per phase. */
export const gridsOf = (launches: readonly Launch[]): number => launches.reduce((sum, l) => sum + l.tasks.length, 0);

/** The counts of all programs as lines of explain.txt. */
export const launchCounts = (plan: Plan): string[] => [
  "== launches",
  `  ${LAUNCH_MEANS}`,
  ...plan.programs.map((p) => {
    const launches = launchesOf(p);
    const grids = plan.target.device === "cuda" ? `, ${gridsOf(launches)} grids` : "";
    return `  ${programName(p)}: ${launches.length} launches${grids}`;
  }),
];
