// What a program imports: the graph builder, the ops, gradients, the models' building blocks, and compile().

export * as nn from "../models/nn.js";
export * as optim from "../models/optim.js";
export { grad } from "./autodiff/grad.js";
export { Builder } from "./ir/builder.js";
export { evaluate } from "./ir/evaluate.js";
export { NdArray } from "./ir/nd.js";
export { print } from "./ir/print.js";
export type { Attrs, DType, Graph, Init, Node, Role, State, Target, TensorType, Value } from "./ir/types.js";
export { verify } from "./ir/verify.js";
export * as ops from "./ops/index.js";
export { type CompileOptions, compile, lower } from "./pipeline.js";
