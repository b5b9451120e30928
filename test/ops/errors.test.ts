// Bad input that ops refuse, and the messages: op, operand types and scope come from the builder, the reason from the
// op.

import test from "ava";
import { Builder } from "../../compiler/ir/builder.js";
import type { TensorType, Value } from "../../compiler/ir/types.js";
import * as op from "../../compiler/ops/index.js";

const f32 = (...shape: readonly number[]): TensorType => ({ dtype: "f32", shape });
const i64 = (...shape: readonly number[]): TensorType => ({ dtype: "i64", shape });
const errors: readonly (readonly [string, (b: Builder, input: (type: TensorType) => Value) => unknown, string])[] = [
  ["matmul", (b, x) => op.matmul(b, x(f32(4, 6)), x(f32(3, 3))), "inner dimensions differ: 6 and 3"],
  ["matmul groups", (b, x) => op.matmul(b, x(f32(4, 6)), x(f32(6, 3)), { groups: 2 }), "groups = 2 needs ta"],
  ["add", (b, x) => op.add(b, x(f32(4, 6)), x(f32(5))), "shapes [4,6] and [5] do not broadcast"],
  ["add i64", (b, x) => op.add(b, x(i64(4)), x(i64(4))), "a must be floating point (f32, bf16, f16 or f64), not i64"],
  ["take_rows f32", (b, x) => op.take_rows(b, x(f32(4, 9)), x(f32(4))), "idx must be i64, not f32"],
  ["all_finite i64", (b, x) => op.all_finite(b, [x(f32(4)), x(i64(4))]), "xs[1] must be f32, not i64"],
  ["cast to nothing known", (b, x) => op.cast(b, x(f32(4)), { to: "f8" as never }), "u16 or u8) or bool, not f8"],
  ["concat of two types", (b, x) => op.concat(b, [x(f32(4)), x(i64(4))], { axis: 0 }), "dtypes differ: f32 and i64"],
  [
    "conv",
    (b, x) => op.conv(b, x(f32(1, 3, 5, 5)), x(f32(4, 2, 3, 3)), { stride: 1, pad: 1 }),
    "x has 3 channels, w takes 2",
  ],
  [
    "conv window",
    (b, x) => op.conv(b, x(f32(1, 3, 2, 5)), x(f32(4, 3, 3, 3)), { stride: 1, pad: 0 }),
    "a window of 3 does not fit 2 elements",
  ],
  [
    "an attribute that the op does not have",
    (b, x) => op.conv(b, x(f32(1, 3, 5, 5)), x(f32(4, 3, 3, 3)), { stride: 1, pad: 1, dilation: 2 } as never),
    "no attribute dilation: conv has the attributes stride, pad",
  ],
  [
    "an attribute of an op without any",
    (b, x) => op.relu(b, x(f32(4)), { slope: 0.1 } as never),
    "no attribute slope: relu has no attributes",
  ],
  [
    "a missing attribute",
    (b, x) => op.conv(b, x(f32(1, 3, 5, 5)), x(f32(4, 3, 3, 3)), { stride: 1 } as never),
    "attribute pad is missing: conv has the attributes stride, pad",
  ],
  ["reshape", (b, x) => op.reshape(b, x(f32(2, 3, 4, 4)), { shape: [2, 48] }), "4-D tensors are stored channels-last"],
  ["reshape size", (b, x) => op.reshape(b, x(f32(2, 3)), { shape: [4, -1] }), "6 elements do not fill [4,-1]"],
  [
    "concat",
    (b, x) => op.concat(b, [x(f32(2, 3)), x(f32(3, 3))], { axis: 1 }),
    "[2,3] and [3,3] differ outside axis 1",
  ],
  [
    "slice",
    (b, x) => op.slice(b, x(f32(2, 3)), { axis: 1, start: 1, end: 4 }),
    "[1, 4) is no range of axis 1 with 3 positions",
  ],
  ["sum", (b, x) => op.sum(b, x(f32(2, 3)), { axes: [2] }), "no axis 2 in a tensor of rank 2"],
  ["channel_sum", (b, x) => op.channel_sum(b, x(f32(6, 3)), { groups: 4 }), "6 rows do not fall into 4 equal groups"],
  [
    "max_pool",
    (b, x) => op.max_pool(b, x(f32(1, 1, 5, 5)), { kernel: 3, stride: 2, pad: 2 }),
    "more than half the kernel",
  ],
  [
    "cross entropy",
    (b, x) => op.softmax_cross_entropy(b, x(f32(4, 3)), x(i64(5)), x(f32(4)), { groups: 1 }),
    "target must have shape [4], not [5]",
  ],
  [
    "batch_norm",
    (b, x) => op.batch_norm(b, x(f32(4, 3)), x(f32(2)), x(f32(3)), { eps: 1e-5, groups: 1 }),
    "gamma must have shape [3], not [2]",
  ],
  [
    "sgd",
    (b, x) => op.sgd(b, x(f32(3)), x(f32(3)), x(f32(4)), x(f32()), x(f32()), x(f32()), x(f32()), { grad_scale: 1 }),
    "g must have the shape of p, not [4]",
  ],
  [
    "queue_push",
    (b, x) => op.queue_push(b, x(f32(4, 9)), x(i64(1)), x(f32(2, 5)), x(f32())),
    "keys have 5 elements, the queue holds 4",
  ],
  ["take_rows", (b, x) => op.take_rows(b, x(f32(4, 9)), x(i64(3))), "idx permutes 3 rows, x has 4"],
];

for (const [name, build, message] of errors) {
  test(`error: ${name}`, (t) => {
    const b = Builder.create("errors").in("net.layer");
    let n = 0;
    const error = t.throws(() => build(b, (type) => b.input(`x${n++}`, type)));
    t.true(error?.message.includes(message), error?.message);
    t.regex(error?.message ?? "", /^\w+\(x0: .*\) in net\.layer: /);
  });
}
