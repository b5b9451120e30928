// npm test: builds, then runs the native tests and ava, and counts what they report. Ends with `N passed, N failed`
// and fails when a test fails, a runner breaks, or nothing ran. Arguments choose: --native, --js, or file patterns; --long
// takes the longer tests instead (*.long.test.ts).

import { spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { availableParallelism } from "node:os";
import { allSteps, native, root, runSteps } from "./setup/steps.mjs";

const patterns = process.argv.slice(2).filter((a) => !a.startsWith("--"));
const only = (part) => process.argv.includes(`--${part}`);
const count = { passed: 0, failed: 0, skipped: [] };

/** Runs a TAP producer; prints failures with their details, counts the rest. */
function tap(name, command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    const start = performance.now();
    const seen = { ok: 0, failed: 0, planned: undefined };
    let rest = "";
    let stderr = "";
    let showing = false;
    const line = (text) => {
      const result = /^(not )?ok\b\s*(\d*)\s*-?\s*(.*)$/.exec(text);
      const plan = /^1\.\.(\d+)/.exec(text);
      if (plan) seen.planned = Number(plan[1]);
      if (!result) return showing && console.log(`    ${text}`);
      const [, not, , what] = result;
      showing = false;
      if (/# (SKIP|TODO)/i.test(what)) count.skipped.push(`${name}: ${what.replace(/# (SKIP|TODO)\s*/i, "- ")}`);
      else if (not) {
        seen.failed++;
        showing = true;
        console.log(`  FAILED ${name}: ${what}`);
      } else seen.ok++;
    };
    child.stdout.on("data", (d) => {
      const lines = (rest + d).split("\n");
      rest = lines.pop();
      for (const l of lines) line(l);
    });
    child.stderr.on("data", (d) => (stderr += d));
    child.on("error", (e) => (stderr += e.message));
    child.on("close", (code, signal) => {
      if (rest) line(rest);
      const ran = seen.ok + seen.failed;
      count.passed += seen.ok;
      count.failed += seen.failed;
      if ((code !== 0 && seen.failed === 0) || (ran === 0 && code === 0 && seen.planned !== 0)) {
        count.failed++;
        console.log(`  FAILED ${name}: the runner ended with ${signal ?? `exit code ${code}`} after ${ran} tests\n${stderr.slice(-4000)}`);
      }
      console.log(`${name}: ${seen.ok} passed, ${seen.failed} failed, ${((performance.now() - start) / 1000).toFixed(1)} s`);
      resolve();
    });
  });
}

/** Native test programs: executables named *_test below build/native. */
function nativeTests() {
  const all = readdirSync(native, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile() && /_test(_v\d)?$/.test(e.name))
    .map((e) => join(e.parentPath, e.name))
    .filter((f) => (statSync(f).mode & 0o111) !== 0);
  return all.sort().filter((f) => patterns.length === 0 || patterns.some((p) => f.includes(p)));
}

runSteps(allSteps({ tests: true }));
const start = performance.now();
if (!only("js") && !only("long")) {
  const waiting = nativeTests();
  const worker = async () => {
    for (let f; (f = waiting.shift()); ) await tap(f.slice(native.length + 1), f, []);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}
if (!only("native")) {
  const files = readdirSync(join(root, "build", "js", "test"), { recursive: true })
    .filter((f) => f.endsWith(".test.js") && f.endsWith(".long.test.js") === only("long") && (patterns.length === 0 || patterns.some((p) => f.includes(p))))
    .map((f) => join("build/js/test", f));
  if (files.length > 0) {
    const ava = join(root, "node_modules", "ava", "entrypoints", "cli.mjs");
    await tap("ava", process.execPath, [ava, "--tap", "--concurrency", String(availableParallelism()), ...files]);
  }
}
for (const s of count.skipped) console.log(`skipped: ${s}`);
console.log(`tests took ${((performance.now() - start) / 1000).toFixed(0)} s`);
if (count.passed + count.failed === 0) {
  console.log("no test ran");
  process.exitCode = 1;
}
if (count.failed > 0) process.exitCode = 1;
const skipped = count.skipped.length > 0 ? `, ${count.skipped.length} skipped` : "";
console.log(`${count.passed} passed, ${count.failed} failed${skipped}`);
