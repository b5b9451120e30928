// npm run build: everything a fresh clone needs, each part only where it is out of date. `--js`: TypeScript only.
// `--native`: only what is compiled from C++, with the native tests; `--native-js`: with what the tests in JavaScript
// need, without the native tests. The rest must be there already.

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
