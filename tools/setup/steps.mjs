// What a fresh clone needs before anything of it can run. Plain JavaScript without dependencies, because it runs first.
// Every step looks before it works, so that a second run costs a second.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { SetupError } from "../../compiler/util/errors.mjs";
import { waitForLock } from "./lock.mjs";
import { cpuSeconds, record } from "./times.mjs";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
export const native = join(root, "build", "native");

/** Debian and Ubuntu packages that the runtime links, each with a header that shows it is there. */
const packages = [
  { name: "libjpeg-dev", header: "jpeglib.h" },
  { name: "libpng-dev", header: "png.h" },
];

/** Where the tests look for a browser (test/support/browser.ts). */
export const browsers = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export { SetupError };

/** Runs a command with its output shown; throws when it fails. */
export function sh(command, args, options = {}) {
  const r = spawnSync(command, args, { cwd: root, stdio: "inherit", ...options });
  if (r.error) throw new SetupError(`${command}: ${r.error.message}`);
  if (r.status !== 0) throw new SetupError(`${command} ${args.join(" ")}: exit code ${r.status ?? r.signal}`);
}

/** Runs a command and shows its output only when it fails. */
export function quiet(command, args, options = {}) {
  const r = spawnSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 28, ...options });
  if (r.error) throw new SetupError(`${command}: ${r.error.message}`);
  if (r.status !== 0)
    throw new SetupError(`${command} ${args.join(" ")}: exit code ${r.status ?? r.signal}\n${r.stdout}${r.stderr}`);
  return r.stdout;
}

const has = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;

/** Whether packages can be installed here: as root, with apt-get. */
export const canInstall = () => process.getuid?.() === 0 && has("apt-get");

/** Compilers and libraries: installed when this is root on a machine with apt-get, named otherwise. */
export function systemPackages({ tests = false } = {}) {
  const cxx = process.env.CXX ?? "g++";
  const missing = [...(has(cxx) ? [] : ["g++"]), ...(has("cmake") ? [] : ["cmake"]), ...(has("make") ? [] : ["make"])];
  for (const p of packages) {
    const probe = spawnSync(cxx, ["-E", "-x", "c++", "-include", p.header, "/dev/null"], { stdio: "ignore" });
    if (probe.status !== 0) missing.push(p.name);
  }
  // Ranks over Open MPI: with it the plug-in is built and its tests run, without it they are skipped.
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

/** node_modules from the lock file, when it is not what is installed. */
export function nodeModules() {
  const lock = readFileSync(join(root, "package-lock.json"));
  const stamp = join(root, "node_modules", ".moproc-lock");
  if (existsSync(stamp) && readFileSync(stamp).equals(lock)) return;
  console.log("installing npm packages");
  quiet("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
  writeFileSync(stamp, lock);
}

/** TypeScript -> build/js: all of it for tests, else without them, so that a mistake in a test stops nothing else. */
export function typescript({ tests = false } = {}) {
  const project = tests ? join(root, "tsconfig.json") : join(root, "tools", "setup", "tsconfig.json");
  quiet(process.execPath, [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", project]);
}

/**
 * The runtime library, the data tool and, for tests, the native tests -> build/native. Tests in JavaScript alone
 * (`tests: "js"`) get the libraries that stand for a GPU, and no native test.
 */
export function nativeLibraries({ tests = false } = {}) {
  mkdirSync(native, { recursive: true });
  const generator = existsSync(join(native, "CMakeCache.txt")) ? [] : ["-DCMAKE_BUILD_TYPE=Release"];
  quiet("cmake", ["-S", root, "-B", native, `-DMOPROC_TESTS=${tests ? "ON" : "OFF"}`, ...generator]);
  const cached = statSync(join(native, "CMakeCache.txt"));
  if (!cached) throw new SetupError("cmake left no cache");
  const target = tests === "js" ? ["--target", "js_needs"] : [];
  quiet("cmake", ["--build", native, "--parallel", String(availableParallelism()), ...target]);
}

/** The Node addon of runtime/node-cuda-rt. */
export function addon() {
  const dir = join(root, "runtime", "node-cuda-rt");
  const out = join(dir, "build", "Release", "node_cuda_rt.node");
  quiet(
    process.execPath,
    [join(root, "node_modules", "cmake-js", "bin", "cmake-js"), "build", "--directory", dir, "--silent"],
    { cwd: dir },
  );
  if (!existsSync(out)) throw new SetupError(`cmake-js left no ${out}`);
}

/** Runs steps in order with their wall time, one process at a time; a SetupError ends the process with 2. */
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

/** Everything a command of this project needs. */
export const allSteps = (options = {}) => [
  ["system packages", () => systemPackages(options)],
  ["npm packages", nodeModules],
  ["compiler (TypeScript)", () => typescript(options)],
  ["runtime (C++)", () => nativeLibraries(options)],
  ["addon (C++)", addon],
];

export const versionOf = (command) => execFileSync(command, ["--version"], { encoding: "utf8" }).split("\n")[0];
