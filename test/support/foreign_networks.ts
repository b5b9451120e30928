// Small classifiers as other programs write them: their operators, constants and habits (a batch of one size, shapes as
// constants, probabilities at the end), with weights from a fixed sequence.

import { elements } from "../../compiler/ir/types.js";
import { type Model, type OnnxNode, type Tensor, tensorOf } from "../../compiler/onnx/model.js";
import { type Attrs, foreignModel, i64, node } from "./foreign.js";

export const CLASSES = 10; // of the classifiers as they are before training

/** A model that is written node by node. */
class Writer {
  readonly nodes: OnnxNode[] = [];
  readonly constants: Record<string, Tensor> = {};
  private state = 1;

  /** A number of about a normal distribution (mulberry32, four numbers added). */
  private normal(): number {
    let sum = 0;
    for (let i = 0; i < 4; i++) {
      this.state = (this.state + 0x6d2b79f5) | 0;
      let t = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      sum += ((t ^ (t >>> 14)) >>> 0) / 2 ** 32 - 0.5;
    }
    return sum * Math.sqrt(3);
  }

  add(op: string, inputs: readonly string[], out: string, attrs: Attrs = {}): string {
    this.nodes.push({ ...node(op, inputs, [out], attrs), name: out });
    return out;
  }

  constant(name: string, t: Tensor): string {
    this.constants[name] = t;
    return name;
  }
  filled(name: string, dims: readonly number[], value: number): string {
    return this.constant(name, tensorOf(name, "f32", dims, new Float32Array(elements(dims)).fill(value)));
  }
  /** Weights whose products keep the size of their operands, as He et al. (2015) draw them. */
  weight(name: string, dims: readonly number[], fan = elements(dims.slice(1))): string {
    const std = Math.sqrt(2 / fan);
    return this.constant(
      name,
      tensorOf(
        name,
        "f32",
        dims,
        Float32Array.from({ length: elements(dims) }, () => std * this.normal()),
      ),
    );
  }

  conv(x: string, at: string, dims: readonly number[], attrs: Attrs, bias = true): string {
    const w = this.weight(`${at}.weight`, dims);
    const b = bias ? [this.weight(`${at}.bias`, [dims[0] as number], 50)] : [];
    return this.add("Conv", [x, w, ...b], `${at}/out`, attrs);
  }
  norm(x: string, at: string, channels: number): string {
    const tables = [
      this.filled(`${at}.weight`, [channels], 1),
      this.filled(`${at}.bias`, [channels], 0),
      this.filled(`${at}.running_mean`, [channels], 0),
      this.filled(`${at}.running_var`, [channels], 1),
    ];
    return this.add("BatchNormalization", [x, ...tables], `${at}/out`, { epsilon: "0.001", momentum: "0.9" });
  }
  linear(x: string, at: string, inputs: number, outputs: number): string {
    const w = this.weight(`${at}.weight`, [inputs, outputs], inputs);
    const y = this.add("MatMul", [x, w], `${at}/product`);
    return this.add("Add", [y, this.filled(`${at}.bias`, [outputs], 0)], `${at}/out`);
  }

  model(inputs: Readonly<Record<string, readonly (number | string)[]>>, output: string): Model {
    return foreignModel({ nodes: this.nodes, constants: this.constants, inputs, outputs: [output] });
  }
}

const pads = (n: number): Attrs => ({ pads: [n, n, n, n], kernel_shape: [2 * n + 1, 2 * n + 1] });

/** Residual blocks with BatchNormalization, Flatten and Gemm; any batch, as PyTorch exports with dynamic axes. */
export function residual(size = 32): Model {
  const w = new Writer();
  let x = w.conv("input", "conv1", [8, 3, 3, 3], { ...pads(1), strides: [2, 2] }, false);
  x = w.add("Relu", [w.norm(x, "bn1", 8)], "relu1");
  let y = w.conv(x, "layer1.conv1", [8, 8, 3, 3], pads(1), false);
  y = w.add("Relu", [w.norm(y, "layer1.bn1", 8)], "layer1/relu1");
  y = w.norm(w.conv(y, "layer1.conv2", [8, 8, 3, 3], pads(1), false), "layer1.bn2", 8);
  x = w.add("Relu", [w.add("Add", [x, y], "layer1/sum")], "layer1/relu2");
  x = w.add("MaxPool", [x], "pool", { kernel_shape: [2, 2], strides: [2, 2] });
  x = w.add("Flatten", [w.add("GlobalAveragePool", [x], "gap")], "flat");
  const fc = [w.weight("fc.weight", [CLASSES, 8]), w.filled("fc.bias", [CLASSES], 0)];
  return w.model({ input: ["N", 3, size, size] }, w.add("Gemm", [x, ...fc], "logits", { transB: 1 }));
}

