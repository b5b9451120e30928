// The only kernel that belongs to no region: it adds the summands of the ranks in a fixed order (--deterministic). The
// runtime launches it between transfers by NCCL. All its sizes are arguments.

import { digest } from "../util/digest.js";
import type { Kernel } from "./plan.js";

const THREADS = 256;
const body = `static constexpr int THREADS = ${THREADS};`;
const symbol = `rank_sum_${digest("rank_sum", body).slice(0, 8)}`;

/** Part of every CUDA artefact with an all-reduce. The runtime finds it by the name of its template. */
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
