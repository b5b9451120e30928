// The package `moproc/models`, what a program imports: layers, ResNet, the optimizer, and the two complete models.

export * as classifier from "./classifier.js";
export * as mopro from "./mopro.js";
export * as nn from "./nn.js";
export * as optim from "./optim.js";
export * as resnet from "./resnet.js";
