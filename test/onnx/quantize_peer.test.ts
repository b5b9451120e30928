// Models of 8 bits beside those that ONNX Runtime's own tool makes (onnxruntime.quantization, in Python) of the same
// model and the same values: scales, zero points, weights and biases.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { tensorOf } from "../../compiler/onnx/model.js";
import { encodeNpy } from "../../compiler/onnx/npy.js";
import { decodeModel, encodeModel } from "../../compiler/onnx/proto.js";
import { root } from "../../compiler/util/root.js";
import { noPythonWith, pythonWith } from "../support/python.js";
import { initializer, numbers, quantizedFor } from "../support/quantized.js";
import { randomArray } from "../support/random.js";
import { randomNetwork } from "../support/random_network.js";

const program = `
import sys, numpy as np
from onnxruntime.quantization import quantize_static, CalibrationDataReader, QuantType, QuantFormat
model, values, out = sys.argv[1:]
class Reader(CalibrationDataReader):
    left = [{"image": np.load(values)}]
    def get_next(self):
        return self.left.pop() if self.left else None
quantize_static(model, out, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
`;

const python = pythonWith("onnxruntime", "onnx");
const title = "the same numbers as onnxruntime.quantization";
const named = python === undefined ? `${title}: ${noPythonWith("onnxruntime", "onnx")}` : title;
(python === undefined ? test.skip : test)(named, async (t) => {
  mkdirSync(join(root, "build", "test"), { recursive: true });
  const scratch = mkdtempSync(join(root, "build", "test", "quantize-"));
  t.teardown(() => rmSync(scratch, { recursive: true, force: true }));
  const at = (name: string): string => join(scratch, name);
  const full = randomNetwork("resnet10", "classifier", "float", false, 17);
  const x = randomArray([4, 3, 32, 32], 9, -2, 2);
  writeFileSync(at("full.onnx"), encodeModel(full));
  writeFileSync(at("x.npy"), encodeNpy(tensorOf("x", "f32", x.shape, Float32Array.from(x.data))));
  const r = spawnSync(python as string, ["-c", program, at("full.onnx"), at("x.npy"), at("peer.onnx")], {
    encoding: "utf8",
  });
  t.is(r.status, 0, r.stderr);
  const peer = decodeModel(readFileSync(at("peer.onnx")));
  const { model } = await quantizedFor(full, x, "minmax");
  const seen = { values: 0, weights: 0, differ: 0, biases: 0 };
  for (const { name, type, dims } of model.graph.initializers) {
    const [, base, kind] = /^(.*)\/(scale|zero_point|quantized)$/.exec(name) ?? [];
    if (base === undefined || base.endsWith(".bias")) continue;
    const [own, theirs] = [numbers(model, name), numbers(peer, `${base}_${kind}`)];
    t.is(own.length, theirs.length, name);
    if (kind === "scale") {
      if (dims.length === 0) seen.values++;
      own.forEach((s, i) => void t.true(Math.abs(s / (theirs[i] as number) - 1) < 1e-5, name));
    } else if (kind === "zero_point") t.deepEqual(own, theirs, name);
    else {
      t.is(type, initializer(peer, `${base}_quantized`).type);
      seen.weights += own.length;
      seen.differ += own.filter((q, i) => q !== theirs[i]).length;
      t.true(own.every((q, i) => Math.abs(q - (theirs[i] as number)) <= 1));
    }
  }
  for (const { name } of model.graph.initializers.filter((i) => i.name.endsWith(".bias/quantized"))) {
    const theirs = numbers(peer, name.replace("/quantized", "_quantized"));
    seen.biases += theirs.length;
    numbers(model, name).forEach((q, i) => void t.true(Math.abs(q - (theirs[i] as number)) <= 2, name));
  }
  const biases = full.graph.initializers.filter((i) => i.name.endsWith(".bias"));
  t.is(
    seen.biases,
    biases.reduce((sum, b) => sum + (b.dims[0] as number), 0),
  );
  t.is(seen.values, 19);
  t.true(seen.weights > 80_000 && seen.differ < 20, JSON.stringify(seen)); // theirs rounds in f32, ours in f64
});
