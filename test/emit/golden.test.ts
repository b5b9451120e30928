// The compiler's output as text: one representative kernel per file, and one whole plan. The files of test/golden are
// meant to be read. After an intended change, `UPDATE=1 npx ava build/js/test/emit/golden.test.js` writes them again.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { grad } from "../../compiler/autodiff/grad.js";
import { planCpp } from "../../compiler/emit/plan_cpp.js";
import { Builder } from "../../compiler/ir/builder.js";
import type { Graph, Target, TensorType, Value } from "../../compiler/ir/types.js";
import type { Kernel, Plan } from "../../compiler/lower/plan.js";
import * as op from "../../compiler/ops/index.js";
import { lower } from "../../compiler/pipeline.js";
import { root } from "../../compiler/util/root.js";
import { batch_norm, conv2d, finish, linear, Net } from "../../models/nn.js";
import { parameters, sgd } from "../../models/optim.js";

const f32 = (...shape: readonly number[]): TensorType => ({ dtype: "f32", shape });
const cpu: Target = { device: "cpu", arch: "x86-64-v3", ranks: [1] };
const gpu: Target = { device: "cuda", arch: "sm_80,sm_90a", ranks: [1], precision: "bf16" };
const plan = (g: Graph, target = cpu): Plan => lower([g], { name: g.name, target }).plan;

/** convolution, batch_norm, ReLU, convolution, batch_norm: a network's inside, in two groups. */
function block(): Graph {
  const b = Builder.create("block", { groups: 2 });
  const net = new Net(b, { training: true });
  const x = b.input("x", f32(4, 8, 9, 9));
  const inner = op.relu(b, batch_norm(net.in("bn1"), conv2d(net.in("conv1"), x, { out: 24, kernel: 1 })));
  const y = batch_norm(net.in("bn2"), conv2d(net.in("conv2"), inner, { out: 40, kernel: 3, stride: 2, pad: 1 }));
  return finish(b, { y });
}

/** One step of a linear classifier: all kinds of memory, and one launch of SGD for both parameters. */
function classifier(): Graph {
  const b = Builder.create("step");
  const net = new Net(b, { training: true });
  const target = b.input("target", { dtype: "i64", shape: [32] });
  const logits = linear(net.in("fc"), b.input("x", f32(32, 20)), 10);
  const weight = op.constant(b, { values: [1], shape: [32] });
  const loss = op.softmax_cross_entropy(b, logits, target, weight, { groups: 1 });
  const params = parameters(b);
  const grads = grad(b, loss, op.constant(b, { values: [1], shape: [1] }), params);
  const finite = op.all_finite(b, [loss, ...grads]);
  const [lr, momentum, weight_decay] = ["lr", "momentum", "weight_decay"].map((name) => b.input(name, f32())) as [
    Value,
    Value,
    Value,
  ];
  sgd(b, params, grads, { lr, momentum, weight_decay }, finite);
  return finish(b, { loss });
}

/** The kernels of a program that `pick` takes. */
const kernels = (p: Plan, pick: (k: Kernel) => boolean): string => {
  const taken = p.kernels.filter(pick);
  return [
    p.target.device === "cpu" ? `#include "cpu/${taken[0]?.header}.hpp"` : `#include "cuda/${taken[0]?.header}.cuh"`,
    "",
    "using namespace moproc;",
    "",
    ...taken.map((k) => k.source),
  ].join("\n");
};

const inside = plan(block());
const step = plan(classifier());
const golden: Readonly<Record<string, string>> = {
  "conv_fprop.cpp": kernels(inside, (k) => k.template === "conv_fprop" && k.symbol.includes("affine")),
  "conv_fprop.cu": kernels(plan(block(), gpu), (k) => k.template === "conv_fprop"),
  "matmul.cpp": kernels(step, (k) => k.template === "matmul" && k.source.includes("fc.bias")),
  "softmax_cross_entropy.cpp": kernels(step, (k) => k.template === "softmax_cross_entropy"),
  "sgd.cpp": kernels(step, (k) => k.symbol.includes("sgd")),
  "plan.cpp": planCpp(step),
};

for (const [name, text] of Object.entries(golden))
  test(`emitted: ${name}`, (t) => {
    const file = join(root, "test", "golden", name);
    if (process.env.UPDATE === "1") writeFileSync(file, text);
    t.is(text, readFileSync(file, "utf8"), "UPDATE=1 writes test/golden anew, if this change is wanted");
    t.true(text.split("extern").length > 1, "something was emitted");
  });
