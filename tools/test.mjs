// npm test: builds, then runs lint, the native tests, the most important of them under sanitizers, and ava. Ends with
// `N passed, N failed`, and fails if a test fails, a runner breaks, or nothing ran. Arguments choose parts: --lint,
// --native, --js, --sanitize, or file patterns. --long runs the longer tests instead (*.long.test.ts). --times prints a
// table of the time that each part takes; a run of everything also writes it into docs/testing.md.

import { spawn } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { startBackground } from "./setup/background.mjs";
import { native, nodeModules, root, runSteps, systemPackages, typescript } from "./setup/steps.mjs";
import { nativeTests, runNative } from "./testing/native.mjs";
import { needsNative } from "./testing/needs.mjs";
import { sanitize } from "./testing/sanitize.mjs";
import { checkStyle, STYLE_TOOLS } from "./testing/style.mjs";
import { newCount, summary, tap } from "./testing/tap.mjs";
import { startTimes } from "./testing/times.mjs";

const patterns = process.argv.slice(2).filter((a) => !a.startsWith("--"));
const only = (part) => process.argv.includes(`--${part}`);
const chosen = ["lint", "native", "js", "sanitize", "long"].some(only);
const runs = (part) => only(part) || !chosen;
const wanted = (file) => patterns.length === 0 || patterns.some((p) => file.includes(p));
const count = newCount();
const times = only("times") ? startTimes() : undefined;

runSteps([
  ["system packages", () => systemPackages({ tests: true })],
  ["npm packages", nodeModules],
  ["compiler (TypeScript)", () => typescript({ tests: true })],
]);
const start = performance.now();
mkdirSync(join(root, "build", "test"), { recursive: true });
const files = runs("js") || only("long") ? testFiles() : [];
const background = files.some(needsNative) ? startBackground() : undefined;
// The native build, with the native tests only if they run. The tests that do not need it run at the same time.
// TypeScript is not compiled again while tests run.
const built = inBackground("tools/build.mjs", runs("native") ? "--native" : "--native-js");
if (runs("lint") && patterns.length === 0) lint();
await ava(
  "ava, beside the native build",
  files.filter((f) => !needsNative(f)),
  1,
);
await built;
// The programs for the sanitizers are built while native tests run, because some of these only wait.
const instrumented = runs("sanitize")
  ? inBackground("tools/sanitize.mjs", "--small", "--build", ...patterns)
  : undefined;
if (runs("native"))
  await runNative(
    count,
    nativeTests(native, wanted).map((f) => ({ name: f.slice(native.length + 1), command: [f] })),
  );
await instrumented;
if (runs("sanitize")) await sanitize(count, { small: true, wanted });
await background;
times?.countCompilers();
// One more than there are cores, because a file waits now and then: for the disk, for processes, for clocks.
await ava("ava", files.filter(needsNative), availableParallelism() + 1);
times?.finish(!chosen && patterns.length === 0);
summary(count, start);

/** The absolute paths of ava's compiled test files that were chosen. */
function testFiles() {
  return readdirSync(join(root, "build", "js", "test"), { recursive: true })
    .filter((f) => f.endsWith(".test.js") && f.endsWith(".long.test.js") === only("long") && wanted(f))
    .map((f) => join(root, "build", "js", "test", f));
}

/** Runs test files, at most `concurrency` at a time. */
async function ava(name, chosenFiles, concurrency) {
  if (chosenFiles.length === 0) return;
  const cli = join(root, "node_modules", "ava", "entrypoints", "cli.mjs");
  await tap(count, name, process.execPath, [cli, "--tap", "--concurrency", String(concurrency), ...chosenFiles]);
}

/** Starts a script of this project. Resolves when it has ended; if it fails, this process ends with 2. */
function inBackground(script, ...args) {
  const child = spawn(process.execPath, [join(root, script), ...args], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  return new Promise((resolve) => {
    child.on("error", (e) => {
      console.error(`moproc: ${script}: ${e.message}`);
      process.exit(2);
    });
    child.on("close", (code) => (code === 0 ? resolve() : process.exit(2)));
  });
}

/** Checks the rules and the format of all sources; each tool counts as a test. */
function lint() {
  const findings = checkStyle();
  for (const { what, text } of findings)
    console.log(`  FAILED ${what}; npm run lint -- --write mends the format\n${text.slice(0, 20000)}`);
  count.failed += findings.length;
  count.passed += STYLE_TOOLS - findings.length;
}
