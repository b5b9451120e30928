// Runs ONNX models in ONNX Runtime, an independent implementation of every operator of a model.

import * as ort from "onnxruntime-node";
import { NdArray } from "../../compiler/ir/nd.js";
import type { DType } from "../../compiler/ir/types.js";
import { elementsOf } from "../../compiler/onnx/model.js";
import { tensorFrom } from "../../compiler/onnx/numbers.js";
import { encodeModel, type Model, type ValueInfo } from "../../compiler/onnx/proto.js";
import { f16 } from "../../compiler/util/float.js";

const dtypes: Readonly<Partial<Record<DType, ort.Tensor.Type>>> = {
  f32: "float32",
  f64: "float64",
  f16: "float16",
  i64: "int64",
  i32: "int32",
  i16: "int16",
  i8: "int8",
  u64: "uint64",
  u32: "uint32",
  u16: "uint16",
  u8: "uint8",
  bool: "bool",
};

/** A session of one model. */
export class OrtModel {
  private constructor(
    readonly model: Model,
    private readonly session: ort.InferenceSession,
  ) {}

  /**
   * `more`: values that are returned besides the outputs. `optimized`: whether ONNX Runtime rewrites the graph, as it
   * does for users. For a training step that takes longer than the step itself.
   */
  static async load(model: Model, more: readonly string[] = [], optimized = true): Promise<OrtModel> {
    const session = await ort.InferenceSession.create(encodeModel(model, more), {
      logSeverityLevel: 3, // only errors: warnings report unused initializers, which a training step has
      intraOpNumThreads: 1, // threads of many sessions would spin beside other tests
      graphOptimizationLevel: optimized ? "all" : "disabled",
    });
    return new OrtModel(model, session);
  }

  /** Outputs by name. An input that is not fed has its initializer as value. */
  async run(feed: ReadonlyMap<string, NdArray>): Promise<ReadonlyMap<string, NdArray>> {
    const inputs = new Map(this.model.graph.inputs.map((v) => [v.name, v]));
    const tensors = [...feed].map(([name, x]) => [name, tensor(inputs.get(name), name, x)] as const);
    const out = await this.session.run(Object.fromEntries(tensors));
    return new Map(
      Object.entries(out).map(([name, t]) => [
        name,
        new NdArray(t.dims, Float64Array.from(t.data as ArrayLike<number>, t.type === "float16" ? f16 : Number)),
      ]),
    );
  }
}

function tensor(v: ValueInfo | undefined, name: string, x: NdArray): ort.Tensor {
  const dtype = v && dtypes[v.type as DType];
  if (!dtype) throw new Error(`${name} is no input, or of type ${v?.type}`);
  return new ort.Tensor(dtype, elementsOf(tensorFrom(v.type, x.shape, x.data)) as ort.Tensor.DataType, x.shape);
}
