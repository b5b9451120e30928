// A small convolutional network with its own loss: label smoothing, written from elementary ops, whose gradients give
// the gradient of the loss. ARCHITECTURE.md follows its layers through the compiler. Compile it with
//   moproc compile docs/examples/cnn.ts -o out/cnn

import { Builder, grad, ops } from "moproc";
import { nn, optim } from "moproc/models";

type Value = ReturnType<typeof ops.relu>;
const batch = 32;
const classes = 4;
const side = 16;

function network(net: nn.Net, x: Value): Value {
  let y = x;
  for (const [i, out] of [16, 32].entries()) {
    const layer = net.in(`layer${i + 1}`);
    y = nn.conv2d(layer.in("conv"), y, { out, kernel: 3, stride: 2, pad: 1 });
    y = ops.relu(layer.b, nn.batch_norm(layer.in("bn"), y));
  }
  return nn.linear(net.in("classifier"), ops.global_avg_pool(net.b, y), classes);
}

/** Mean over the batch of -sum_k p_k log softmax(logits)_k, where p is given: [N, K] with rows that add up to 1. */
function crossEntropy(b: Builder, logits: Value, p: Value): Value {
  const probabilities = ops.softmax(b, logits);
  const picked = ops.mul(b, p, ops.log(b, probabilities));
  return ops.neg(b, ops.scale(b, ops.sum(b, picked, { axes: [0, 1] }), { factor: 1 / batch }));
}

function step() {
  const b = Builder.create("step");
  const img = b.input("img", { dtype: "u8", shape: [batch, 3, side, side] }); // values in logical order N, C, H, W
  const p = b.input("p", { dtype: "f32", shape: [batch, classes] }); // smoothed labels
  const lr = b.input("lr", { dtype: "f32", shape: [] });
  const net = new nn.Net(b, { training: true });
  const logits = network(net.in("net"), ops.normalize_image(b, img, nn.imagenet));

  const loss = crossEntropy(b.in("loss"), logits, p);
  const params = optim.parameters(b);
  const grads = grad(b, loss, ops.constant(b, { values: [1], shape: [] }), params);
  const finite = ops.all_finite(b, [loss, ...grads]);
  net.commit(finite);
  const constant = (name: string, value: number) => ops.constant(b.in(name), { values: [value], shape: [] });
  const hyper = { lr, momentum: constant("momentum", 0.9), weight_decay: constant("decay", 0) };
  optim.sgd(b, params, grads, hyper, finite);
  return nn.finish(b, { loss, logits });
}

export const programs = () => [step()];
