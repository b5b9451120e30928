// The compiled training step of a narrow ResNet-50 against the reference evaluator, one step at a time from equal
// state: bottlenecks and their shortcuts at odd sizes (33, 17, 9, 5, 3, 2 pixels).

import test from "ava";
import { phases } from "../../models/mopro.js";
import { compiled } from "../support/compiled.js";
import { MoproSteps } from "../support/mopro_steps.js";

const steps = { warmup: 1, proto: 1, clean: 2 };
const batches = new Map([
  [1, 4],
  [2, 6],
]); // groups -> images
const mopro = new MoproSteps(
  { arch: "resnet50", width: 1 / 8, num_class: 5, low_dim: 8, queue: 7, image_size: 33, residual: 1 / 8 },
  batches,
);
const artefact = compiled("bottleneck", mopro.graphs);

for (const groups of batches.keys())
  for (const phase of phases)
    test.serial(`a step of ${phase}, groups ${groups}`, async (t) =>
      mopro.follow(t, await artefact, phase, groups, steps[phase]),
    );
