// Set-up that only some tests need. It runs in the background. A failure is printed but stops nothing; the tests that
// need what is missing are skipped by name.

import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { browsers, canInstall, root } from "./steps.mjs";
import { record } from "./times.mjs";

/** Runs a command. If it fails, rejects with the last line that it printed. */
function run(command, args, env = process.env) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (d) => (text += d));
    child.on("error", (e) => reject(new Error(`${command}: ${e.message}`)));
    child.on("close", (code) =>
      code === 0 ? resolve() : reject(new Error(text.trim().split("\n").at(-1) || `exit code ${code}`)),
    );
  });
}

/** Installs PyTorch, NumPy and the ONNX checker of test/requirements.txt in the virtual environment build/python. */
export async function pythonModules() {
  const wanted = readFileSync(join(root, "test", "requirements.txt"));
  const folder = join(root, "build", "python");
  const stamp = join(folder, "installed.txt");
  if (existsSync(stamp) && readFileSync(stamp).equals(wanted)) return;
  rmSync(folder, { recursive: true, force: true });
  await run("python3", ["-m", "venv", folder]);
  const quick = ["--retries", "1", "--timeout", "20", "--no-compile", "--disable-pip-version-check"];
  const file = join("test", "requirements.txt");
  await run(join(folder, "bin", "python"), ["-m", "pip", "install", "-q", ...quick, "-r", file]);
  writeFileSync(stamp, wanted);
}

/** Installs Chromium, in which the tests open pages. */
async function browser() {
  if (!canInstall() || browsers.some((b) => existsSync(b))) return;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await run("apt-get", ["update", "-qq"], env);
  await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "chromium"], env);
}

/** Starts both; resolves when they have ended, also if they fail. */
export async function startBackground() {
  const parts = [
    ["Python modules", pythonModules],
    ["browser", browser],
  ];
  await Promise.all(
    parts.map(async ([name, install]) => {
      const start = performance.now();
      await install().catch((e) => console.log(`${name}: not installed, so their tests are skipped: ${e.message}`));
      const seconds = (performance.now() - start) / 1000;
      record("set-up, in the background", name, seconds, 0);
      if (seconds > 1) console.log(`${name}: ${seconds.toFixed(1)} s in the background`);
    }),
  );
}