/** Fire modules; the classifier is a convolution before the pooling, probabilities follow; one image, any size. */
export function squeezing(size = 32): Model {
  const w = new Writer();
  let x = w.add("Relu", [w.conv("data_0", "conv1", [8, 3, 3, 3], { ...pads(1), strides: [2, 2] })], "relu1");
  for (const [i, inputs] of [8, 16].entries()) {
    const at = `fire${i + 2}`;
    const s = w.add("Relu", [w.conv(x, `${at}.squeeze`, [4, inputs, 1, 1], {})], `${at}/squeezed`);
    const e1 = w.add("Relu", [w.conv(s, `${at}.expand1`, [8, 4, 1, 1], {})], `${at}/one`);
    const e3 = w.add("Relu", [w.conv(s, `${at}.expand3`, [8, 4, 3, 3], pads(1))], `${at}/three`);
    x = w.add("Concat", [e1, e3], `${at}/joined`, { axis: 1 });
  }
  x = w.add("Dropout", [x], "drop");
  x = w.add("Relu", [w.conv(x, "conv10", [CLASSES, 16, 1, 1], {})], "relu10");
  x = w.add("GlobalAveragePool", [x], "gap");
  x = w.add("Reshape", [x, w.constant("shape", i64([1, CLASSES]))], "scores");
  return w.model({ data_0: [1, 3, size, size] }, w.add("Softmax", [x], "probabilities", { axis: 1 }));
}

/** Depthwise and grouped convolutions with BatchNormalization and HardSwish; a Reshape made for one image. */
export function mobile(size = 32): Model {
  const w = new Writer();
  const block = (x: string, at: string, inputs: number, outputs: number, group: number, stride: number): string => {
    const d = w.conv(
      x,
      `${at}.depthwise`,
      [inputs, 1, 3, 3],
      { ...pads(1), strides: [stride, stride], group: inputs },
      false,
    );
    const a = w.add("HardSwish", [w.norm(d, `${at}.bn1`, inputs)], `${at}/swish`);
    const p = w.conv(a, `${at}.pointwise`, [outputs, inputs / group, 1, 1], { group }, false);
    return w.norm(p, `${at}.bn2`, outputs);
  };
  let x = w.conv("image", "stem", [8, 3, 3, 3], { ...pads(1), strides: [2, 2] }, false);
  x = w.add("HardSwish", [w.norm(x, "stem.bn", 8)], "stem/swish");
  x = block(x, "block1", 8, 16, 1, 2);
  x = block(x, "block2", 16, 16, 2, 1);
  x = w.add("Clip", [x, w.filled("zero", [], 0), w.filled("six", [], 6)], "relu6");
  x = w.add("ReduceMean", [x], "mean", { axes: [2, 3], keepdims: 1 });
  x = w.add("Reshape", [x, w.constant("flat", i64([1, -1]))], "row");
  return w.model({ image: [1, 3, size, size] }, w.linear(x, "head", 16, CLASSES));
}

/** Patches, a class token, attention by MatMul and Softmax, LayerNormalization, Gelu as Erf; one image. */
export function transformer(size = 32): Model {
  const [dim, heads, tokens] = [16, 2, (size / 8) ** 2];
  const w = new Writer();
  const layerNorm = (x: string, at: string): string =>
    w.add(
      "LayerNormalization",
      [x, w.filled(`${at}.weight`, [dim], 1), w.filled(`${at}.bias`, [dim], 0)],
      `${at}/out`,
      { epsilon: "0.00001" },
    );
  const shape = (name: string, ...xs: number[]): string => w.constant(name, i64(xs));
  let x = w.conv("pixels", "patch", [dim, 3, 8, 8], { kernel_shape: [8, 8], strides: [8, 8] });
  x = w.add("Reshape", [x, shape("patches", 1, dim, tokens)], "patch/flat");
  x = w.add("Transpose", [x], "patch/tokens", { perm: [0, 2, 1] });
  x = w.add("Concat", [w.weight("cls_token", [1, 1, dim], dim), x], "tokens", { axis: 1 });
  x = w.add("Add", [x, w.weight("pos_embed", [1, tokens + 1, dim], 100)], "embedded");
  const n1 = layerNorm(x, "norm1");
  const split = shape("split", 1, tokens + 1, heads, dim / heads);
  const part = (name: string, perm: number[]): string => {
    const y = w.add("Reshape", [w.linear(n1, name, dim, dim), split], `${name}/split`);
    return w.add("Transpose", [y], `${name}/heads`, { perm });
  };
  const [q, k, v] = [part("q", [0, 2, 1, 3]), part("k", [0, 2, 3, 1]), part("v", [0, 2, 1, 3])];
  const scores = w.add("Mul", [w.add("MatMul", [q, k], "qk"), w.filled("scale", [], (dim / heads) ** -0.5)], "scores");
  let y = w.add("MatMul", [w.add("Softmax", [scores], "attention", { axis: -1 }), v], "mixed");
  y = w.add("Transpose", [y], "mixed/tokens", { perm: [0, 2, 1, 3] });
  y = w.add("Reshape", [y, shape("joined", 1, tokens + 1, dim)], "mixed/joined");
  x = w.add("Add", [x, w.linear(y, "proj", dim, dim)], "residual1");
  y = w.linear(layerNorm(x, "norm2"), "mlp1", dim, 2 * dim);
  const erf = w.add("Erf", [w.add("Div", [y, w.filled("root", [], Math.SQRT2)], "gelu/div")], "gelu/erf");
  y = w.add("Mul", [y, w.add("Add", [erf, w.filled("one", [], 1)], "gelu/add")], "gelu/mul");
  y = w.add("Mul", [y, w.filled("half", [], 0.5)], "gelu/out");
  x = w.add("Add", [x, w.linear(y, "mlp2", 2 * dim, dim)], "residual2");
  x = w.add("Gather", [layerNorm(x, "norm"), w.constant("first", i64([0], []))], "class", { axis: 1 });
  return w.model({ pixels: [1, 3, size, size] }, w.linear(x, "head", dim, CLASSES));
}

export const networks = { residual, squeezing, mobile, transformer } as const;
