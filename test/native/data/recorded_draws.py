"""Prints the numbers that test_recorded_draws.cc holds: python3 recorded_draws.py.

Written from the paper (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11: Philox4x32-10), from the
rules in core/rng.h, and from torchvision's documentation of RandomResizedCrop and ColorJitter. It shares no code with
the runtime, so a number that both have is right in both.
"""

import math

M32 = 0xFFFFFFFF
PURPOSES = ["weak_view", "strong_view", "epoch_order", "key_shuffle", "sample_scene", "sample_label",
            "balanced_order", "subset", "mixup", "svm_order"]


def philox(counter, key):
    c, (k0, k1) = list(counter), key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 & M32, (p0 >> 32) ^ c[3] ^ k1, p0 & M32]
        k0, k1 = (k0 + 0x9E3779B9) & M32, (k1 + 0xBB67AE85) & M32
    return c


def words(seed, purpose, epoch, item):
    """The 32-bit words of a stream: blocks 0, 1, 2, ... of the counter (block, epoch, item, purpose)."""
    block = 0
    while True:
        yield from philox((block, epoch, item, PURPOSES.index(purpose)), (seed & M32, seed >> 32))
        block += 1


class Draws:
    def __init__(self, *place):
        self.words = words(*place)

    def unit(self):  # 27 bits of one word, 26 of the next
        high, low = next(self.words) >> 5, next(self.words) >> 6
        return (high * 2**26 + low) / 2**53

    def uniform(self, low, high):
        return low + (high - low) * self.unit()

    def below(self, n):
        while True:
            product = next(self.words) * n
            if (product & M32) >= (2**32 - n) % n:
                return product >> 32

    def shuffled(self, n):
        items = list(range(n))
        for i in range(n, 1, -1):
            j = self.below(i)
            items[i - 1], items[j] = items[j], items[i - 1]
        return items

    def chosen(self, items, n):
        """The first n of a shuffle that goes from the beginning."""
        items = list(items)
        for i in range(n):
            j = i + self.below(len(items) - i)
            items[i], items[j] = items[j], items[i]
        return items[:n]

    def crop(self, width, height):
        for _ in range(10):
            area = width * height * self.uniform(0.2, 1.0)
            ratio = math.exp(self.uniform(math.log(3 / 4), math.log(4 / 3)))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 1 <= w <= width and 1 <= h <= height:
                top = self.below(height - h + 1)
                return top, self.below(width - w + 1), h, w
        raise ValueError("no crop of ten fits: choose another place")


def weak(seed, epoch, item):
    d = Draws(seed, "weak_view", epoch, item)
    return [*d.crop(500, 375), int(d.unit() < 0.5)]


def strong(seed, epoch, item):
    d = Draws(seed, "strong_view", epoch, item)
    view = [*d.crop(500, 375), int(d.unit() < 0.5), int(d.unit() < 0.2)]
    order = d.shuffled(4)
    factors = [d.uniform(0.6, 1.4) for _ in range(3)]
    return view + ["".join(map(str, order))] + [f"{v:.9f}" for v in [*factors, d.uniform(-0.4, 0.4)]]


def gamma(d, alpha):  # Marsaglia and Tsang (2000), with Box and Muller's normal
    if alpha < 1:
        boost = (1 - d.unit()) ** (1 / alpha)
        return gamma(d, alpha + 1) * boost
    c = alpha - 1 / 3
    while True:
        u, v = 1 - d.unit(), d.unit()
        x = math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * v)
        cube = (1 + x / math.sqrt(9 * c)) ** 3
        if cube > 0 and math.log(1 - d.unit()) < x * x / 2 + c - c * cube + c * math.log(cube):
            return c * cube


def beta(seed, step, alpha):
    d = Draws(seed, "mixup", step & M32, step >> 32)
    a, b = gamma(d, alpha), gamma(d, alpha)
    return f"{a / (a + b):.12f}"


# The place (seed, epoch, item), and each of the three changed by one; the seed also in its upper half.
PLACES = [(7, 3, 5), (8, 3, 5), (7 + 2**32, 3, 5), (7, 4, 5), (7, 3, 6)]
LABELS = [0, 0, 0, 0, 0, 0, 1, 1]
COPIES = [10, 17]  # int(10 sqrt(6 / n)) for 6 and 2 samples

if __name__ == "__main__":
    print("streams", [f"{next(words(7, p, 3, 5)):#x}" for p in PURPOSES])
    for place in PLACES:
        print("weak", place, *weak(*place))
    for place in PLACES:
        print("strong", place, *strong(*place))
    for seed, epoch in (3, 1), (4, 1), (3, 2):
        print("epoch_order", seed, epoch, Draws(seed, "epoch_order", epoch, 0).shuffled(10))
        copies = [i for i, label in enumerate(LABELS) for _ in range(COPIES[label])]
        print("balanced_order", seed, epoch, Draws(seed, "balanced_order", epoch, 0).chosen(copies, len(LABELS)))
        print("subset, draw in the epoch's place", seed, epoch,
              sorted(Draws(seed, "subset", epoch, 0).chosen(range(20), 6)))
    for seed, step in (3, 1), (4, 1), (3, 2), (3, 1 + 2**32):
        print("permutation", seed, step, Draws(seed, "key_shuffle", step & M32, step >> 32).shuffled(10))
        print("beta", seed, step, beta(seed, step, 0.4), beta(seed, step, 2.5))
