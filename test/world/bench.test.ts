// Parts of npm run bench that no measurement shows to be right: charts, the loader's rates, Pillow's views.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { type Chart, chartTable, lineChart, ticks } from "../../tools/bench/chart.js";
import { parseLoader } from "../../tools/bench/loader.js";

const chart: Chart = {
  ...{ title: "Steps & <sizes>", x: "images", y: "ms" },
  series: [
    {
      name: "f32",
      points: [
        [10, 50],
        [20, 100],
      ],
    },
    { name: "bf16", points: [[20, 25]] },
  ],
};

test("ticks are round and reach the largest value", (t) => {
  t.deepEqual(ticks(100), [0, 20, 40, 60, 80, 100]);
  t.deepEqual(ticks(101), [0, 50, 100, 150]);
  t.deepEqual(ticks(0.3), [0, 0.1, 0.2, 0.3]);
});

test("a chart has its points in proportion, escapes its texts, and says the same as its table", (t) => {
  const svg = lineChart(chart);
  t.is(/<polyline [^>]*points="([^"]*)"/.exec(svg)?.[1], "345.0,175.0 620.0,40.0");
  t.true(svg.includes("Steps &amp; &lt;sizes&gt;"));
  t.is((svg.match(/<circle/g) ?? []).length, 3);
  t.deepEqual(chartTable(chart), [
    "| images | f32, ms | bf16, ms |",
    "| --: | --: | --: |",
    "| 10 | 50 |  |",
    "| 20 | 100 | 25 |",
  ]);
  t.throws(() => lineChart({ ...chart, series: [] }), { message: /has no points/ });
});

test("the loader is measured on a folder and on its shards; odd flags are refused", (t) => {
  const dir = mkdtempSync(join(root, "build", "test", "bench-"));
  const program = join(root, "build", "native", "moproc-data");
  try {
    const [folder, packed] = [join(dir, "folder"), join(dir, "packed")];
    execFileSync(program, [
      "sample",
      "--out",
      folder,
      "--images",
      "20",
      "--val",
      "4",
      "--classes",
      "2",
      "--size",
      "48",
    ]);
    execFileSync(program, ["pack", folder, "--out", packed]);
    for (const data of [folder, packed]) {
      const text = execFileSync(program, ["bench", "--data", data, "--seconds", "0.1"], { encoding: "utf8" });
      const { perSecond, perCore } = parseLoader(text);
      t.true(perSecond > 10 && perCore > 10, text);
    }
    const both = spawnSync(program, ["bench", "--data", folder, "x.jpg"], { encoding: "utf8" });
    t.is(both.status, 2);
    t.regex(both.stderr, /image files and --data exclude each other/);
    const none = spawnSync(program, ["bench", "--data", join(dir, "none")], { encoding: "utf8" });
    t.not(none.status, 0);
    t.throws(() => parseLoader("nothing"), { message: /printed no rate/ });
    const python = process.env.MOPROC_PYTHON ?? join(root, "build", "python", "bin", "python");
    const theirs = spawnSync(python, [join(root, "tools", "bench", "pillow_pairs.py"), packed, "0.1"], {
      encoding: "utf8",
    });
    if (theirs.status !== 0)
      return t.log(`without Pillow: ${theirs.error?.message ?? theirs.stderr.trim().split("\n").at(-1)}`);
    const { peer, pairs } = JSON.parse(theirs.stdout) as { readonly peer: string; readonly pairs: number };
    t.true(peer.includes("Pillow") && pairs > 0);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
