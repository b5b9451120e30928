// The parts of the published code that can be compared without running a network: names, shapes and order of its state,
// its initial weights to the bit, and the recorded batches.

import test from "ava";
import type { NdArray } from "../../compiler/ir/nd.js";
import { moproPrograms } from "../../models/mopro.js";
import { loadTrace, phaseOf, type TraceTensor, traceConfig, traceInputs, traceStates } from "../support/parity.js";

const trace = loadTrace();
const [warmup] = moproPrograms(traceConfig(trace));

test("state has the published names, shapes, dtypes and order", (t) => {
  const published = (trace.after_phase.after_phase0 as readonly TraceTensor[]).map(([name, shape, dtype]) => {
    const ours = name.replace(/^momentum_buffer\.module\./, "optimizer.momentum.").replace(/^module\./, "");
    return `${ours} ${dtype === "int64" ? "i64" : "f32"}[${shape}]`;
  });
  t.deepEqual(
    warmup?.state.map((s) => `${s.name} ${s.type.dtype}[${s.type.shape}]`),
    published,
  );
});

test("initial weights are the recorded ones to the bit", (t) => {
  if (!warmup) return t.fail("no program");
  const states = traceStates(trace, warmup); // throws when the digest differs
  t.deepEqual([...states.keys()].toSorted(), warmup.state.map((s) => s.name).toSorted());
  const wrong = { ...trace, meta: { ...trace.meta, cls_scale: 15 } };
  t.throws(() => traceStates(wrong, warmup), { message: /have digest .*, recorded is af1f36bf/ });
});

test("recorded batches: u8 images, labels and orders of every step", (t) => {
  t.deepEqual(trace.steps.map(phaseOf), [
    "warmup",
    "warmup",
    "warmup",
    "warmup",
    "proto",
    "proto",
    "proto",
    "proto",
    "clean",
    "clean",
    "clean",
    "clean",
  ]);
  const { img, img_aug, target, order } = traceInputs(trace, 9) as Record<string, NdArray>;
  const [step] = trace.steps.slice(9);
  t.deepEqual([...(target as NdArray).data], [...(step?.ranks[0]?.target_in ?? [])]);
  t.deepEqual([...(order as NdArray).data], [...(step?.idx_shuffle ?? [])]);
  for (const x of [img, img_aug] as NdArray[]) {
    t.deepEqual(x.shape, [8, 3, 224, 224]);
    t.true(x.data.every((v) => Number.isInteger(v) && v >= 0 && v <= 255));
  }
  t.notDeepEqual(img?.data, img_aug?.data);
});
