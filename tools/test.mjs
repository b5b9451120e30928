// npm test: builds, then runs the native tests, the most important of them under sanitizers, and ava. Ends with
// `N passed, N failed` and fails when a test fails, a runner breaks, or nothing ran. Arguments choose: --lint,
// --native, --js, --sanitize, or file patterns; --long takes the longer tests instead (*.long.test.ts).

import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { allSteps, native, root, runSteps } from "./setup/steps.mjs";
import { nativeTests, runNative } from "./testing/native.mjs";
import { sanitize } from "./testing/sanitize.mjs";
import { checkStyle, STYLE_TOOLS } from "./testing/style.mjs";
import { newCount, summary, tap } from "./testing/tap.mjs";

const patterns = process.argv.slice(2).filter((a) => !a.startsWith("--"));
const only = (part) => process.argv.includes(`--${part}`);
const runs = (part) => only(part) || !["lint", "native", "js", "sanitize", "long"].some(only);
const wanted = (file) => patterns.length === 0 || patterns.some((p) => file.includes(p));
const count = newCount();

runSteps(allSteps({ tests: runs("native") ? true : "js" })); // sanitizers have builds of their own
const start = performance.now();
if (runs("lint") && patterns.length === 0) lint(count);
if (runs("native"))
  await runNative(
    count,
    nativeTests(native, wanted).map((f) => ({ name: f.slice(native.length + 1), command: [f] })),
  );
if (runs("sanitize")) await sanitize(count, { small: true, wanted });
if (runs("js") || only("long")) {
  const files = readdirSync(join(root, "build", "js", "test"), { recursive: true })
    .filter((f) => f.endsWith(".test.js") && f.endsWith(".long.test.js") === only("long") && wanted(f))
    .map((f) => join("build/js/test", f));
  if (files.length > 0) {
    const ava = join(root, "node_modules", "ava", "entrypoints", "cli.mjs");
    await tap(count, "ava", process.execPath, [
      ava,
      "--tap",
      "--concurrency",
      String(availableParallelism()),
      ...files,
    ]);
  }
}
summary(count, start);

/** The rules and the format of all sources, one test for each tool. */
function lint(count) {
  const findings = checkStyle();
  for (const { what, text } of findings)
    console.log(`  FAILED ${what}; npm run lint -- --write mends the format\n${text.slice(0, 20000)}`);
  count.failed += findings.length;
  count.passed += STYLE_TOOLS - findings.length;
}
