// All ops, one file per family. Importing this module fills the op table.

export * from "./adamw.js";
export * from "./batch_norm.js";
export * from "./channelwise.js";
export * from "./collective.js";
export * from "./constant.js";
export * from "./conv.js";
export * from "./elementwise.js";
export * from "./general/batch_matmul.js";
export * from "./general/dropout.js";
export * from "./general/map.js";
export * from "./general/sort.js";
export * from "./general/take.js";
export * from "./general/window.js";
export * from "./loss.js";
export * from "./matmul.js";
export * from "./max.js";
export * from "./move.js";
export * from "./pool.js";
export * from "./reduce.js";
export * from "./update.js";
