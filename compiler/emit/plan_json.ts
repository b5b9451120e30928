// plan.json: the plan for people, tools and tests. The runtime uses plan.cpp, which has the same content.

import type { Plan } from "../lower/plan.js";
import { digest } from "../util/digest.js";

/**
 * A hex digest of everything in the plan that the state layout and the arithmetic depend on: all except `meta` and
 * `drivers`.
 */
export const planDigest = ({ drivers: _, ...plan }: Plan): string =>
  digest(JSON.stringify({ ...plan, meta: {} })).slice(0, 32);

/** The text of plan.json: the plan with its digest, and without the sources of kernels, which are in kernels/. */
export function planJson(plan: Plan): string {
  const kernels = plan.kernels.map(({ symbol, template, threads, sharedBytes, hopper }) =>
    threads > 0 ? { symbol, template, threads, sharedBytes, hopper } : { symbol, template },
  );
  return `${JSON.stringify({ ...plan, digest: planDigest(plan), kernels }, undefined, 1)}\n`;
}
