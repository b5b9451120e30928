// The plan of ResNet-50's MoPro step for GPUs, lowered without a compiler or a GPU: the bytes that it moves and its
// estimated time. The limits are those of a plan with statistics in epilogues and prologues on the 1x1 convolutions.

import test from "ava";
import { emitter } from "../../compiler/emit/kernel.js";
import type { Graph, Target } from "../../compiler/ir/types.js";
import { lowerPrograms } from "../../compiler/lower/lower.js";
import type { Launch, Plan } from "../../compiler/lower/plan.js";
import { predictedMicroseconds } from "../../compiler/lower/roofline.js";
import { optimize } from "../../compiler/pipeline.js";
import { moproPrograms } from "../../models/mopro.js";

const target: Target = { device: "cuda", arch: "sm_80,sm_90a", ranks: [1], precision: "bf16" };
const batch = 256;
const config = {
  arch: "resnet50",
  width: 1,
  num_class: 1000,
  low_dim: 128,
  queue: 8192,
  image_size: 224,
  groups: 1,
} as const;

function lowered(graphs: readonly Graph[]): { readonly plan: Plan; readonly explain: string } {
  return lowerPrograms(
    "r50",
    graphs.map((g) => optimize(g, target)),
    target,
    {},
    emitter,
  );
}
const { plan, explain } = lowered(
  moproPrograms({ ...config, batch }).filter((g) => g.name === "clean" || g.name === "evaluate"),
);
const launches = (name: string): Launch[] =>
  (plan.programs.find((p) => p.name === name)?.steps ?? []).filter((s): s is Launch => s.do === "launch");
const total = (ls: readonly Launch[], f: (l: Launch) => number): number => ls.reduce((s, l) => s + f(l), 0);
const tensorBytes = (l: Launch): number =>
  [...new Set(l.args)].reduce((s, t) => {
    const { type } = plan.tensors[t] as Plan["tensors"][number];
    return (
      s +
      type.shape.reduce(
        (a, b) => a * b,
        type.dtype === "bf16" ? 2 : type.dtype === "i64" ? 8 : type.dtype === "u8" ? 1 : 4,
      )
    );
  }, 0);

test("bytes and predicted time of an image", (t) => {
  const ls = launches("clean");
  const bytes = total(ls, (l) => l.bytes) / batch;
  const us = total(ls, (l) => predictedMicroseconds(l, target)) / batch;
  t.log(`${(bytes / 1e6).toFixed(1)} MB, ${us.toFixed(1)} us, ${ls.length} launches`);
  t.true(bytes <= 374e6);
  t.true(us <= 120);
  t.true(Math.abs(bytes / 371e6 - 1) < 0.05, "as the layers of the network, counted by hand, say");
});

test("partials of statistics and of split sums are under 2 % of the bytes", (t) => {
  const ls = launches("clean");
  const operands = total(ls, tensorBytes);
  const partials = total(ls, (l) => l.bytes) - operands;
  t.log(`${((100 * partials) / operands).toFixed(2)} %`);
  t.true(partials > 0 && partials < 0.02 * operands);
});

test("activations are stored as bf16, everything else as f32", (t) => {
  const big = plan.tensors.filter((x) => x.arena === "work" && x.type.shape.length === 4);
  const others = big.filter((x) => x.type.dtype === "f32").map((x) => x.name);
  t.true(big.length > 100);
  t.deepEqual(
    others.filter((name) => !/conv_wgrad/.test(name)),
    [],
  );
  t.true(plan.state.every((s) => s.role === "derived" || plan.tensors[s.tensor]?.type.dtype !== "bf16"));
  t.regex(explain, /== clean: precision\n {2}211 convolutions: bf16 operands, f32 sums/);
});

test("SGD and the moving average write the bf16 copies that convolutions read: only the stem's is packed", (t) => {
  const steps = launches("clean").map((l) => ({ ...l, kernel: plan.kernels[l.kernel]?.symbol ?? "" }));
  const only = (part: string): readonly number[] => {
    const found = steps.filter((l) => l.kernel.includes(part));
    t.is(found.length, 1, part);
    return found[0]?.args ?? [];
  };
  const mirrors = (args: readonly number[]): number =>
    args.filter((i) => plan.tensors[i]?.type.dtype === "bf16").length;
  t.is(mirrors(only("_sgd_")), 1);
  t.is(mirrors(only("_ema_")), 1);
  t.deepEqual(
    steps.filter((l) => l.kernel.startsWith("pack_")).map((l) => l.name.replace(/.*encoder_(.)\..*/, "$1")),
    ["k", "q"],
  );
  for (const name of ["encoder_q.layer1.0.conv2.weight", "encoder_k.layer1.0.conv2.weight"]) {
    const copy = plan.tensors.findIndex((x) => x.name === `${name}.bf16`);
    const readers = steps.filter((l) => l.kernel.startsWith("conv_") && l.args.includes(copy));
    t.is(readers.length, name.includes("_q.") ? 2 : 1, name);
  }
});

test("no launch has more operands than its parameters hold, nor a block more shared memory than sm_80 has", (t) => {
  for (const l of plan.programs.flatMap((p) => p.steps)) if (l.do === "launch") t.true(l.args.length <= 48, l.name);
  for (const k of plan.kernels) t.true(k.sharedBytes <= 163 * 1024, `${k.symbol}: ${k.sharedBytes}`);
});
