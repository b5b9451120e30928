// The gradients of the first step of training ResNet-50 of the ONNX project, with random weights and with equal ones,
// beside PyTorch's: the whole network at its own size of 224 pixels as it is compiled, and that with equal weights by
// the evaluator, in f64. What the short test has is in first_step.test.ts.

import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { EXACT, firstStep, unpackNetworks, vanishing, worst } from "../support/first_step.js";
import { noPythonWith, pythonWith } from "../support/python.js";

const python = pythonWith("torch", "onnx");
const folder = join(root, "build", "test", "first-step-long");
const file = (name: string): string => join(folder, name, "model.onnx");

if (python === undefined) test.skip(`beside PyTorch: ${noPythonWith("torch", "onnx")}`, (t) => t.pass());
else {
  test.before(() => unpackNetworks(folder));

  for (const name of ["light-seeded/resnet50", "light/resnet50"])
    test.serial(`${name}: 161 gradients at 224 pixels, compiled`, async (t) => {
      t.timeout(600_000);
      const step = await firstStep(python, file(name), { images: 4, size: 224, by: ["compiled"] });
      t.is(step.gradients.length, 161);
      // 50 layers with statistics of 4 images amplify what f32 rounds: PyTorch's own f32 is as far from its f64
      const { compiled, rounding } = worst(step);
      t.log(JSON.stringify({ compiled, rounding }));
      t.true(compiled.error < 0.05, `${compiled.at}: ${compiled.error}`);
    });

  test.serial("light/resnet50: 161 gradients, by the evaluator", async (t) => {
    t.timeout(600_000);
    const options = { images: 4, size: 64, feature: "r171", by: ["evaluator"] } as const;
    const step = await firstStep(python, file("light/resnet50"), options);
    t.is(vanishing(step), 77); // equal channels: normalisation takes out what most scales and shifts do
    const { exact } = worst(step);
    t.true(exact.error < EXACT, `${exact.at}: ${exact.error}`);
  });
}
