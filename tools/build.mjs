// npm run build: everything a fresh clone needs, each part only where it is out of date. `--js`: TypeScript only.
// `--native`: only what is compiled from C++, with the native tests; the rest must be there already.

import { addon, allSteps, nativeLibraries, nodeModules, runSteps, typescript } from "./setup/steps.mjs";

const only = (part) => process.argv.includes(`--${part}`);
const js = [
  ["npm packages", nodeModules],
  ["compiler (TypeScript)", () => typescript({ tests: true })],
];
const native = [
  ["runtime (C++)", () => nativeLibraries({ tests: true })],
  ["addon (C++)", addon],
];
runSteps(only("js") ? js : only("native") ? native : allSteps());
