// Networks of the ONNX project beside ONNX Runtime, and the measuring of npm run bench.

import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { alternate, compareTimes, geometricMean, quantile, turns } from "../../tools/bench/alternate.js";
import { compileAll, loaded, pair } from "../../tools/bench/both.js";
import { parseBench, sharesTable } from "../../tools/bench/convolutions.js";
import { benchPage } from "../../tools/bench/page.js";
import { peakMemory } from "../../tools/bench/peak_memory.js";
import { namedModels, onImages } from "../../tools/bench/subjects.js";

const folder = join(root, "build", "test", "onnx-networks");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
execFileSync("tar", ["-xzf", join(root, "test", "fixtures", "onnx-networks", "networks.tar.gz"), "-C", folder]);
const models = namedModels(folder);

test("there are seven light networks and four with random weights", (t) => {
  t.deepEqual(
    ["light/", "light-seeded/"].map((kind) => models.filter((m) => m.name.startsWith(kind)).length),
    [7, 4],
  );
});

test("a network for one image and for three is ONNX Runtime's, and its memory is measured", async (t) => {
  const { model } = models.find((m) => m.name === "light-seeded/squeezenet") as (typeof models)[number];
  for (const batch of [1, 3]) {
    const s = onImages("squeezenet", model, batch);
    const { dir, programs } = await compileAll([s]);
    const a = loaded(dir, 2);
    const p = await pair(s, programs[0] as (typeof programs)[number], a, 2);
    t.true(p.difference > 0 && p.difference < 1e-5, `${batch}: ${p.difference}`);
    if (batch === 1) {
      const peaks = peakMemory(s, dir, a, 2);
      t.true(
        peaks.every((mb) => mb > 40 && mb < 1000),
        String(peaks),
      );
    }
    await p.close();
  }
});

test("two ways take turns, and the one that takes half the time has the ratio 2", async (t) => {
  const turns: string[] = [];
  let now = 0; // ms
  const takes = (name: string, ms: readonly number[]) => async (): Promise<void> => {
    now += ms[turns.length % ms.length] as number;
    turns.push(name);
  };
  const times = await alternate(takes("ours", [2]), takes("peer", [4]), 0.1, () => now);
  t.deepEqual([times.ours, times.peer, times.ratio, times.spread, times.rounds], [2, 4, 2, 0, 17]);
  t.deepEqual(turns.slice(2, 6), ["ours", "peer", "peer", "ours"]); // after one of each that does not count
  now = 0;
  const unsteady = await alternate(takes("ours", [2]), takes("peer", [3, 5, 9]), 0, () => now);
  t.is(unsteady.rounds, 9); // at least
  t.true(unsteady.spread > 0.3, String(unsteady.spread));
  t.is(quantile([5, 1, 3], 0.5), 3);
  t.true(Math.abs(geometricMean([1, 4]) - 2) < 1e-12);
});

test("three take turns, and who begins changes", async (t) => {
  let now = 0;
  const order: string[] = [];
  const party = (name: string, ms: number) => async (): Promise<void> => {
    now += ms;
    order.push(name);
  };
  const times = await turns([party("a", 1), party("b", 2), party("c", 3)], 0, 2, () => now);
  t.is(order.join(""), "abcabccba"); // the first of each does not count
  t.deepEqual(times, [
    [1, 1],
    [2, 2],
    [3, 3],
  ]);
  const { ratio, rounds } = compareTimes([1, 2, 4], [2, 2, 2]);
  t.deepEqual([ratio, rounds], [1, 3]);
});

test("lines of conv_bench become shares of the core's peak, oneDNN's in brackets", (t) => {
  const text = [
    "1x1 256-64 @56, bf16 fprop           1.80 ms  457.7 GFLOP/s per core,  83% of 554",
    "1x1 256-64 @56, bf16 fprop fused     2.45 ms  335.0 GFLOP/s per core,  60% of 557",
    "7x7 3-64 @224 /2, bf16 wgrad           5.81 ms  324.8 GFLOP/s per core,  62% of 520",
    "fprop        all layers:   0.45 ms per image,  457.7 GFLOP/s per core,  83% of the peak",
  ];
  const ours = parseBench(text.join("\n"), "bf16");
  t.deepEqual(ours, [
    { name: "1x1 256-64 @56", type: "bf16", direction: "fprop", gflops: 457.7, peak: 554 },
    { name: "7x7 3-64 @224 /2", type: "bf16", direction: "wgrad", gflops: 324.8, peak: 520 },
  ]);
  const table = sharesTable(ours, new Map([["1x1 256-64 @56 fprop bf16", 277]]));
  t.is(table[2], "| 1x1 256-64 @56 |  |  |  | 83 % (50 %) |  |  |");
  t.is(table[3], "| 7x7 3-64 @224 /2 |  |  |  |  |  | 62 % |");
});

test("a table with several peers names each", (t) => {
  const entry = { name: "step", ours: 1, peer: 2, ratio: 2, goal: null, unit: "ms", spread: null };
  const entries = ["PyTorch, f32", "PyTorch, bf16"].map((peer_name) => ({ ...entry, peer_name }));
  const machine = { cpu: "A CPU", threads: 2, others: 0, date: "2026-01-02", command: "npm run bench" };
  const page = benchPage([{ title: "Steps", ours: "moproc", entries }], machine);
  t.regex(page, /\| {2}\| moproc \| peer \| ratio \| goal \| spread \| peer \|/);
  t.regex(page, /\| step \| 1\.00 ms \| 2\.00 ms \| 2\.00 \| {2}\| {2}\| PyTorch, bf16 \|/);
});

test("the page says on which machine, and whether it was quiet", (t) => {
  const entry = { name: "Neg", ours: 1.5, peer: 3, peer_name: "Peer 1", ratio: 2, goal: 0.5, unit: "ms", spread: 0.1 };
  const machine = { cpu: "A CPU", threads: 2, others: 0.02, date: "2026-01-02", command: "npm run bench" };
  const page = benchPage([{ title: "Operators", ours: "moproc", entries: [entry] }], machine);
  t.regex(page, /on 2026-01-02\.\n\n- CPU: A CPU, 2 threads\n- other processes used up to 2 % of the cores/);
  t.regex(page, /\| Neg \| 1\.50 ms \| 3\.00 ms \| 2\.00 \| 0\.5 \| 10 % \|/);
  t.regex(benchPage([], { ...machine, others: 0.4 }), /\*\*other processes used up to 40 % of the cores/);
});
