// npm run test:sanitize: runs the native tests under AddressSanitizer and UndefinedBehaviorSanitizer, and those with
// threads under ThreadSanitizer. --small: only the part that npm test runs. --build: only builds. Other arguments are
// patterns of program names.

import { allSteps, runSteps, systemPackages } from "./setup/steps.mjs";
import { sanitize } from "./testing/sanitize.mjs";
import { newCount, summary } from "./testing/tap.mjs";

const small = process.argv.includes("--small");
const patterns = process.argv.slice(2).filter((a) => !a.startsWith("--"));
const buildOnly = process.argv.includes("--build");
const count = newCount();

// Everything needs the compiled TypeScript, because it generates the shapes of the convolutions' tests.
runSteps(
  small ? [["system packages", systemPackages]] : allSteps({ tests: true }).filter(([name]) => !name.includes("C++")),
);
const start = performance.now();
await sanitize(count, {
  small,
  buildOnly,
  wanted: (f) => patterns.length === 0 || patterns.some((p) => f.includes(p)),
});
if (!buildOnly) summary(count, start);
