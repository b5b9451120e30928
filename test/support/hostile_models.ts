// Bad foreign models, made in memory: each has one fault, and a part of the message that names it.

import type { Model, OnnxNode } from "../../compiler/onnx/proto.js";
import { f32, i64, node } from "./foreign.js";
import { calls, names } from "./hostile_names.js";
import {
  at,
  base,
  bytes,
  external,
  graph,
  type Hostile,
  int,
  loop,
  model,
  of,
  one,
  raw,
  scalar,
  tag,
  tail,
  varint,
  withAttribute,
  withFields,
  withInput,
  withTensor,
} from "./hostile_parts.js";

/** Types, extents and attributes. */
const sizes: Readonly<Record<string, Hostile>> = {
  "a negative extent of an input": raw(
    () =>
      withFields(
        bytes(1, bytes(1, "x"), bytes(2, "y"), bytes(4, "Relu")),
        bytes(11, bytes(1, "x"), bytes(2, bytes(1, int(1, 1), bytes(2, bytes(1, int(1, 2n ** 64n - 5n)))))),
        bytes(12, bytes(1, "y"), bytes(2, bytes(1, int(1, 1)))),
      ),
    /an extent of input x is negative: -5/,
  ),
  "a huge extent of an input": of(() => withInput([2 ** 50, 3]), /input x would take \d+ bytes/),
  "many huge extents of an input": of(() => withInput([2 ** 50, 2 ** 50, 2 ** 50]), /input x would take/),
  "17 axes of an input": of(() => withInput(Array(17).fill(1)), /input x has 17 axes/),
  "an open extent": of(() => withInput(["N", 3]), /input x leaves the extent N open/),
  "an input of another type": of(() => withInput([2, 3], "i64"), /node of y .*operator Relu|declared/),
  "an output of another type": of(
    () => ({ ...base, graph: { ...base.graph, outputs: [{ name: "y", type: "i64", shape: [2, 3] }] } }),
    /output y is declared i64/,
  ),
  "an output of another shape": of(
    () => ({ ...base, graph: { ...base.graph, outputs: [{ name: "y", type: "f32", shape: [3, 2] }] } }),
    /output y is declared f32\[3,2\]/,
  ),
  "an initializer with too few elements": of(
    () => model([node("Add", ["x", "k"], ["y"])], { k: { ...f32([3], [1, 2, 3]), dims: [300] } }),
    /initializer k: f32\[300\] takes 1200 bytes, there are 12/,
  ),
  "an initializer of 2^40 elements": of(
    () => model([node("Add", ["x", "k"], ["y"])], { k: { ...f32([3], [1, 2, 3]), dims: [2 ** 40] } }),
    /initializer k: f32\[1099511627776\] takes/,
  ),
  "operands that do not fit": of(() => one("MatMul", { k: f32([2], [1, 2]) }), /node of y \(operator MatMul/),
  "an attribute of another kind": of(
    () => withAttribute("Softmax", "axis", { kind: "string", value: "1" }),
    /operator Softmax .*attribute axis is string, not int/,
  ),
  "a list for a number": of(
    () => withAttribute("Softmax", "axis", { kind: "ints", value: [1] }),
    /attribute axis is ints, not int/,
  ),
  "a graph for a number": of(
    () => withAttribute("Softmax", "axis", { kind: "graph", value: graph([], []) }),
    /attribute axis is graph, not int/,
  ),
  "an attribute that is not known": of(
    () => withAttribute("Relu", "secret", { kind: "int", value: 1 }),
    /operator Relu .*attribute secret is not supported/,
  ),
  "an axis that is not there": of(() => one("Softmax", {}, { axis: 9 }), /operator Softmax .*axis 9/),
  "a permutation that is none": of(() => one("Transpose", {}, { perm: [0, 0] }), /operator Transpose/),
  "a shape that does not fit": of(() => one("Reshape", { k: i64([4, 4]) }), /\[2,3\] cannot be reshaped to \[4,4\]/),
  "no inputs": of(() => model([node("Relu", [], ["y"])]), /operator Relu .*input 0 is missing/),
  "a Slice with a step of 0": of(
    () => one("Slice", { a: i64([0]), b: i64([2]), c: i64([0]), d: i64([0]) }),
    /operator Slice .*a step is 0/,
  ),
  "a Slice of a constant of 2^40 extents": of(
    () =>
      model([node("Slice", ["k", "a", "b", "c"], ["y"])], {
        k: f32([0, 2 ** 40], []),
        a: i64([0]),
        b: i64([2 ** 40]),
        c: i64([1]),
      }),
    /operator Slice .*1099511627776 positions/,
  ),
  "a Slice of a huge input, every second element": of(() => {
    const m = one("Slice", { a: i64([0]), b: i64([2 ** 36]), c: i64([0]), d: i64([2]) });
    return { ...m, graph: { ...m.graph, inputs: [{ name: "x", type: "u8", shape: [2 ** 36] }] } };
  }, /operator Slice .*34359738368 positions/),
  "a Tile of 2^36 times": of(() => one("Tile", { k: i64([2 ** 36, 1]) }), /operator Tile .*137438953472 positions/),
  "a Tile of 2^30 times": of(() => one("Tile", { k: i64([2 ** 30, 1]) }), /operator Tile .*2147483648 positions/),
  "a Tile of a constant of 2^36 times": of(
    () => one("Tile", { x0: f32([1], [1]), k: i64([2 ** 36]) }, {}, "x0"),
    /operator Tile .*too large/,
  ),
  "an Expand to 2^36": of(() => one("Expand", { k: i64([2 ** 36, 2, 3]) }), /operator Expand|y would take/),
  "an Expand of a constant to 2^36": of(
    () => one("Expand", { x0: f32([1], [1]), k: i64([2 ** 36]) }, {}, "x0"),
    /operator Expand .*too large/,
  ),
  "an Expand to -1": of(() => one("Expand", { k: i64([-1, 3]) }), /operator Expand/),
  "a Range of 2^36": of(
    () => model([node("Range", ["a", "b", "c"], ["y"])], { a: scalar(0), b: scalar(2 ** 36), c: scalar(1) }),
    /operator Range .*too large/,
  ),
  "a Range with a step of 0": of(
    () => model([node("Range", ["a", "b", "a"], ["y"])], { a: scalar(0), b: scalar(2) }),
    /operator Range .*its step is 0/,
  ),
  "a ConstantOfShape of 2^36": of(
    () => model([node("ConstantOfShape", ["k"], ["y"])], { k: i64([2 ** 36]) }),
    /operator ConstantOfShape .*too large/,
  ),
  "a ConstantOfShape of -1": of(
    () => model([node("ConstantOfShape", ["k"], ["y"])], { k: i64([-1]) }),
    /operator ConstantOfShape .*\[-1\]/,
  ),
  "constants that are large together": of(
    () => together(3, (i) => [node("ConstantOfShape", ["k"], [`c${i}`])], { k: i64([2 ** 25]) }),
    /node of c2 \(operator ConstantOfShape .*with a constant f32\[33554432\], those that .* take more than \d+ bytes/,
  ),
  "Expands that are large together": of(
    () => together(100, (i) => [node("Expand", ["one", "k"], [`c${i}`])], { k: i64([2 ** 20]), one: f32([1], [7]) }),
    /node of c64 \(operator Expand .*with a constant f32\[1048576\], those that/,
  ),
  "Ranges that are large together": of(
    () =>
      together(70, (i) => [node("Range", ["zero", "k", "one"], [`c${i}`])], {
        ...{ zero: scalar(0), one: scalar(1), k: scalar(2 ** 20) },
      }),
    /node of c32 \(operator Range .*with a constant i64\[1048576\], those that/,
  ),
  "constants of a loop that are large together": of(
    () =>
      model([loop("n", graph([node("ConstantOfShape", ["k"], ["t"])], ["go", "t"]), "x", "y")], {
        n: scalar(9000),
        k: i64([2 ** 18]),
      }),
    /operator ConstantOfShape .*with a constant f32\[262144\], those that/,
  ),
  "tables that are large together": of(
    () => together(8, (i) => [node("Pad", ["x", "k"], [`c${i}`], { mode: "reflect" })], { k: i64([0, 2 ** 23, 0, 0]) }),
    /node of c1 \(operator Pad .*with its tables, those that the model makes have more than 16777216 numbers/,
  ),
  "a mean over windows at 2^31 positions": of(
    () => large("AveragePool", [1, 1, 5, 2 ** 31], { kernel_shape: [5, 5], pads: [2, 2, 2, 2] }),
    /operator AveragePool .*more than 1048576 positions/,
  ),
  "a recurrent layer of 2^24 steps": of(() => {
    const weights = { w: f32([1, 4, 1], [1, 2, 3, 4]), r: f32([1, 4, 1], [1, 2, 3, 4]) };
    const m = model([node("LSTM", ["x", "w", "r"], ["y"])], weights);
    return { ...m, graph: { ...m.graph, inputs: [{ name: "x", type: "f32", shape: [2 ** 24, 1, 1] }] } };
  }, /operator LSTM .*what it makes of f32\[16777216,1,1\], .* is too large/),
  "a determinant of 2^17 rows": of(
    () => large("Det", [2 ** 17, 2 ** 17]),
    /operator Det .*what it makes of .* is too large/,
  ),
  "a filter over 2^30 elements": of(() => {
    const attrs = { mode: "linear", antialias: 1 };
    const m = one("Resize", { r: f32([0], []), k: f32([2], [1, 2 ** -30]) }, attrs);
    const inputs = [{ name: "x", type: "f32" as const, shape: [1, 2 ** 30] }];
    return { ...m, opsets: new Map([["", 18]]), graph: { ...m.graph, inputs } };
  }, /operator Resize .*more than 4096 elements/),
  "a Resize to 2^30 positions": of(
    () => one("Resize", { r: f32([0], []), k: f32([2], [1, 2 ** 29]) }, { mode: "linear" }),
    /operator Resize .*more than 16777216 elements along an axis/,
  ),
  "a grid of 12 axes": of(() => {
    const axes = Array<number>(13).fill(1);
    const m = model([node("GridSample", ["x", "k"], ["y"])], { k: f32([1, ...axes, 13], Array<number>(13).fill(0)) });
    const inputs = [{ name: "x", type: "f32" as const, shape: [1, 1, ...axes] }];
    return { ...m, opsets: new Map([["", 20]]), graph: { ...m.graph, inputs } };
  }, /operator GridSample .*8192 elements/),
  "boxes of 2^40 classes without any": of(
    () => model([node("NonMaxSuppression", ["b", "s"], ["y"])], { b: f32([1, 0, 4], []), s: f32([1, 2 ** 40, 0], []) }),
    /operator NonMaxSuppression .*too large/,
  ),
  "the different rows of 2^40 empty ones": of(
    () => model([node("Unique", ["k"], ["y"], { axis: 0 })], { k: f32([2 ** 40, 0], []) }),
    /operator Unique .*too large/,
  ),
  "a Pad of 2^36": of(() => withPad("reflect", 2 ** 36), /operator Pad/),
  "a Pad of 2^30": of(() => withPad("edge", 2 ** 30), /operator Pad .*positions/),
  "a Split into 2^40 parts": of(
    () => ({ ...one("Split", {}, { num_outputs: 2 ** 40 }), opsets: new Map([["", 18]]) }),
    /operator Split .*1099511627776/,
  ),
  "a Split into 2^31 parts": of(
    () => ({ ...one("Split", {}, { num_outputs: 2 ** 31 }), opsets: new Map([["", 18]]) }),
    /operator Split .*2147483648/,
  ),
  "an Unsqueeze of 100,000 axes": of(
    () => one("Unsqueeze", { k: i64(Array.from({ length: 1e5 }, (_, i) => i)) }),
    /operator Unsqueeze .*axes/,
  ),
  "a window of 2^40": of(
    () => model([node("HannWindow", ["k"], ["y"])], { k: scalar(2 ** 40) }),
    /operator HannWindow .*too large/,
  ),
  "a spectrum without end": of(
    () =>
      model([node("MelWeightMatrix", ["a", "b", "c", "d", "e"], ["y"])], {
        a: scalar(8),
        b: scalar(16),
        c: scalar(0),
        d: f32([], [0]),
        e: f32([], [1e30]),
      }),
    /operator MelWeightMatrix .*rate/,
  ),
};

/** A model of as many parts, each of which makes a value c0, c1, ... that the output needs. */
function together(
  parts: number,
  make: (i: number) => readonly OnnxNode[],
  constants: Parameters<typeof model>[1],
): Model {
  const all = Array.from({ length: parts }, (_, i) => i);
  const sizes = all.map((i) => node("Size", [`c${i}`], [`s${i}`]));
  return model(
    [
      ...all.flatMap(make),
      ...sizes,
      node(
        "Sum",
        all.map((i) => `s${i}`),
        ["y"],
      ),
    ],
    constants,
  );
}

/** An operator on an input of a large shape. */
const large = (op: string, shape: readonly number[], attrs: Parameters<typeof node>[3] = {}): Model => {
  const m = model([node(op, ["x"], ["y"], attrs)]);
  return { ...m, graph: { ...m.graph, inputs: [{ name: "x", type: "f32", shape }] } };
};

function withPad(mode: string, n: number): Model {
  return model([{ ...node("Pad", ["x", "k"], ["y"], { mode }) }], { k: i64([n, 0, 0, 0]) });
}

/** Bytes that are no protobuf, or another one than ONNX's. */
const wire: Readonly<Record<string, Hostile>> = {
  "no bytes": raw(() => Buffer.alloc(0), /not an ONNX model/),
  "a text": raw(() => Buffer.from("not a model at all"), /not an ONNX model/),
  "no graph": raw(() => Buffer.concat([int(1, 8), bytes(8, int(2, 17))]), /the model has no graph/),
  "no operator set": raw(() => int(1, 8), /imports no version of any operators/),
  "an unknown IR version": of(() => ({ ...base, irVersion: 999 }), /its IR version is 999/),
  "an unknown operator set": of(() => ({ ...base, opsets: new Map([["", 999]]) }), /operator set 999/),
  "two operator sets of one domain": raw(
    () => tail(base, bytes(8, bytes(1, "ai.onnx"), int(2, 12))),
    /the model imports operators of ai\.onnx twice/,
  ),
  "a length beyond the file": raw(() => tail(base, tag(2, 2), varint(1e9)), /at byte \d+ .*needs 1000000000 more/),
  "a length of 2^40": raw(() => tail(base, tag(2, 2), varint(2 ** 40)), /at byte \d+ .*needs 1099511627776 more/),
  "a message that ends outside of its parent": raw(
    () => Buffer.concat([int(1, 8), bytes(8, int(2, 17), tag(1, 2), varint(40)), bytes(2, "p".repeat(60))]),
    /at byte \d+ .*needs 40 more, but .*ends at/,
  ),
  "a graph that ends outside of its parent": raw(
    () => tail(base, tag(20, 2), varint(3), tag(1, 2), varint(200), Buffer.alloc(210)),
    /at byte \d+ .*needs 200 more, but/,
  ),
  "a varint for a graph": raw(() => tail(base, int(7, 1)), /at byte \d+ field 7 .*has wire type 0/),
  "a text for a version": raw(() => tail(base, bytes(1, "8")), /at byte \d+ field 1 .*has wire type 2/),
  "four bytes for a text": raw(() => tail(base, tag(2, 5), Buffer.alloc(4)), /at byte \d+ field 2 .*wire type 5/),
  "a wire type that is not known": raw(() => tail(base, tag(90, 6)), /at byte \d+ field 90 .*wire type 6/),
  "a group": raw(() => tail(base, tag(90, 3), tag(90, 4)), /at byte \d+ field 90 .*group/),
  "the end of a group": raw(() => tail(base, tag(90, 4)), /at byte \d+ field 90 .*group/),
  "groups in groups": raw(() => Buffer.concat(Array.from({ length: 1e5 }, () => tag(30, 3))), /at byte 0 .*group/),
  "field 0": raw(() => tail(base, Buffer.from([0, 1])), /at byte \d+ .*field 0/),
  "a varint of 11 bytes": raw(
    () => tail(base, tag(5, 0), Buffer.alloc(10, 0x80), Buffer.from([1])),
    /at byte \d+ .*more than 10 bytes/,
  ),
  "a varint of 1000 bytes in a field that is not known": raw(
    () => tail(base, tag(90, 0), Buffer.alloc(1000, 0x80), Buffer.from([1])),
    /at byte \d+ .*more than 10 bytes/,
  ),
  "packed floats of 7 bytes": raw(
    () => withTensor(int(1, 2), int(2, 1), bytes(4, Buffer.alloc(7))),
    /at byte \d+ field 4 .*7 bytes/,
  ),
  "packed integers that are cut off": raw(
    () => withTensor(int(1, 1), int(2, 7), bytes(7, Buffer.from([0x80]))),
    /at byte \d+ .*needs 1 more, but/,
  ),
  "types of types": raw(() => {
    let type: Buffer = bytes(1, int(1, 1));
    for (let i = 0; i < 500; i++) type = bytes(4, bytes(1, type));
    return withFields(bytes(11, bytes(1, "x"), bytes(2, type)));
  }, /nested too deeply/),
  "elements twice": raw(
    () => withTensor(int(1, 2), int(2, 1), bytes(9, Buffer.alloc(8)), bytes(4, Buffer.alloc(8))),
    /initializer w: .*raw_data and float_data/,
  ),
  "elements of another type": raw(
    () => withTensor(int(1, 2), int(2, 1), bytes(5, Buffer.from([1, 2]))),
    /initializer w: f32\[2\] takes 8 bytes, there are 0|initializer w: .*int32_data/,
  ),
  "elements here and elsewhere": raw(
    () =>
      withTensor(
        ...[int(1, 2), int(2, 1), int(14, 1), bytes(9, Buffer.alloc(8))],
        bytes(13, bytes(1, "location"), bytes(2, "beside.data")),
        bytes(13, bytes(1, "length"), bytes(2, "8")),
      ),
    /initializer w: .*raw_data/,
  ),
  "a type of element that is not known": raw(
    () => withTensor(int(1, 2), int(2, 99)),
    /initializer w has element type 99/,
  ),
  "an extent of -1": raw(() => withTensor(int(1, 2n ** 64n - 1n), int(2, 1)), /an extent of initializer w is negative/),
};

/** Data in other files; `beside.data` has 16 bytes, `link.data` is a link to it, `pipe.data` a pipe. */
const files: Readonly<Record<string, Hostile>> = {
  "a path upwards": raw(() => at("../beside.data"), /initializer w is in "\.\.\/beside\.data", which is not the name/),
  "an absolute path": raw(() => at("/etc/passwd"), /initializer w is in "\/etc\/passwd", which is not the name/),
  "a path of Windows": raw(() => at("..\\beside.data"), /which is not the name of a file/),
  "the folder above": raw(() => at(".."), /which is not the name of a file/),
  "the folder itself": raw(() => at("."), /which is not/),
  "a name with a 0": raw(() => at("a\0b"), /which is not the name of a file/),
  "no file": raw(() => at("nothing.data"), /initializer w is in nothing\.data, which is not a file/),
  "no location": raw(() => external({ offset: "0", length: "8" }), /the file of initializer w is missing/),
  "a symbolic link": raw(() => at("link.data"), /initializer w is in link\.data, which is a symbolic link/),
  "a pipe": raw(() => at("pipe.data"), /initializer w is in pipe\.data, which is not a file/),
  "an offset beyond the file": raw(() => at("beside.data", "12"), /at bytes 12 to 20 of beside\.data, which has 16/),
  "an offset of 2^52": raw(() => at("beside.data", String(2 ** 52)), /at bytes 4503599627370496 to/),
  "an offset of 2^64": raw(() => at("beside.data", String(2n ** 64n)), /offset of initializer w/),
  ...Object.fromEntries(
    ["", " 0", "0x0", "0e3", "-1", "+1", "0.0", "Infinity", "٠"].map((n) => [
      `the offset ${JSON.stringify(n)}`,
      raw(() => at("beside.data", n), /offset of initializer w is .*, not decimal digits/),
    ]),
  ),
  ...Object.fromEntries(
    ["", "0x8", "8e0", "-8"].map((n) => [
      `the length ${JSON.stringify(n)}`,
      raw(() => at("beside.data", "0", n), /length of initializer w is .*, not decimal digits/),
    ]),
  ),
  "a length of another size": raw(() => at("beside.data", "0", "12"), /f32\[2\] takes 8 bytes, there are 12/),
};

/** All bad models by what is wrong with them. */
export const hostile: Readonly<Record<string, Hostile>> = { ...names, ...calls, ...sizes, ...wire, ...files };
