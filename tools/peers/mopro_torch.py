#!/usr/bin/env python3
"""MoPro's training step in PyTorch, to compare the compiled one with: all ranks in one process.

mopro_torch.py run --resume CKPT --replay BATCHES --trace T.json   runs the steps of a replay file
mopro_torch.py make --resume CKPT --steps warmup:4,clean:4 -o B    draws batches and writes a replay file

For torch 1.13 and later. Rank r's batch is a group with BatchNorm statistics and loss means of its own;
nothing is fused or reordered: loops over samples where the algorithm has them.
"""

import argparse
import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

import batches
import tensorfile
from decisions import Decisions
from encoder_torch import Encoder, parameters

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MOMENTA = "optimizer.momentum."


class Mopro:
    """The state of a run, and its training step. `state` has every tensor of the checkpoint by name."""

    def __init__(self, tensors, hyper, options):
        self.hyper, self.options = hyper, options
        self.dtype = torch.float64 if options.f64 else torch.float32
        self.order = list(tensors)
        self.params = parameters({n: 0 for n in self.order}, "encoder_q")
        self.state = {}
        self.load(tensors)
        self.values, self.noted = {}, False
        self.decide = Decisions(options.decisions) if options.decisions else None

    def load(self, tensors):
        """Replaces states. Those that `tensors` does not name keep their values."""
        for name, a in tensors.items():
            t = torch.from_numpy(np.array(a))
            t = t.to(self.dtype) if t.is_floating_point() else t
            if self.options.channels_last and t.dim() == 4:
                t = t.contiguous(memory_format=torch.channels_last)
            self.state[name] = t.requires_grad_(name in self.params)

    def saved(self):
        """Returns all states as arrays, f32 as in a checkpoint."""
        arrays = {}
        for name in self.order:
            t = self.state[name].detach().contiguous()
            arrays[name] = (t.float() if t.is_floating_point() else t).numpy().copy()
        return arrays

    def images(self, a):
        x = torch.from_numpy(a)
        if x.dtype == torch.uint8:
            x = (x.float() / 255 - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
        x = x.to(self.dtype)
        return x.contiguous(memory_format=torch.channels_last) if self.options.channels_last else x

    def note(self, name, x):
        """Collects a value of the step that is dumped, one part per group. Returns the value."""
        if self.noted:
            self.values.setdefault(name, []).append(x)
            if x.requires_grad:
                x.retain_grad()
        return x

    def follow(self):
        """Updates the key encoder's parameters (not its statistics), before the forward pass of the keys."""
        m = self.hyper["moco_m"]
        with torch.no_grad():
            for name in self.params:
                k = self.state[name.replace("encoder_q.", "encoder_k.")]
                k.mul_(m).add_(self.state[name], alpha=1 - m)

    def keys(self, img_aug, order):
        """Returns the embeddings of all ranks' strong views, computed shuffled over the ranks, in the images' order."""
        encoder = Encoder(self.state, "encoder_k", self.note)
        n = len(img_aug) // self.world
        shuffled = img_aug[order]
        with torch.no_grad():
            parts = [encoder(shuffled[r * n:(r + 1) * n], r)[1] for r in range(self.world)]
        keys = torch.empty(len(img_aug), parts[0].shape[1], dtype=self.dtype)
        keys[order] = torch.cat(parts)
        return self.note("put_rows", keys)

    def correct(self, cls, proto, given):
        """Returns labels, kept flags, and how close each sample was to another verdict."""
        alpha, threshold, classes = self.hyper["alpha"], self.hyper["pseudo_th"], cls.shape[1]
        with torch.no_grad():
            s = alpha * F.softmax(cls, 1) + (1 - alpha) * F.softmax(proto, 1)
            top, arg = s.max(1)
            own = s[torch.arange(len(given)), given]
            sure = top > threshold
            label = torch.where(sure, arg, given)
            best = s.topk(2, 1).values
            margin = torch.where(sure, best[:, 0] - best[:, 1], (own - 1 / classes).abs())
            return label, sure | (own > 1 / classes), torch.minimum(margin, (top - threshold).abs())

    def classify(self, logits, label, kept):
        """Returns the mean loss over kept samples (0 without any), the percentage of right ones (None without any),
        and the smallest gap of a decision."""
        count = int(kept.sum())
        if count == 0:
            return logits.sum() * 0, None, None
        x, y = logits[kept], label[kept]
        others = x.detach().clone()
        others[torch.arange(count), y] = -float("inf")
        gap = x.detach()[torch.arange(count), y] - others.max(1).values
        return F.cross_entropy(x, y), 100 * int((gap > 0).sum()) / count, float(gap.abs().min())

    def rank(self, r, phase, logits, q, k, given):
        """Computes losses and labels of one rank. Returns the loss, its entries of the trace, labels and kept flags."""
        h, s = self.hyper, self.state
        inst = torch.cat([(q * k).sum(1, keepdim=True), q @ s["queue"]], 1) / h["temperature"]
        self.note("inst.div", inst)
        everyone = torch.ones(len(given), dtype=torch.bool)
        label, kept, proto = given, everyone, None
        t = {"clean": None, "target": None, "kept": None, "margin": None}
        if phase != "warmup":
            proto = self.note("proto.div", q @ s["prototypes"].t() / h["temperature"])
        if phase == "clean":
            label, kept, margin = self.correct(logits, proto, given)
            t = {"clean": int(kept.sum()), "target": label.tolist(), "kept": kept.int().tolist(),
                 "margin": margin.tolist()}
        terms = {"cls": (logits, label, kept), "inst": (inst, torch.zeros_like(given), everyone)}
        if proto is not None:
            terms["proto"] = (proto, label, kept)
        loss = 0
        for name in ("cls", "inst", "proto"):
            if name not in terms:
                t.update({f"loss_{name}": None, f"acc_{name}": None, f"gap_{name}": None})
                continue
            value, t[f"acc_{name}"], t[f"gap_{name}"] = self.classify(*terms[name])
            t[f"loss_{name}"] = float(value)
            loss = loss + value * {"cls": 1, "inst": h["w_inst"], "proto": h["w_proto"]}[name]
        return loss, {**t, "loss": float(loss)}, label, kept

    def step(self, phase, lr, img, img_aug, target, order):
        """Runs a step on the ranks' batches (lists of arrays). Returns its entry of the trace."""
        self.world = len(img)
        query = Encoder(self.state, "encoder_q", self.note, self.decide)
        encoded = [query(self.images(x), r) for r, x in enumerate(img)]
        self.follow()
        order = torch.from_numpy(order)
        keys = self.keys(torch.cat([self.images(x) for x in img_aug]), order)
        n = len(img[0])
        ranks = [self.rank(r, phase, logits, q, keys[r * n:(r + 1) * n], torch.from_numpy(target[r]))
                 for r, (logits, q) in enumerate(encoded)]
        (sum(loss for loss, *_ in ranks) / self.world).backward()
        entry = {name: [t[name] for _, t, *_ in ranks] for name in ranks[0][1]}
        entry["grad_l2"] = self.gradient_norms()
        self.learn(lr)
        self.remember(keys, [q for _, q in encoded], ranks)
        return {"phase": phase, "lr": lr, **entry, "finite": True}

    def gradient_norms(self):
        norms = {p: float(self.state[p].grad.double().norm()) for p in self.params}
        return {"all": float(np.sqrt(sum(v * v for v in norms.values()))), **norms}

    def learn(self, lr):
        """Updates parameters and momenta with torch.optim.SGD."""
        params = [self.state[p] for p in self.params]
        h = self.hyper
        sgd = torch.optim.SGD(params, lr, momentum=h["momentum"], weight_decay=h["weight_decay"])
        for name in self.params:
            sgd.state[self.state[name]]["momentum_buffer"] = self.state[MOMENTA + name]
        sgd.step()
        for name in self.params:
            self.state[MOMENTA + name] = sgd.state[self.state[name]]["momentum_buffer"]
        self.gradients = {name: self.state[name].grad for name in self.params}
        sgd.zero_grad(set_to_none=True)

    def remember(self, keys, embeddings, ranks):
        """Updates queue and prototypes with all ranks' samples, one after the other."""
        queue, pointer, prototypes = self.state["queue"], self.state["queue_ptr"], self.state["prototypes"]
        m = self.hyper["proto_m"]
        with torch.no_grad():
            for key in keys:
                queue[:, int(pointer)] = key
                pointer[0] = (int(pointer) + 1) % queue.shape[1]
            for q, (_, _, label, kept) in zip(embeddings, ranks):
                for f, y, used in zip(q, label, kept):
                    if used:
                        prototypes[y] = m * prototypes[y] + (1 - m) * f
            prototypes.copy_(F.normalize(prototypes, p=2, dim=1, eps=1e-12))

    def dump(self):
        """Returns all values of the step that was dumped in execution order, then all gradients in backward order."""
        joined = {n: torch.cat([x.detach() for x in parts]) for n, parts in self.values.items()}
        grads = {f"grad.{n}": torch.cat([x.grad for x in parts])
                 for n, parts in reversed(list(self.values.items()))
                 if all(x.requires_grad and x.grad is not None for x in parts)}
        grads.update({f"grad.{n}": g for n, g in reversed(list(self.gradients.items()))})
        return {n: x.float().contiguous().numpy() for n, x in {**joined, **grads}.items()}


def summary(a):
    v = a.astype(np.float64).ravel()
    return {"l2": float(np.sqrt((v * v).sum())), "mean": float(v.mean()), "first": v[:4].tolist()}


def write_state(path, run, metadata, epoch, step, images):
    where = {"epoch": str(epoch), "step": str(step), "samples": str(images)}
    tensorfile.write(path, run.saved(), {**metadata, **where})


def run(o):
    tensorfile.require(o.trace, b'"format": "moproc-trace-1"')
    torch.set_num_threads(o.threads)
    torch.manual_seed(0)
    tensors, metadata = tensorfile.read(o.resume)
    replay, about = tensorfile.read(o.replay)
    hyper = {h: float(metadata.get(h, preset)) if getattr(o, h) is None else getattr(o, h)
             for h, preset in HYPER.items()}
    mopro = Mopro(tensors, hyper, o)
    steps, trace, equal = json.loads(about["steps"]), [], {}
    world = 1 + max(int(n.split(".")[1][4:]) for n in replay if n.startswith("step0.rank"))
    images = int(metadata.get("samples", 0))
    for folder in (o.trace_state, o.dump):
        if folder:
            os.makedirs(folder, exist_ok=True)
    for i, s in enumerate(steps):
        at = f"step{i}."
        mopro.load({n[len(at) + 6:]: a for n, a in replay.items() if n.startswith(at + "state.")})
        batch = {k: [replay[f"{at}rank{r}.{k}"] for r in range(world)] for k in ("img", "img_aug", "target")}
        if o.equal:
            equal.update({f"{at}state.{n}": a for n, a in mopro.saved().items()})
        mopro.noted = o.dump_step == i
        order, name = replay[at + "idx_shuffle"], f"step_{i:06d}.safetensors"
        trace.append({**mopro.step(s["phase"], s["lr"], order=order, **batch), "epoch": s["epoch"]})
        images += len(order)
        if mopro.noted:
            tensorfile.write(os.path.join(o.dump, name), mopro.dump(), {"format": "moproc-dump-1"})
        if o.trace_state:
            write_state(os.path.join(o.trace_state, name), mopro, metadata, s["epoch"], i + 1, images)
    if o.equal:
        own = {n: a for n, a in replay.items() if ".state." not in n}
        tensorfile.write(o.equal, {**own, **equal}, about)
    if o.save:
        write_state(o.save, mopro, metadata, steps[-1]["epoch"], len(steps), images)
    result = {"format": "moproc-trace-1", "steps": trace, "tensors": {n: summary(a) for n, a in mopro.saved().items()}}
    if mopro.decide:
        result["reversed"] = mopro.decide.reversed
    tensorfile.require(o.trace, b'"format": "moproc-trace-1"')
    with open(o.trace, "w") as f:
        json.dump(result, f)


# The published defaults. Flags, then a checkpoint's metadata, take precedence over them.
HYPER = {"momentum": 0.9, "weight_decay": 1e-4, "moco_m": 0.999, "proto_m": 0.999, "temperature": 0.1,
         "alpha": 0.5, "pseudo_th": 0.8, "w_inst": 1, "w_proto": 1}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = p.add_subparsers(dest="verb", required=True)
    r = verbs.add_parser("run", help="run a replay file from a checkpoint")
    r.add_argument("--resume", required=True, help="checkpoint (safetensors)")
    r.add_argument("--replay", required=True, help="replay file")
    r.add_argument("--trace", required=True, help="trace to write, JSON")
    r.add_argument("--trace-state", help="folder: the state after each step")
    r.add_argument("--equal", help="replay file to write: the batches and this run's state before each step")
    r.add_argument("--save", help="checkpoint to write after the last step")
    r.add_argument("--dump-step", type=int, help="write the values of this step")
    r.add_argument("--dump", help="folder for them")
    r.add_argument("--decisions", help="dump of the same step: take close decisions as there")
    r.add_argument("--threads", type=int, default=1)
    r.add_argument("--channels-last", action="store_true")
    r.add_argument("--f64", action="store_true", help="compute in double precision")
    for h in HYPER:
        r.add_argument(f"--{h}", type=float, help="default: the checkpoint's")
    batches.add_arguments(verbs.add_parser("make", help="draw batches, write a replay file"))
    o = p.parse_args()
    if o.verb == "make":
        batches.make(o)
    else:
        run(o)


if __name__ == "__main__":
    sys.exit(main())
