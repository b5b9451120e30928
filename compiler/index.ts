// The public interface of the package `moproc`: the graph builder, the ops, gradients and compile(). Layers and the
// optimizer are in `moproc/models`.

export { grad } from "./autodiff/grad.js";
export { Builder } from "./ir/builder.js";
export { evaluate } from "./ir/evaluate.js";
export { NdArray } from "./ir/nd.js";
export { print } from "./ir/print.js";
export type { Attrs, DType, Graph, Init, Node, Role, State, Target, TensorType, Value } from "./ir/types.js";
export { verify } from "./ir/verify.js";
export * as ops from "./ops/index.js";
export { type CompileOptions, compile, lower } from "./pipeline.js";
