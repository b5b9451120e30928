"""Writes models with functions whose attributes have values of their own, as onnx.helper makes them, to the folder
named by the first argument: NAME.onnx, and NAME.json with inputs and ONNX Runtime's outputs."""

import json
import os
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

FLOAT = TensorProto.FLOAT


def reference(node, name, kind, to):
    """The attribute `name` of a node is that of the call with the name `to`."""
    a = node.attribute.add()
    a.name, a.ref_attr_name, a.type = name, to, kind


def scaled():
    """LeakyRelu with alpha, then a softmax along axis."""
    first = helper.make_node("LeakyRelu", ["v"], ["l"])
    reference(first, "alpha", onnx.AttributeProto.FLOAT, "alpha")
    last = helper.make_node("Softmax", ["l"], ["s"])
    reference(last, "axis", onnx.AttributeProto.INT, "axis")
    constant = helper.make_node("Constant", [], ["c"])
    reference(constant, "value", onnx.AttributeProto.TENSOR, "bias")
    add = helper.make_node("Add", ["s", "c"], ["r"])
    bias = helper.make_tensor("b", FLOAT, [3], [1.0, -2.0, 0.5])
    return helper.make_function(
        "own", "Scaled", ["v"], ["r"], [first, last, constant, add], [helper.make_opsetid("", 17)],
        attributes=["alpha"],
        attribute_protos=[helper.make_attribute("axis", 0), helper.make_attribute("bias", bias)])


def outer():
    """A function that calls another one and hands its attribute on."""
    call = helper.make_node("Scaled", ["p"], ["q"], domain="own", alpha=0.25)
    reference(call, "axis", onnx.AttributeProto.INT, "axis")
    return helper.make_function(
        "own", "Outer", ["p"], ["q"], [call], [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)],
        attribute_protos=[helper.make_attribute("axis", 1)])


def model(nodes, functions):
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", FLOAT, [2, 3])],
        [helper.make_tensor_value_info("y", FLOAT, [2, 3])])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=10)


def call(op, name="x", to="y", **attributes):
    return helper.make_node(op, [name], [to], domain="own", **attributes)


models = {
    "default": model([call("Scaled", alpha=0.5)], [scaled()]),
    "given": model([call("Scaled", alpha=0.5, axis=1)], [scaled()]),
    "twice": model([call("Scaled", "x", "z", alpha=0.5), call("Scaled", "z", "y", alpha=2.0, axis=1)], [scaled()]),
    "nested": model([call("Outer")], [scaled(), outer()]),
    "nested_given": model([call("Outer", axis=0)], [outer(), scaled()]),
}

x = np.array([[-2.5, 0.5, 1.25], [0.75, -1.0, 3.0]], np.float32)
for name, m in models.items():
    onnx.checker.check_model(m)
    data = m.SerializeToString()
    y = ort.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    with open(os.path.join(sys.argv[1], name + ".onnx"), "wb") as f:
        f.write(data)
    with open(os.path.join(sys.argv[1], name + ".json"), "w") as f:
        json.dump({"x": x.flatten().tolist(), "y": y.flatten().tolist()}, f)
