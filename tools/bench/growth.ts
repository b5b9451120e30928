// How the time of a training step grows with the batch and with the size of the images.

import { quantile, turns } from "./alternate.js";
import type { Chart, Series } from "./chart.js";
import type { Options } from "./compare.js";
import { jobOf, ownStep, type Precision, type Step } from "./steps.js";

/** The median of a step's time in ms. */
async function milliseconds(s: Step, precision: Precision, o: Options): Promise<number> {
  const a = await ownStep(s, precision, o.threads);
  a.initState(1);
  const { program, inputs } = jobOf(a);
  const [end, used] = [o.watched(), process.cpuUsage()];
  const [times = []] = await turns([() => a.run(program, inputs)], o.seconds, 3);
  const { user, system } = process.cpuUsage(used);
  end((user + system) / 1e6);
  const ms = quantile(times, 0.5);
  o.say(`classifier, ${s.network} at ${s.size}, batch ${s.batch}, ${precision}: ${ms.toFixed(0)} ms`);
  return ms;
}

/** Step times of a classifier over batch and image size, in both precisions, as charts with their titles. */
export async function stepGrowth(quick: boolean, o: Options): Promise<readonly (readonly [string, Chart])[]> {
  const network = quick ? "resnet18" : "resnet50";
  const [size, batches, sizes] = quick
    ? [64, [8, 16, 32, 64], [32, 64, 96]]
    : [224, [4, 8, 16, 32, 64], [96, 128, 160, 192, 224, 288]];
  const over = async (of: (x: number) => Step, xs: readonly number[]): Promise<Series[]> => {
    const series: Series[] = [];
    for (const precision of ["f32", "bf16"] as const) {
      const points: (readonly [number, number])[] = [];
      for (const x of xs) points.push([x, await milliseconds(of(x), precision, o)]);
      series.push({ name: precision, points });
    }
    return series;
  };
  const step = (batch: number, pixels: number): Step => ({ network, size: pixels, batch, task: "classifier" });
  const y = "ms per step";
  return [
    [
      "Step time over the batch",
      {
        ...{ title: `Classifier, ${network} at ${size} pixels`, x: "images per step", y },
        series: await over((x) => step(x, size), batches),
      },
    ],
    [
      "Step time over the image size",
      {
        ...{ title: `Classifier, ${network}, batch 16`, x: "pixels of a side", y },
        series: await over((x) => step(16, x), sizes),
      },
    ],
  ];
}
