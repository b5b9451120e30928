"""Computes functions of ONNX operators and their gradients in PyTorch, in f64. Reads a list of cases as JSON from the
file named by the first argument and writes the results to that of the second: the outputs, and the gradient of the sum
of outputs times weights by each input that is asked for."""

import json
import sys

import torch

sys.dont_write_bytecode = True
from torch_operators import operators  # noqa: E402

types = {"real": torch.float64, "i64": torch.int64, "bool": torch.bool}


def tensor(t):
    return None if t is None else torch.tensor(t["data"], dtype=types[t["kind"]]).reshape(t["shape"])


def result(case):
    inputs = [tensor(t) for t in case["inputs"]]
    for k in case["by"]:
        inputs[k].requires_grad_()
    made = operators[case["operator"]](inputs, case["attributes"])
    outputs = [made] if isinstance(made, torch.Tensor) else list(made)
    assert len(outputs) == case["outputs"], case
    loss = sum((y.flatten() * torch.tensor(w[:y.numel()], dtype=torch.float64)).sum()
               for y, w in zip(outputs, case["weights"]))
    grads = torch.autograd.grad(loss, [inputs[k] for k in case["by"]])
    plain = lambda t: {"shape": list(t.shape), "data": t.flatten().tolist()}
    return {"outputs": [plain(y) for y in outputs], "gradients": [plain(g) for g in grads]}


with open(sys.argv[1]) as f:
    cases = json.load(f)
results = []
for case in cases:
    try:
        results.append(result(case))
    except Exception as e:  # the test names the case
        results.append({"error": f"{type(e).__name__}: {e}"})
with open(sys.argv[2], "w") as f:
    json.dump(results, f)
