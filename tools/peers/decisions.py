"""Takes close decisions from another implementation: the sign of a ReLU's input, the maximum of a window.

Two correct implementations differ by rounding. Then a few of these decisions differ, which changes gradients
by far more than rounding does. To prove that a difference is of this kind, the step is repeated with the
other's decisions: then both agree again. A decision that is not close is never taken over, because that
would hide an error.
"""

import torch
import torch.nn.functional as F

import tensorfile

CLOSE = 1e-5  # relative to the root mean square of the values


class Decisions:
    def __init__(self, path):
        self.values, _ = tensorfile.read(path)
        self.reversed = []  # name and distance of each decision that differed

    def part(self, name, x, rank):
        """Returns the other implementation's values for this rank's x."""
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
