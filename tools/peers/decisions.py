"""Close decisions, made as somebody else made them: the sign in front of a ReLU, the maximum of a window.

Two right implementations differ by rounding, and then a few of these fall differently, which changes
gradients by far more than rounding does. That a difference is of this kind is proved by repeating the step
with the other's decisions: then both agree again. A decision that is not close is never taken over: that
would hide an error.
"""

import torch
import torch.nn.functional as F

import tensorfile

CLOSE = 1e-5  # of the root mean square of the values decided about


class Decisions:
    def __init__(self, path):
        self.values, _ = tensorfile.read(path)
        self.reversed = []  # name and distance of each decision that fell differently

    def part(self, name, x, rank):
        """The other's values for this rank's x."""
        n = len(x)
        return torch.from_numpy(self.values[name][rank * n:(rank + 1) * n])

    def take(self, name, distance, x):
        unit = float(x.detach().double().pow(2).mean().sqrt())
        for d in distance.tolist():
            if d > CLOSE * unit:
                raise SystemExit(f"{name}: a decision differs that is {d / unit:.1e} from close")
            self.reversed.append({"value": name, "distance": d / unit})

    def relu(self, name, x, rank):
        mask = self.part(name, x, rank) > 0
        self.take(name, x.detach()[(x > 0) != mask].abs(), x)
        return x * mask

    def max_pool(self, name, x, rank):
        _, index = F.max_pool2d(self.part(name, x, rank), 3, 2, 1, return_indices=True)
        y = x.flatten(2).gather(2, index.flatten(2)).view(index.shape)
        short = F.max_pool2d(x.detach(), 3, 2, 1) - y.detach()
        self.take(name, short[short > 0], x)
        return y
