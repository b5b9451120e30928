// MoPro on the demo's images, in f32 and in bf16 on the CPU: the accuracies on its 1000 validation images lie within
// half a point, for two seeds.

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

for (const seed of ["1", "2"])
  test.serial(`bf16 ends within half a point of f32, seed ${seed}`, (t) => {
    t.timeout(3_600_000);
    const data = `data${seed}`;
    shell.done("data", "sample", "--out", data, ...flags(demo.sample), "--seed", seed);
    const method = demo.methods.find((m) => m.key === "mopro");
    const [whole, half] = ["f32", "bf16"].map((precision) => {
      const exp = `${precision}${seed}`;
      const how = [...demo.training(epochs), ...(method?.flags(epochs) ?? [])];
      const model = [...flags(demo.network), "--precision", precision];
      shell.done("train", "--data", data, "--exp-dir", exp, "--seed", seed, ...model, ...how);
      const last = shell.metrics(exp).findLast((m) => m.event === "evaluate");
      return Number(last?.top1);
    }) as [number, number];
    t.log(`top-1: f32 ${whole} %, bf16 ${half} %`);
    t.true(whole > 90 && Math.abs(whole - half) <= 0.5, `${whole} and ${half}`);
  });
