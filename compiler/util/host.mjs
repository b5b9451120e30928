// What this machine has for compiling: the C++ compiler's command, system packages, and the number of compilers that
// may run at once. Plain JavaScript, because the set-up needs it before the build; the compiler uses it through
// compiler/util/host.ts.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";

/** The text of a file; "" if it cannot be read. */
function text(file) {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "";
  }
}

/** A folder of cgroups and all folders above it, down from `mount`. */
function foldersUp(mount, path) {
  const folders = [mount];
  for (let p = path; p !== "/" && p !== "." && p !== ""; p = dirname(p)) folders.push(join(mount, p));
  return folders;
}

/**
 * The CPU quota of this process's control groups, in cores; Infinity without one. Reads cpu.max (cgroup v2) and
 * cpu.cfs_quota_us (v1) of its group and of all groups above it, because the smallest one counts. `sys` and `self`
 * stand for /sys/fs/cgroup and /proc/self/cgroup.
 */
export function cpuQuota(sys = "/sys/fs/cgroup", self = "/proc/self/cgroup") {
  let quota = Number.POSITIVE_INFINITY;
  const limit = (used, period) => {
    if (used > 0 && period > 0) quota = Math.min(quota, used / period);
  };
  for (const line of text(self).split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    if (controllers === "")
      for (const folder of foldersUp(sys, path)) {
        const [used, period] = text(join(folder, "cpu.max")).split(" ");
        limit(Number(used), Number(period)); // "max" is NaN and so no limit
      }
    else if (controllers.split(",").includes("cpu"))
      for (const folder of foldersUp(join(sys, controllers), path).concat(foldersUp(join(sys, "cpu"), path)))
        limit(Number(text(join(folder, "cpu.cfs_quota_us"))), Number(text(join(folder, "cpu.cfs_period_us"))));
  }
  return quota;
}

/** At least 1; a quota of 2.5 cores gives 3, so that all of it is used. */
export const jobs = (quota = cpuQuota()) => Math.max(1, Math.min(availableParallelism(), Math.ceil(quota)));

/** The words of the C++ compiler's command: $CXX, which may have several as in `ccache g++`, or g++. */
export function cxx() {
  const text = (process.env.CXX ?? "").trim();
  if (text === "") return ["g++"];
  return existsSync(text) ? [text] : text.split(/\s+/); // a path may have spaces
}

const runs = ([command, ...first], ...args) =>
  spawnSync(command, [...first, ...args], { stdio: "ignore" }).status === 0;

/** The Debian and Ubuntu packages that the runtime links, each with a header that shows if it is installed. */
const libraries = [
  { name: "libjpeg-dev", header: "jpeglib.h" },
  { name: "libpng-dev", header: "png.h" },
];

/** The same for libraries that the runtime reads more formats of images with; a build without them is complete, too. */
const optional = [
  { name: "libwebp-dev", header: "webp/demux.h" },
  { name: "libgif-dev", header: "gif_lib.h" },
];

const compiles = (header) => runs(cxx(), "-E", "-x", "c++", "-include", header, "/dev/null");

/** The names of the packages that the native build would use and that are not here. */
export const missingOptionalPackages = () => optional.filter((l) => !compiles(l.header)).map((l) => l.name);

/** The names of the packages that the native build needs and that are not here. */
export function missingPackages() {
  const works = runs(cxx(), "-E", "-x", "c++", "/dev/null");
  const missing = works ? [] : ["g++"];
  for (const tool of ["cmake", "make"]) if (!runs([tool], "--version")) missing.push(tool);
  for (const { name, header } of libraries) if (works && !compiles(header)) missing.push(name);
  return missing;
}
