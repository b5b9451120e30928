// The public interface of the package `moproc/models`: layers, networks, the optimizer, and the two complete models.

export * as classifier from "./classifier.js";
export * as encoder from "./encoder.js";
export * as mopro from "./mopro.js";
export * as nn from "./nn.js";
export * as optim from "./optim.js";
export * as resnet from "./resnet.js";
export * as trunk from "./trunk.js";
export * as vit from "./vit.js";
