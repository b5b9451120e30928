// All ops, one file per family. Importing this module fills the op table.

export * from "./batch_norm.js";
export * from "./channelwise.js";
export * from "./collective.js";
export * from "./constant.js";
export * from "./conv.js";
export * from "./elementwise.js";
export * from "./loss.js";
export * from "./matmul.js";
export * from "./move.js";
export * from "./pool.js";
export * from "./reduce.js";
export * from "./update.js";
