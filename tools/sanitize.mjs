// npm run test:sanitize: the native tests under AddressSanitizer and UndefinedBehaviorSanitizer, those of threads under
// ThreadSanitizer. --small: what npm test runs of it. --build: builds only. Other arguments are patterns of program
// names.

import { allSteps, runSteps, systemPackages } from "./setup/steps.mjs";
import { sanitize } from "./testing/sanitize.mjs";
import { newCount, summary } from "./testing/tap.mjs";

const small = process.argv.includes("--small");
const patterns = process.argv.slice(2).filter((a) => !a.startsWith("--"));
const buildOnly = process.argv.includes("--build");
const count = newCount();

// All of it needs the compiled TypeScript: shapes of the convolutions' tests come from there.
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
