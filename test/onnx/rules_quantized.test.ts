// Rules of operators on quantised numbers, beside ONNX Runtime.

import { quantized } from "../../compiler/onnx/operators/quantized.js";
import { agrees, noise, of } from "../support/agree.js";
import { agreesCompiled } from "../support/agree_compiled.js";
import { coversAll } from "../support/rule_tests.js";

const x = noise("f32", [2, 3, 4], 1, -3, 3);
const scales = of("f32", [3], [0.02, 0.05, 0.11]);
agrees("QuantizeLinear", "all types, by tensor, axis and block", [
  ...(["u8", "i8", "u16", "i16"] as const).flatMap((type, i) => [
    { opset: 21, inputs: [x, of("f32", [], [0.017]), of(type, [], [3])], outputs: [type] },
    { opset: 21, inputs: [x, scales, noise(type, [3], 2 + i, 0, 9)], outputs: [type] },
  ]),
  { opset: 10, inputs: [x, of("f32", [], [0.5])], outputs: ["u8"] },
  { opset: 13, inputs: [x, of("f32", [4], [0.01, 1, 2, 0.3])], attrs: { axis: -1 }, outputs: ["u8"] },
  {
    opset: 21,
    inputs: [noise("f32", [2, 5, 3], 7), noise("f32", [2, 3, 3], 8, 0.01, 0.1)],
    attrs: { axis: 1, block_size: 2, output_dtype: 3 },
    outputs: ["i8"],
  },
  {
    opset: 10,
    inputs: [of("f32", [8], [0.5, 1.5, 2.5, -0.5, -1.5, 300, -300, 126.5]), of("f32", [], [1]), of("i8", [], [1])],
    outputs: ["i8"],
  },
]);
agrees("DequantizeLinear", "all types, by tensor, axis and block", [
  ...(["u8", "i8", "u16", "i16"] as const).flatMap((type, i) => [
    {
      opset: 21,
      inputs: [noise(type, [2, 3, 4], 9 + i, 0, 120), of("f32", [], [0.5]), of(type, [], [3])],
      outputs: ["f32"] as const,
    },
    { opset: 21, inputs: [noise(type, [2, 3, 4], 9 + i, 0, 120), scales], outputs: ["f32"] as const },
  ]),
  { opset: 10, inputs: [noise("i32", [5], 14, -999999, 999999), of("f32", [], [0.25])], outputs: ["f32"] },
  {
    opset: 21,
    inputs: [noise("i8", [5, 2], 15, -99, 99), noise("f32", [2, 2], 16, 0.1, 1), noise("i8", [2, 2], 17, -5, 5)],
    attrs: { axis: 0, block_size: 3 },
    outputs: ["f32"],
  },
]);
agrees("DynamicQuantizeLinear", "ranges on both sides of 0 and on one", [
  { opset: 11, inputs: [noise("f32", [3, 4], 18)], outputs: ["u8", "f32", "u8"] },
  { opset: 11, inputs: [noise("f32", [7], 19, 1, 2)], outputs: ["u8", "f32", "u8"] },
  { opset: 11, inputs: [noise("f32", [7], 20, -5, -1)], outputs: ["u8", "f32", "u8"] },
]);
agrees("MatMulInteger", "zero points of tensors and columns, several matrices", [
  { opset: 10, inputs: [noise("u8", [3, 4], 21, 0, 255), noise("i8", [4, 2], 22, -128, 127)], outputs: ["i32"] },
  {
    opset: 10,
    inputs: [
      noise("u8", [2, 3, 4], 23, 0, 255),
      noise("u8", [2, 4, 2], 24, 0, 255),
      of("u8", [], [9]),
      of("u8", [], [7]),
    ],
    outputs: ["i32"],
  },
  {
    opset: 10,
    inputs: [
      noise("u8", [3, 4], 25, 0, 255),
      noise("u8", [4, 2], 26, 0, 255),
      of("u8", [1], [9]),
      of("u8", [2], [7, 8]),
    ],
    outputs: ["i32"],
  },
]);
const number = (v: number): ReturnType<typeof of> => of("f32", [], [v]);
agrees("QLinearMatMul", "by tensor and by column", [
  {
    opset: 10,
    inputs: [
      noise("u8", [2, 3, 4], 27, 0, 255),
      number(0.01),
      of("u8", [], [120]),
      noise("u8", [4, 2], 28, 0, 255),
      number(0.02),
      of("u8", [], [100]),
      number(0.07),
      of("u8", [], [128]),
    ],
  },
  {
    opset: 10,
    inputs: [
      noise("i8", [3, 4], 29, -99, 99),
      number(0.01),
      of("i8", [], [2]),
      noise("i8", [4, 2], 30, -99, 99),
      of("f32", [2], [0.02, 0.05]),
      of("i8", [2], [0, 1]),
      number(0.07),
      of("i8", [], [-3]),
    ],
  },
]);
agrees("ConvInteger", "zero points, padding, groups", [
  {
    opset: 10,
    inputs: [noise("u8", [1, 2, 5, 5], 31, 0, 255), noise("u8", [3, 2, 3, 3], 32, 0, 255), of("u8", [], [12])],
    attrs: { pads: [1, 1, 1, 1] },
    outputs: ["i32"],
  },
  {
    opset: 10,
    inputs: [
      noise("u8", [1, 2, 5, 5], 33, 0, 255),
      noise("u8", [2, 1, 3, 3], 34, 0, 255),
      of("u8", [], [12]),
      of("u8", [], [5]),
    ],
    attrs: { group: 2, strides: [2, 2] },
    outputs: ["i32"],
  },
]);
agrees("QLinearConv", "scales by tensor and by output, a bias", [
  {
    opset: 10,
    inputs: [
      noise("u8", [1, 2, 5, 5], 35, 0, 255),
      number(0.02),
      of("u8", [], [12]),
      noise("u8", [3, 2, 3, 3], 36, 0, 255),
      number(0.01),
      of("u8", [], [99]),
      number(0.11),
      of("u8", [], [88]),
      noise("i32", [3], 37, -999, 999),
    ],
    constant: [1, 2, 3, 4, 5, 6, 7, 8],
    attrs: { pads: [1, 0, 1, 2] },
  },
  {
    opset: 10,
    inputs: [
      noise("i8", [1, 2, 6], 38, -128, 127),
      number(0.02),
      of("i8", [], [3]),
      noise("i8", [2, 2, 3], 39, -99, 99),
      of("f32", [2], [0.01, 0.03]),
      of("i8", [2], [0, 0]),
      number(0.2),
      of("i8", [], [-5]),
    ],
    constant: [1, 2, 3, 4, 5, 6, 7],
  },
]);

agreesCompiled("rules_quantized");
coversAll(quantized);
