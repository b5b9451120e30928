// All ops. Importing this module fills the op table; an op's file is its family.

export * from "./batch_norm.js";
export * from "./channelwise.js";
export * from "./collective.js";
export { conv, conv_dgrad, conv_wgrad } from "./conv.js";
export {
  abs,
  add,
  broadcast_to,
  cast,
  constant,
  div,
  exp,
  log,
  mul,
  neg,
  relu,
  relu_grad,
  scalar,
  scale,
  sigmoid,
  sqrt,
  square,
  sub,
  tanh,
  where_finite,
} from "./elementwise.js";
export * from "./loss.js";
export * from "./matmul.js";
export * from "./move.js";
export * from "./pool.js";
export * from "./reduce.js";
export * from "./update.js";
