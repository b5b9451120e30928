// node native_build.js FOLDER: builds the native part of an installed package into FOLDER of the cache. If another
// process builds it, this one waits. Everything is made in a temporary folder beside it, which is renamed when it is
// complete, so two builders at once do no harm. Prints progress; the reason of a failure goes to file descriptor 3.

import { rmSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { explainFull } from "../util/cache.js";
import { jobs, missingPackages } from "../util/host.js";
import { waitForLock } from "../util/lock.js";
import { beginBeside, endBeside } from "../util/own.js";
import { root } from "../util/root.js";
import { run, Stopped, startTool, underNohup } from "../util/run.js";
import { isComplete } from "./native.js";

const KIND = "native part";
const LOOK_MS = 200; // between looks whether the parent is still there
const TAIL = 4000; // characters of a failed build that are shown

async function main(folder: string): Promise<void> {
  const release = waitForLock(`${folder}.lock`, "build of moproc's native part");
  try {
    if (!isComplete(folder)) await build(folder);
  } finally {
    release();
  }
}

async function build(folder: string): Promise<void> {
  const missing = missingPackages();
  if (missing.length > 0)
    throw new Error(
      `moproc's native part cannot be built: install ${missing.join(", ")} ` +
        `(Debian, Ubuntu: sudo apt-get install -y ${missing.join(" ")})` +
        (missing.includes("g++") && process.env.CXX ? `, or correct CXX: \`${process.env.CXX}\` compiles nothing` : ""),
    );
  const work = beginBeside(folder, KIND); // removes what killed builders left
  const start = performance.now();
  try {
    say(`building moproc's native part, once, into ${folder}\n`);
    const made = join(work, "build");
    const headers = createRequire(join(root, "package.json"))("node-api-headers") as { readonly include_dir: string };
    const options = ["-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_UNITY_BUILD=ON", "-DMOPROC_PACKAGE=ON"];
    const addon = [`-DCMAKE_JS_INC=${headers.include_dir}`, `-DNODE=${process.execPath}`];
    await run(["cmake"], ["-S", root, "-B", made, ...options, ...addon]);
    await make(made);
    await run(["cmake"], ["--install", made, "--prefix", work]);
    rmSync(made, { recursive: true });
    endBeside(work, folder, KIND);
    say(`\rbuilt moproc's native part in ${((performance.now() - start) / 1000).toFixed(0)} s\n`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** cmake --build with its percentage on the terminal. Rejects with the end of its output. */
function make(folder: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = startTool(["cmake"], ["--build", folder, "--parallel", `${jobs()}`]);
    let tail = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        tail = (tail + text).slice(-TAIL);
        const percent = [...text.matchAll(/^\[ *(\d+)%\]/gm)].at(-1)?.[1];
        if (percent && process.stderr.isTTY) say(`\r${percent} %`);
      });
    child.on("error", reject);
    child.on("close", (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`cmake --build: ${signal ?? `exit code ${code}`}\n${tail}`)),
    );
  });
}

/** Whoever started this process waits without looking at signals (spawnSync), so a signal that ends it stops there. */
function endWithParent(): void {
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || process.kill(process.pid, "SIGTERM"), LOOK_MS).unref();
}

const say = (text: string): void => void process.stderr.write(text);

if (underNohup) process.on("SIGHUP", () => {});
endWithParent();
main(process.argv[2] as string).catch((e: Error) => {
  if (e instanceof Stopped) return;
  writeSync(3, explainFull(e).message);
  process.exitCode = 1;
});
