// npm run build: builds everything that a fresh clone needs, each part only if it is out of date. `--js`: TypeScript
// only. `--native`: only the C++ parts, with the native tests. `--native-js`: only the C++ parts, with those that the
// tests in JavaScript need, without the native tests. All other parts must have been built.

import { addon, allSteps, nativeLibraries, nodeModules, runSteps, typescript } from "./setup/steps.mjs";

const only = (part) => process.argv.includes(`--${part}`);
const js = [
  ["npm packages", nodeModules],
  ["compiler (TypeScript)", () => typescript({ tests: true })],
];
const native = (tests) => [
  ["runtime (C++)", () => nativeLibraries({ tests })],
  ["addon (C++)", addon],
];
runSteps(only("js") ? js : only("native") ? native(true) : only("native-js") ? native("js") : allSteps());
