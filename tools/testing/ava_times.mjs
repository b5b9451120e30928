// Loaded by ava into the process of each test file. Where MOPROC_TIMES names a file, the wall and CPU seconds of this
// process and of its children are appended to it when the tests have ended.

import { appendFileSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";

/** CPU seconds of this process and of the children it has waited for (Linux counts them in hundredths of a second). */
function cpuSeconds() {
  const fields = readFileSync("/proc/self/stat", "utf8").replace(/^.*\) /s, "").split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

export default function watch() {
  const log = process.env.MOPROC_TIMES;
  if (!log) return;
  const { file } = createRequire(import.meta.url)("ava").meta;
  const name = file.replace(/^.*\/build\/js\/test\//, "").replace(/\.test\.js$/, "");
  process.env.MOPROC_TIMES_FOR = name; // what compilers that this file starts are counted for
  process.on("exit", () => {
    const record = { part: "ava", name, wall: process.uptime(), cpu: cpuSeconds() };
    appendFileSync(log, `${JSON.stringify(record)}\n`);
  });
}
