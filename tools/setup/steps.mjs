// The steps that a fresh clone needs before anything else can run. Plain JavaScript without dependencies, because it
// runs first. Every step first checks if it is needed, so that a second run takes about a second.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { SetupError } from "../../compiler/util/errors.mjs";
import { jobs, missingOptionalPackages, missingPackages } from "../../compiler/util/host.mjs";
import { waitForLock } from "../../compiler/util/lock.mjs";
import { cpuSeconds, record } from "./times.mjs";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
export const native = join(root, "build", "native");

/** The paths at which the tests look for a browser (test/support/browser.ts). */
export const browsers = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export { SetupError };

/** Runs a command and shows its output. Throws if it fails. */
export function sh(command, args, options = {}) {
  const r = spawnSync(command, args, { cwd: root, stdio: "inherit", ...options });
  if (r.error) throw new SetupError(`${command}: ${r.error.message}`);
  if (r.status !== 0) throw new SetupError(`${command} ${args.join(" ")}: exit code ${r.status ?? r.signal}`);
}

/** Runs a command and shows its output only if it fails. */
export function quiet(command, args, options = {}) {
  const r = spawnSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 28, ...options });
  if (r.error) throw new SetupError(`${command}: ${r.error.message}`);
  if (r.status !== 0)
    throw new SetupError(`${command} ${args.join(" ")}: exit code ${r.status ?? r.signal}\n${r.stdout}${r.stderr}`);
  return r.stdout;
}

/**
 * The flag with which a new build folder compiles files of a target together, in half of the time, because most of it
 * goes into headers. After an edit one file alone is compiled faster: `cmake -DCMAKE_UNITY_BUILD=OFF build/native`.
 */
export const unity = ["-DCMAKE_UNITY_BUILD=ON"];

const has = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;

/** Whether packages can be installed here: the user is root and there is apt-get. */
export const canInstall = () => process.getuid?.() === 0 && has("apt-get");

/** Installs missing compilers and libraries if canInstall(); otherwise throws SetupError with the line to run. */
export function systemPackages({ tests = false } = {}) {
  const missing = missingPackages();
  if (canInstall()) missing.push(...missingOptionalPackages());
  // Open MPI, for ranks. With it the plugin is built and tested; without it the tests are skipped.
  if (tests && canInstall() && !has("mpirun")) missing.push("openmpi-bin", "libopenmpi-dev");
  if (missing.length === 0) return;
  const line = `apt-get install -y ${missing.join(" ")}`;
  if (!canInstall()) {
    throw new SetupError(`missing packages; install them with\n  sudo ${line}`);
  }
  console.log(`installing ${missing.join(" ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  quiet("apt-get", ["update", "-qq"], { env });
  quiet("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing], { env });
}

/** Installs node_modules from the lock file, unless they are up to date. */
export function nodeModules() {
  const lock = readFileSync(join(root, "package-lock.json"));
  const stamp = join(root, "node_modules", ".moproc-lock");
  if (existsSync(stamp) && readFileSync(stamp).equals(lock)) return;
  console.log("installing npm packages");
  quiet("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
  writeFileSync(stamp, lock);
}

/** Compiles TypeScript to build/js: without the tests unless `tests`, so that an error in a test stops nothing else. */
export function typescript({ tests = false } = {}) {
  const project = tests ? join(root, "tsconfig.json") : join(root, "tools", "setup", "tsconfig.json");
  quiet(process.execPath, [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", project]);
}

/**
 * Builds the runtime library, the data tool and, for tests, the native tests in build/native. For tests in JavaScript
 * only (`tests: "js"`) it builds the libraries that replace a GPU, but no native tests.
 */
export function nativeLibraries({ tests = false } = {}) {
  removeForeignBuild(native);
  mkdirSync(native, { recursive: true });
  const first = existsSync(join(native, "CMakeCache.txt")) ? [] : ["-DCMAKE_BUILD_TYPE=Release", ...unity];
  quiet("cmake", ["-S", root, "-B", native, `-DMOPROC_TESTS=${tests ? "ON" : "OFF"}`, ...first]);
  const cached = statSync(join(native, "CMakeCache.txt"));
  if (!cached) throw new SetupError("cmake did not write CMakeCache.txt");
  const target = tests === "js" ? ["--target", "js_needs"] : [];
  quiet("cmake", ["--build", native, "--parallel", String(jobs()), ...target]);
}

/**
 * Removes a build folder that was made for another path, because CMake refuses it. A clone that was moved or copied is
 * therefore built again.
 */
export function removeForeignBuild(folder) {
  const cache = join(folder, "CMakeCache.txt");
  const made = existsSync(cache) && /^CMAKE_CACHEFILE_DIR:INTERNAL=(.*)$/m.exec(readFileSync(cache, "utf8"))?.[1];
  if (!made || realpathSync(folder) === made || folder === made) return;
  console.log(`${folder} was built for the path ${made} and is built again`);
  rmSync(folder, { recursive: true });
}

/** Builds the Node addon of runtime/node-cuda-rt. */
export function addon() {
  const dir = join(root, "runtime", "node-cuda-rt");
  const out = join(dir, "build", "Release", "node_cuda_rt.node");
  removeForeignBuild(join(dir, "build"));
  quiet(
    process.execPath,
    [
      join(root, "node_modules", "cmake-js", "bin", "cmake-js"),
      "build",
      "--directory",
      dir,
      "--silent",
      ...unity.map((f) => `--C${f.slice(1)}`),
    ],
    { cwd: dir },
  );
  if (!existsSync(out)) throw new SetupError(`cmake-js did not build ${out}`);
}

/**
 * Runs steps in order and prints their wall times; only one process at a time. A SetupError ends the process with 2.
 */
export function runSteps(steps) {
  const release = waitForLock(join(root, "build", ".setup-lock"), "set-up");
  try {
    for (const [name, step] of steps) {
      const [start, cpu] = [performance.now(), cpuSeconds()];
      step();
      const seconds = (performance.now() - start) / 1000;
      record("set-up", name, seconds, cpuSeconds() - cpu);
      if (seconds > 1) console.log(`${name}: ${seconds.toFixed(1)} s`);
    }
  } catch (e) {
    if (!(e instanceof SetupError)) throw e;
    console.error(`moproc: ${e.message}`);
    process.exit(2);
  } finally {
    release();
  }
}

/** The steps for everything that a command of this project needs. */
export const allSteps = (options = {}) => [
  ["system packages", () => systemPackages(options)],
  ["npm packages", nodeModules],
  ["compiler (TypeScript)", () => typescript(options)],
  ["runtime (C++)", () => nativeLibraries(options)],
  ["addon (C++)", addon],
];

export const versionOf = (command) => execFileSync(command, ["--version"], { encoding: "utf8" }).split("\n")[0];
