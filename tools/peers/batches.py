"""Random batches as a replay file: images of class patterns with noise, some wrong labels, shuffled keys."""

import json

import numpy as np

import tensorfile

EPOCHS = {"warmup": 0, "proto": 1, "clean": 11}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def add_arguments(p):
    p.add_argument("--resume", required=True, help="checkpoint, which determines the number of classes")
    p.add_argument("--steps", required=True, help="how many of each phase: warmup:4,proto:4,clean:4")
    p.add_argument("--batch", type=int, required=True, help="images per step, of all ranks together")
    p.add_argument("--world", type=int, default=1, help="ranks")
    p.add_argument("--image-size", type=int, required=True, help="pixels")
    p.add_argument("--images", choices=["u8", "f32"], default="u8")
    p.add_argument("--lr", type=float, default=0.01)
    p.add_argument("--noise", type=float, default=0.3, help="share of wrong labels")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--damp", type=float, help="begin with this weight in the last BatchNorm of every block: "
                   "rounding then grows more slowly")
    p.add_argument("-o", "--out", required=True)


def plan(text, lr):
    """Turns "warmup:2,clean:1" into the steps of the metadata."""
    steps = []
    for part in text.split(","):
        phase, count = part.split(":")
        steps += [{"phase": phase, "lr": lr, "epoch": EPOCHS[phase]}] * int(count)
    return steps


def draw(rng, patterns, labels, size):
    """Returns u8 images (n, 3, size, size) of the labels' patterns, each with its own brightness and noise."""
    cell = -(-size // patterns.shape[-1])
    x = np.kron(patterns[labels], np.ones((1, 1, cell, cell)))[..., :size, :size]
    x = x * rng.uniform(0.7, 1.3, (len(labels), 1, 1, 1)) + rng.normal(0, 25, x.shape)
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)


def damped(tensors, weight):
    """Returns the state of step 0 with other weights in the last BatchNorm of every block, in both encoders."""
    deep = any(".conv3." in name for name in tensors)
    last = ".bn3.weight" if deep else ".bn2.weight"
    names = [n for n in tensors if n.startswith("encoder_") and ".layer" in n and n.endswith(last)]
    return {f"step0.state.{n}": np.full_like(tensors[n], weight) for n in names}


def make(o):
    tensors, _ = tensorfile.read(o.resume)
    classes = tensors["prototypes"].shape[0]
    rng = np.random.RandomState(o.seed)  # the same numbers in every version of numpy
    patterns = rng.uniform(40, 215, (classes, 3, 4, 4))
    steps = plan(o.steps, o.lr)
    out = {} if o.damp is None else damped(tensors, o.damp)
    n = o.batch // o.world
    for i in range(len(steps)):
        for r in range(o.world):
            true = rng.randint(0, classes, n)
            wrong = rng.randint(0, classes, n)
            given = np.where(rng.uniform(size=n) < o.noise, wrong, true)
            for name in ("img", "img_aug"):
                x = draw(rng, patterns, true, o.image_size)
                if o.images == "f32":
                    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (MEAN, STD))
                    x = ((x.astype(np.float32) / np.float32(255) - mean) / std).astype(np.float32)
                out[f"step{i}.rank{r}.{name}"] = x
            out[f"step{i}.rank{r}.target"] = given.astype(np.int64)
        out[f"step{i}.idx_shuffle"] = rng.permutation(o.batch).astype(np.int64)
    tensorfile.write(o.out, out, {"format": "moproc-replay-1", "steps": json.dumps(steps)})
