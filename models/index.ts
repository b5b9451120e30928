// The public interface of the package `moproc/models`: layers, ResNet, the optimizer, and the two complete models.

export * as classifier from "./classifier.js";
export * as mopro from "./mopro.js";
export * as nn from "./nn.js";
export * as optim from "./optim.js";
export * as resnet from "./resnet.js";
