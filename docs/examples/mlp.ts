// A training graph of your own: a two-layer perceptron that learns by SGD. Compile it with
//   moproc compile docs/examples/mlp.ts -o out/mlp
// and drive it from Node as drive.mjs does.

import { Builder, grad, ops } from "moproc";
import { nn, optim } from "moproc/models";

const batch = 64;
const features = 2;
const classes = 2;

/** Input -> hidden layer of 32 -> logits. */
function network(net: nn.Net, x: ReturnType<typeof ops.relu>): ReturnType<typeof ops.relu> {
  const hidden = ops.relu(net.b, nn.linear(net.in("fc1"), x, 32));
  return nn.linear(net.in("fc2"), hidden, classes);
}

/** One step of training: returns the loss and the share of correct answers. */
function step() {
  const b = Builder.create("step");
  const x = b.input("x", { dtype: "f32", shape: [batch, features] });
  const target = b.input("target", { dtype: "i64", shape: [batch] });
  const lr = b.input("lr", { dtype: "f32", shape: [] });
  const net = new nn.Net(b, { training: true });
  const logits = network(net, x);

  const weight = ops.constant(b, { values: [1], shape: [batch] });
  const loss = ops.softmax_cross_entropy(b, logits, target, weight, { groups: 1 });
  const params = optim.parameters(b);
  const grads = grad(b, loss, ops.constant(b, { values: [1], shape: [1] }), params);
  const finite = ops.all_finite(b, [loss, ...grads]);
  const momentum = ops.constant(b.in("momentum"), { values: [0.9], shape: [] });
  const weight_decay = ops.constant(b.in("decay"), { values: [1e-4], shape: [] });
  optim.sgd(b, params, grads, { lr, momentum, weight_decay }, finite);

  const correct = ops.top_k_correct(b, logits, target, weight, { k: 1, groups: 1 });
  return nn.finish(b, { loss, correct });
}

/** Logits of a batch, with the weights that `step` trains: states are shared by name. */
function predict() {
  const b = Builder.create("predict");
  const x = b.input("x", { dtype: "f32", shape: [batch, features] });
  return nn.finish(b, { logits: network(new nn.Net(b, { training: false }), x) });
}

export const programs = () => [step(), predict()];
