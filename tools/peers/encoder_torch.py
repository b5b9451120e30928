"""MoPro's encoder, written with PyTorch's functional operators, on a dict of tensors with the published names.

Names and shapes tell the network: number of blocks, basic or bottleneck, width. `note(name, tensor)` is called
for every value, with the value's name in the compiled program, and its result is used instead. `decide`: see
decisions.py.
"""

import torch
import torch.nn.functional as F

EPS, MOMENTUM = 1e-5, 0.1  # of batch normalisation


class Encoder:
    """One of the two encoders. `state` holds PREFIX.conv1.weight and so on."""

    def __init__(self, state, prefix, note=lambda name, x: x, decide=None):
        self.state, self.prefix, self.note, self.decide = state, prefix, note, decide
        self.layers = [[b for b in range(99) if f"{prefix}.layer{s}.{b}.conv1.weight" in state]
                       for s in range(1, 5)]

    def __call__(self, x, rank):
        """Returns class logits and unit embeddings of the images (n, 3, s, s) of one rank. Only the statistics of
        rank 0 enter the running averages."""
        self.rank = rank
        y = self.relu("bn1.relu", self.norm("bn1", self.conv("conv1", x, 2, 3)))
        if self.decide:
            y = self.named("max_pool", self.decide.max_pool(f"{self.prefix}.bn1.relu", y, self.rank))
        else:
            y = self.named("max_pool", F.max_pool2d(y, 3, 2, 1))
        for s, blocks in enumerate(self.layers):
            for b in blocks:
                y = self.block(f"layer{s + 1}.{b}", y, 2 if s > 0 and b == 0 else 1)
        y = self.named("global_avg_pool", y.mean((2, 3)))
        logits = self.linear("classifier", y)
        hidden = self.relu("fc1.relu", self.linear("fc1", y))
        q = self.linear("fc2", hidden)
        return logits, self.named("l2_normalize", q / q.pow(2).sum(1, keepdim=True).sqrt())

    def block(self, at, x, stride):
        bottleneck = f"{self.prefix}.{at}.conv3.weight" in self.state
        if bottleneck:
            y = self.relu(f"{at}.relu", self.norm(f"{at}.bn1", self.conv(f"{at}.conv1", x, 1, 0)))
            y = self.relu(f"{at}.relu_1", self.norm(f"{at}.bn2", self.conv(f"{at}.conv2", y, stride, 1)))
            y = self.norm(f"{at}.bn3", self.conv(f"{at}.conv3", y, 1, 0))
        else:
            y = self.relu(f"{at}.relu", self.norm(f"{at}.bn1", self.conv(f"{at}.conv1", x, stride, 1)))
            y = self.norm(f"{at}.bn2", self.conv(f"{at}.conv2", y, 1, 1))
        if f"{self.prefix}.{at}.downsample.0.weight" in self.state:
            x = self.norm(f"{at}.downsample.1", self.conv(f"{at}.downsample.0", x, stride, 0))
        return self.relu(f"{at}.relu_2" if bottleneck else f"{at}.relu_1", self.named(f"{at}.add", y + x))

    def named(self, name, x):
        return self.note(f"{self.prefix}.{name}", x)

    def tensor(self, name):
        return self.state[f"{self.prefix}.{name}"]

    def conv(self, at, x, stride, pad):
        return self.named(f"{at}.conv", F.conv2d(x, self.tensor(f"{at}.weight"), None, stride, pad))

    def relu(self, name, x):
        if self.decide:
            return self.named(name, self.decide.relu(f"{self.prefix}.{name}", x, self.rank))
        return self.named(name, F.relu(x))

    def linear(self, at, x):
        return self.named(f"{at}.add", F.linear(x, self.tensor(f"{at}.weight"), self.tensor(f"{at}.bias")))

    def norm(self, at, x):
        mean, var = self.tensor(f"{at}.running_mean"), self.tensor(f"{at}.running_var")
        if self.rank == 0:
            self.tensor(f"{at}.num_batches_tracked").add_(1)
        else:
            mean = var = None
        weight, bias = self.tensor(f"{at}.weight"), self.tensor(f"{at}.bias")
        return self.named(f"{at}.batch_norm_y", F.batch_norm(x, mean, var, weight, bias, True, MOMENTUM, EPS))


def parameters(state, prefix):
    """Returns the names of the trained tensors of an encoder, in published order."""
    return [n for n in state if n.startswith(prefix + ".") and n.endswith((".weight", ".bias"))]
