// plan.json: the plan for people, tools and tests. The machine reads plan.cpp, which says the same.

import type { Plan } from "../lower/plan.js";
import { digest } from "../util/digest.js";

/** What the state layout and the arithmetic depend on, as one hex digest. */
export const planDigest = (plan: Plan): string => digest(JSON.stringify({ ...plan, meta: {} })).slice(0, 32);

/** The plan with kernels by symbol and without their source, which lies in kernels/. */
export function planJson(plan: Plan): string {
  const kernels = plan.kernels.map(({ symbol, template, threads, sharedBytes, hopper }) =>
    threads > 0 ? { symbol, template, threads, sharedBytes, hopper } : { symbol, template },
  );
  return `${JSON.stringify({ ...plan, digest: planDigest(plan), kernels }, undefined, 1)}\n`;
}
