// ava loads this into the process of each test file. If MOPROC_TIMES names a file, the wall and CPU seconds of this
// process and of its children are written to it when the tests have ended.

import { createRequire } from "node:module";
import { cpuSeconds, record } from "../setup/times.mjs";

export default function watch() {
  if (!process.env.MOPROC_TIMES) return;
  const { file } = createRequire(import.meta.url)("ava").meta;
  const name = file.replace(/^.*\/build\/js\/test\//, "").replace(/\.test\.js$/, "");
  process.on("exit", () => record("ava", name, process.uptime(), cpuSeconds()));
}
