// Runs programs that print TAP and counts the tests that they report. A program that breaks, or runs no test, counts as
// a failure, too.

import { spawn } from "node:child_process";
import { root } from "../setup/steps.mjs";
import { timed } from "./times.mjs";

export const newCount = () => ({ passed: 0, failed: 0, skipped: [] });

/**
 * Runs a program that prints TAP, adds its tests to `count`, and prints failures with their details. `report`: a text
 * that is a failure if it is on stderr. `part`: the part of the table of npm test -- --times to which its time belongs.
 */
export function tap(count, name, command, args, { env = process.env, report, part } = {}) {
  return new Promise((resolve) => {
    const [program, ...words] = part ? timed(part, name, [command, ...args]) : [command, ...args];
    const child = spawn(program, words, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
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
      const found = report ? stderr.search(report) : -1;
      if (found >= 0) {
        seen.failed++;
        console.log(`  FAILED ${name}: a finding after ${ran} tests\n${stderr.slice(found, found + 20000)}`);
      } else if ((code !== 0 && seen.failed === 0) || (ran === 0 && code === 0 && seen.planned !== 0)) {
        seen.failed++;
        console.log(
          `  FAILED ${name}: the runner ended with ${signal ?? `exit code ${code}`} after ${ran} ` +
            `tests\n${stderr.slice(-4000)}`,
        );
      }
      count.passed += seen.ok;
      count.failed += seen.failed;
      console.log(
        `${name}: ${seen.ok} passed, ${seen.failed} failed, ${((performance.now() - start) / 1000).toFixed(1)} s`,
      );
      resolve();
    });
  });
}

/** Prints the last lines of a run, and sets this process's exit code to 1 if a test failed or none passed. */
export function summary(count, start) {
  for (const s of count.skipped) console.log(`skipped: ${s}`);
  console.log(`tests took ${((performance.now() - start) / 1000).toFixed(0)} s`);
  if (count.passed + count.failed === 0) console.log("no test ran");
  if (count.failed > 0 || count.passed === 0) process.exitCode = 1;
  const skipped = count.skipped.length > 0 ? `, ${count.skipped.length} skipped` : "";
  console.log(`${count.passed} passed, ${count.failed} failed${skipped}`);
}
