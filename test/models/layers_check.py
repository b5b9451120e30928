"""Computes layers and their gradients in PyTorch, in f64. Reads a list of cases as JSON from the file named by the
first argument and writes the results to that of the second: y, and the gradient of sum(y seed) by each floating
tensor."""

import json
import sys

import torch
import torch.nn.functional as F


def attention(t, heads):
    n, tokens, channels = t["x"].shape
    qkv = F.linear(t["x"], t["qkv.weight"], t["qkv.bias"])
    q, k, v = qkv.reshape(n, tokens, 3, heads, channels // heads).permute(2, 0, 3, 1, 4)
    y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, channels)
    return F.linear(y, t["proj.weight"], t["proj.bias"])


def window(o):
    return {"stride": o.get("stride", 1), "padding": o.get("pad", 0), "dilation": o.get("dilation", 1),
            "groups": o.get("groups", 1)}


layers = {
    "linear": lambda t, o: F.linear(t["x"], t["weight"], t["bias"]),
    "conv2d": lambda t, o: F.conv2d(t["x"], t["weight"], t.get("bias"), **window(o)),
    "conv_transpose2d": lambda t, o: F.conv_transpose2d(
        t["x"], t["weight"], t.get("bias"), output_padding=o.get("outputPad", 0), **window(o)),
    "avg_pool": lambda t, o: F.avg_pool2d(
        t["x"], o["kernel"], o.get("stride"), o.get("pad", 0), count_include_pad=o.get("countPadding", True)),
    "layer_norm": lambda t, o: F.layer_norm(t["x"], t["x"].shape[-1:], t["weight"], t["bias"], o.get("epsilon", 1e-5)),
    "group_norm": lambda t, o: F.group_norm(t["x"], o["groups"], t["weight"], t["bias"]),
    "embedding": lambda t, o: F.embedding(t["positions"].long(), t["weight"]),
    "gelu": lambda t, o: F.gelu(t["x"], approximate=o.get("approximate", "none")),
    "softmax": lambda t, o: F.softmax(t["x"], o["axis"]),
    "attention": lambda t, o: attention(t, o["heads"]),
}


def tensor(t):
    return torch.tensor(t["data"], dtype=torch.float64).reshape(t["shape"])


def result(case):
    tensors = {name: tensor(t).requires_grad_(name != "positions") for name, t in case["tensors"].items()}
    y = layers[case["layer"]](tensors, case["options"])
    (y * tensor(case["seed"])).sum().backward()
    grads = {name: t.grad.flatten().tolist() for name, t in tensors.items() if t.requires_grad}
    return {"shape": list(y.shape), "y": y.flatten().tolist(), "grads": grads}


with open(sys.argv[1]) as f:
    cases = json.load(f)
with open(sys.argv[2], "w") as f:
    json.dump([result(c) for c in cases], f)
