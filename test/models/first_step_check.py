"""The gradients of the first step of a network in an ONNX file, in PyTorch: the feature that the file computes, a new
linear classifier on it and the mean cross-entropy. Reads what is asked for as JSON from the file named by the first
argument. Writes into the folder named there: `gradients`, raw f64, in the order of the parameters asked for, and
`results.json` with the loss and with the distance, per parameter, of PyTorch's own gradients in f32."""

import json
import sys

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper


def pad(x, pads, value=0.0):
    top, left, bottom, right = pads
    return F.pad(x, [left, right, top, bottom], value=value)


def slices(x, starts, ends, axes):
    for start, end, axis in zip(starts.tolist(), ends.tolist(), axes.tolist()):
        x = x.narrow(axis, start, end - start)
    return x


def constant_of_shape(shape, value):
    value = torch.from_numpy(numpy_helper.to_array(value).copy())
    return value.expand(tuple(shape.tolist())).clone()


def reshape(x, shape, is_constant):
    sizes = shape.tolist()
    return x.reshape(sizes if is_constant else [x.shape[0], *sizes[1:]])  # the file is made for one image


# name: (operands, attributes, whether all operands are constants) -> the first output
operators = {
    "Add": lambda i, a, c: i[0] + i[1],
    "Mul": lambda i, a, c: i[0] * i[1],
    "Sum": lambda i, a, c: sum(i[1:], i[0]),
    "Tile": lambda i, a, c: i[0].repeat(i[1].tolist()),
    "Slice": lambda i, a, c: slices(*i[:3], i[3] if len(i) > 3 else torch.arange(len(i[1]))),
    "ConstantOfShape": lambda i, a, c: constant_of_shape(i[0], a["value"]),
    "Constant": lambda i, a, c: torch.from_numpy(numpy_helper.to_array(a["value"]).copy()),
    "Reshape": lambda i, a, c: reshape(*i, c),
    "Relu": lambda i, a, c: F.relu(i[0]),
    "Dropout": lambda i, a, c: i[0],
    "Concat": lambda i, a, c: torch.cat(i, a["axis"]),
    "Conv": lambda i, a, c: F.conv2d(pad(i[0], a.get("pads", [0] * 4)), *i[1:], stride=a.get("strides", 1)),
    "MaxPool": lambda i, a, c: F.max_pool2d(
        pad(i[0], a.get("pads", [0] * 4), -torch.inf), a["kernel_shape"], a["strides"]),
    "AveragePool": lambda i, a, c: F.avg_pool2d(i[0], a["kernel_shape"], a["strides"]),
    "BatchNormalization": lambda i, a, c: F.batch_norm(i[0], None, None, i[1], i[2], True, 0, a["epsilon"]),
}


def forward(model, feature, x, types):
    """The feature of images x, and the parameters: the constants of more than one number that other nodes read."""
    values = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in model.graph.initializer}
    constants, parameters = set(values), {}
    values[next(i.name for i in model.graph.input if i.name not in values)] = x
    for n in model.graph.node:
        is_constant = all(name in constants for name in n.input if name)
        if is_constant:
            constants.update(n.output)
        else:
            for name in list(n.input)[:3] if n.op_type == "BatchNormalization" else n.input:
                t = values[name]
                if name in constants and t.is_floating_point() and t.numel() > 1:
                    parameters[name] = values[name] = t if t.requires_grad else t.to(types).requires_grad_()
        attributes = {a.name: helper.get_attribute_value(a) for a in n.attribute}
        for a in ("dilations", "group"):
            assert attributes.get(a, 1) in (1, [1, 1]), n
        values[n.output[0]] = operators[n.op_type]([values[name] for name in n.input if name], attributes, is_constant)
        if n.output[0] == feature:
            y = values[feature]
            return (y.mean((2, 3)) if y.dim() == 4 else y), parameters
    raise Exception(f"no node makes {feature}")


def gradients(asked, types):
    read = lambda name, kind: torch.from_numpy(np.fromfile(f"{asked['folder']}/{name}", kind))
    size, classes = asked["size"], asked["classes"]
    x = read("img", np.uint8).reshape(asked["images"], 3, size, size).to(types) / 255
    mean, std = (torch.tensor(asked[name], dtype=types).view(1, 3, 1, 1) for name in ("mean", "std"))
    feature, parameters = forward(onnx.load(asked["model"]), asked["feature"], (x - mean) / std, types)
    parameters["fc.weight"] = read("fc.weight", np.float32).reshape(classes, -1).to(types).requires_grad_()
    parameters["fc.bias"] = read("fc.bias", np.float32).to(types).requires_grad_()
    logits = feature @ parameters["fc.weight"].T + parameters["fc.bias"]
    loss = F.cross_entropy(logits, torch.tensor(asked["target"]))
    assert set(parameters) == set(asked["names"]), set(parameters) ^ set(asked["names"])
    return loss, torch.autograd.grad(loss, [parameters[name] for name in asked["names"]])


with open(sys.argv[1]) as f:
    asked = json.load(f)
loss, exact = gradients(asked, torch.float64)
_, rounded = gradients(asked, torch.float32)
with open(f"{asked['folder']}/gradients", "wb") as f:
    for g in exact:
        g.numpy().tofile(f)
rounding = [float((r.double() - g).norm()) for r, g in zip(rounded, exact)]
with open(f"{asked['folder']}/results.json", "w") as f:
    json.dump({"loss": float(loss), "rounding": rounding}, f)
