"""Steps of a run beside torch.optim.AdamW: argv has a JSON file of {files, lr, clip, decay, wd, ...} and a result file.

The gradient of a step follows from the mean that AdamW keeps: m' = beta1 m + (1 - beta1) g.
"""

import json
import struct
import sys

import numpy as np
import torch

MEAN, SQUARE = "optimizer.exp_avg.", "optimizer.exp_avg_sq."


def read(path):
    with open(path, "rb") as f:
        data = f.read()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    body = data[8 + size :]
    types = {"F32": np.float32, "I64": np.int64}
    return {
        name: np.frombuffer(body[slice(*t["data_offsets"])], types[t["dtype"]]).reshape(t["shape"])
        for name, t in header.items()
        if name != "__metadata__"
    }


def main():
    with open(sys.argv[1]) as f:
        run = json.load(f)
    states = [read(path) for path in run["files"]]
    names = [n[len(MEAN) :] for n in states[0] if n.startswith(MEAN)]
    matrices = [n for n in names if states[0][n].ndim > 1]
    others = [n for n in names if n not in matrices]
    params = {n: torch.tensor(states[0][n].copy(), dtype=torch.float64, requires_grad=True) for n in names}
    groups = [
        {"params": [params[n] for n in matrices], "weight_decay": run["wd"]},
        {"params": [params[n] for n in others], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=run["lr"], betas=(run["beta1"], run["beta2"]), eps=run["eps"])
    # the first state has one step behind it
    for n in names:
        optimizer.state[params[n]] = {
            "step": torch.tensor(float(states[0]["optimizer.step"])),
            "exp_avg": torch.tensor(states[0][MEAN + n].astype(np.float64)),
            "exp_avg_sq": torch.tensor(states[0][SQUARE + n].astype(np.float64)),
        }
    norms, worst = [], 0.0
    for before, after in zip(states, states[1:]):
        total = 0.0
        for n in names:
            m, was = after[MEAN + n].astype(np.float64), before[MEAN + n].astype(np.float64)
            g = (m - run["beta1"] * was) / (1 - run["beta1"])
            total += float((g**2).sum())
            params[n].grad = torch.tensor(g)
        norms.append(total**0.5)
        optimizer.step()
        for n in names:
            moved = np.abs(after[n] - params[n].detach().numpy()).max() / run["lr"]
            v = optimizer.state[params[n]]["exp_avg_sq"].numpy()
            square = np.abs(after[SQUARE + n] - v).max() / max(np.abs(v).max(), 1e-30)
            worst = max(worst, float(moved), float(square))
    with open(sys.argv[2], "w") as f:
        json.dump({"norms": norms, "worst": worst, "matrices": len(matrices), "others": len(others)}, f)


main()
