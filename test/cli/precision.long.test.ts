// MoPro on the demo's images, in f32 and in bf16 on the CPU: the mean accuracies of two seeds on 1000 validation images
// lie within half a point. (Single runs vary by up to a point in either type.)

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { Shell } from "../support/cli.js";

interface Demo {
  readonly sample: Readonly<Record<string, unknown>>;
  readonly network: Readonly<Record<string, unknown>>;
  training(epochs: number): readonly string[];
  readonly methods: readonly { readonly key: string; flags(epochs: number): readonly string[] }[];
}
const demo = (await import(pathToFileURL(join(root, "tools", "demo", "settings.mjs")).href)) as Demo;
const flags = (values: Readonly<Record<string, unknown>>): string[] =>
  Object.entries(values).flatMap(([name, value]) => [`--${name}`, `${value}`]);

const shell = new Shell("precision_long");
test.after.always(() => shell.remove());
const epochs = 32; // as the demo has

/** The last top-1 of a run in percent. */
function trained(seed: string, precision: string): number {
  const exp = `${precision}${seed}`;
  const method = demo.methods.find((m) => m.key === "mopro");
  const how = [...demo.training(epochs), ...(method?.flags(epochs) ?? [])];
  const model = [...flags(demo.network), "--precision", precision];
  shell.done("train", "--data", `data${seed}`, "--exp-dir", exp, "--seed", seed, ...model, ...how);
  return Number(shell.metrics(exp).findLast((m) => m.event === "evaluate")?.top1);
}

test("bf16 ends within half a point of f32", (t) => {
  t.timeout(3_600_000);
  const seeds = ["1", "2"];
  for (const seed of seeds) shell.done("data", "sample", "--out", `data${seed}`, ...flags(demo.sample), "--seed", seed);
  const [whole, half] = ["f32", "bf16"].map((precision) => {
    const tops = seeds.map((seed) => trained(seed, precision));
    t.log(`${precision}: top-1 ${tops.join(" %, ")} %`);
    return tops.reduce((a, b) => a + b, 0) / seeds.length;
  }) as [number, number];
  t.true(whole > 90 && Math.abs(whole - half) <= 0.5, `${whole} and ${half}`);
});
