// The one kernel that no region asks for: sums over ranks in a fixed order (--deterministic), which the runtime
// launches between what NCCL sends. All its sizes are arguments.

import { digest } from "../util/digest.js";
import type { Kernel } from "./plan.js";

const THREADS = 256;
const body = `static constexpr int THREADS = ${THREADS};`;
const symbol = `rank_sum_${digest("rank_sum", body).slice(0, 8)}`;

/** Of every artefact for several GPUs; the runtime finds it by its template's name. */
export const rankSum: Kernel = {
  symbol,
  template: "rank_sum",
  header: "rank_sum",
  threads: THREADS,
  sharedBytes: 0,
  source: [
    "// sums over ranks in the order of a tree",
    "namespace {",
    `struct ${symbol}_K {`,
    `  ${body}`,
    "};",
    "}  // namespace",
    `extern "C" __global__ void __launch_bounds__(${symbol}_K::THREADS) ${symbol}(` +
      `const __grid_constant__ Params p) { rank_sum<${symbol}_K>(p); }`,
    "",
  ].join("\n"),
};
