// The gradients of the first step of training ResNet-50 and SqueezeNet of the ONNX project, for every parameter, beside
// PyTorch's in f64. The evaluator computes the same graph that moproc train compiles, in f64, so whatever is wrong in
// it is far above the bound. SqueezeNet is also compiled; first_step.long.test.ts does the rest.

import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { EXACT, firstStep, unpackNetworks, vanishing, worst } from "../support/first_step.js";
import { noPythonWith, pythonWith } from "../support/python.js";

const python = pythonWith("torch", "onnx");
const folder = join(root, "build", "test", "first-step");
const file = (name: string): string => join(folder, name, "model.onnx");

if (python === undefined) test.skip(`beside PyTorch: ${noPythonWith("torch", "onnx")}`, (t) => t.pass());
else {
  test.before(() => unpackNetworks(folder));

  for (const [name, none, compiled] of [
    ["light-seeded/squeezenet", 0, 5e-6], // f32 differs by 1e-6, as PyTorch's own f32 does
    ["light/squeezenet", 15, 3e-5], // by 6e-6: sums of equal numbers round to the same side
  ] as const)
    test.serial(`${name}: 52 gradients, by the evaluator and compiled`, async (t) => {
      const step = await firstStep(python, file(name), { images: 4, size: 64, by: ["evaluator", "compiled"] });
      t.is(step.gradients.length, 52);
      t.is(vanishing(step), none);
      const most = worst(step);
      t.true(most.exact.error < EXACT, `${most.exact.at}: ${most.exact.error}`);
      t.true(most.compiled.error < compiled, `${most.compiled.at}: ${most.compiled.error}`);
      const [want, exact, rounded] = step.losses as [number, number, number];
      t.true(Math.abs(exact / want - 1) < EXACT && Math.abs(rounded / want - 1) < 1e-5, String(step.losses));
    });

  test.serial("light-seeded/resnet50: 161 gradients, by the evaluator", async (t) => {
    // r171 is what the pooling before the last layer reads, whose window needs more than 64 pixels
    const options = { images: 2, size: 64, feature: "r171", by: ["evaluator"] } as const;
    const step = await firstStep(python, file("light-seeded/resnet50"), options);
    t.is(step.gradients.length, 161);
    t.is(vanishing(step), 0);
    const { exact } = worst(step);
    t.true(exact.error < EXACT, `${exact.at}: ${exact.error}`);
  });
}
