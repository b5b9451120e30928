// npm run build: everything a fresh clone needs, each part only where it is out of date. `--js`: TypeScript only;
// `--tests`: the native tests, too.

import { allSteps, nodeModules, runSteps, typescript } from "./setup/steps.mjs";

const jsOnly = process.argv.includes("--js");
runSteps(
  jsOnly
    ? [
        ["npm packages", nodeModules],
        ["compiler (TypeScript)", () => typescript({ tests: true })],
      ]
    : allSteps({ tests: process.argv.includes("--tests") }),
);
