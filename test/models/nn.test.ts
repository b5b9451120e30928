// Single layers against numbers that were computed by hand.

import test from "ava";
import { Builder } from "../../compiler/ir/builder.js";
import { NdArray } from "../../compiler/ir/nd.js";
import * as op from "../../compiler/ops/index.js";
import { batch_norm, Net } from "../../models/nn.js";
import { run } from "../support/training.js";

test("batch_norm: the first group's mean and unbiased variance enter the running averages, a tenth of each", (t) => {
  const b = Builder.create("g", { groups: 2 });
  const x = b.input("x", { dtype: "f32", shape: [6, 2] });
  const net = new Net(b, { training: true });
  const y = batch_norm(net, x);
  net.commit(op.constant(b, { values: [1], shape: [] }));
  const vector = (...v: readonly number[]): NdArray => new NdArray([v.length], Float64Array.from(v));
  const before = new Map([
    ["weight", vector(1, 1)],
    ["bias", vector(0, 0)],
    ["running_mean", vector(10, 20)],
    ["running_var", vector(100, 200)],
    ["num_batches_tracked", NdArray.scalar(7)],
  ]);
  // group 0: (1, 2, 6) with mean 3 and squares 4 + 1 + 9 = 14; (0, 3, 3) with mean 2 and squares 4 + 1 + 1 = 6
  const values = [1, 0, 2, 3, 6, 3, 50, 60, 70, 80, 90, 100];
  const { states } = run(b.finish([y]), before, { x: new NdArray([6, 2], Float64Array.from(values)) });
  const near = (name: string, ...want: readonly number[]): void =>
    want.forEach((v, i) => {
      const got = states.get(name)?.data[i] as number;
      t.true(Math.abs(got - v) < 1e-12, `${name}[${i}] is ${got}, not ${v}`);
    });
  near("running_mean", 0.9 * 10 + 0.1 * 3, 0.9 * 20 + 0.1 * 2);
  near("running_var", 0.9 * 100 + (0.1 * 14) / 2, 0.9 * 200 + (0.1 * 6) / 2); // divided by n - 1 = 2
  near("num_batches_tracked", 8);
});
