"""Takes optimizer steps in PyTorch or, for LARS, in NumPy, all in f64. Reads a list of runs as JSON from the file named
by the first argument and writes the tensors of each run after every step to that of the second."""

import json
import sys

import numpy
import torch


def parameters(run):
    return {n: torch.tensor(t["data"], dtype=torch.float64).reshape(t["shape"]) for n, t in run["params"].items()}


def gradients(run, step):
    shape = {n: t["shape"] for n, t in run["params"].items()}
    return {n: torch.tensor(g, dtype=torch.float64).reshape(shape[n]) for n, g in step["grads"].items()}


def plain(state):
    return {name: numpy.asarray(t).flatten().tolist() for name, t in state.items()}


def with_torch(run, h):
    params = {n: torch.nn.Parameter(p) for n, p in parameters(run).items()}
    groups = [
        {"params": [p for n, p in params.items() if (n in run["decays"]) == on], "weight_decay": h["weight_decay"] * on}
        for on in (True, False)
    ]
    groups = [g for g in groups if g["params"]]
    if run["optimizer"] == "adamw":
        o = torch.optim.AdamW(groups, lr=h["lr"], betas=(h["beta1"], h["beta2"]), eps=h["eps"])
        states = ("exp_avg", "exp_avg_sq")
    else:
        o = torch.optim.SGD(groups, lr=h["lr"], momentum=h["momentum"])
        states = ("momentum_buffer",)
    average = {n: p.detach().clone() for n, p in params.items()}
    counted = 0
    out = []
    for step in run["steps"]:
        norm = None
        if step["finite"]:
            for n, g in gradients(run, step).items():
                params[n].grad = g.clone()
            if run["clip"]:
                norm = float(torch.nn.utils.clip_grad_norm_(params.values(), run["clip"]))
            for g in o.param_groups:
                g["lr"] = h["lr"] * min(1, (counted + 1) / run["warm_up"])
            o.step()
            counted += 1
            for n, p in params.items():
                average[n] = run["ema"] * average[n] + (1 - run["ema"]) * p.detach()
        made = {n: p.detach() for n, p in params.items()}
        for name in states:
            made.update({f"optimizer.{name.replace('_buffer', '')}.{n}": o.state[p][name] for n, p in params.items()})
        made.update({f"ema.{n}": e for n, e in average.items()})
        out.append({"state": plain(made), "norm": norm})
    return out


def lars(run, h):
    p = {n: t.numpy().copy() for n, t in parameters(run).items()}
    v = {n: numpy.zeros_like(t) for n, t in p.items()}
    out = []
    for step in run["steps"]:
        if step["finite"]:
            for n, g in ((n, g.numpy()) for n, g in gradients(run, step).items()):
                rate, decay = h["lr"], 0.0
                if p[n].ndim > 1:
                    decay = h["weight_decay"]
                    w, d = numpy.linalg.norm(p[n]), numpy.linalg.norm(g)
                    if w > 0 and d > 0:
                        rate *= h["trust"] * w / (d + decay * w)
                v[n] = h["momentum"] * v[n] + rate * (g + decay * p[n])
                p[n] = p[n] - v[n]
        state = {**p, **{f"optimizer.momentum.{n}": t for n, t in v.items()}}
        out.append({"state": plain(state), "norm": None})
    return out


with open(sys.argv[1]) as f:
    runs = json.load(f)
with open(sys.argv[2], "w") as f:
    json.dump([(lars if r["optimizer"] == "lars" else with_torch)(r, r["hyper"]) for r in runs], f)
