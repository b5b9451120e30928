// Native tests under sanitizers, each in a build folder of its own that is used again. A finding ends its program, is
// printed and is a failure; what cannot run here is counted as skipped, with the reason.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { quiet, root, runSteps } from "../setup/steps.mjs";
import { nativeTests, runNative } from "./native.mjs";

/**
 * `small`: programs of the short run. `all`: programs of the long one, everything when there is no list. `without`: a reason
 * for programs whose names match.
 */
const sanitizers = [
  {
    name: "asan",
    flags: "address,undefined",
    env: {
      ASAN_OPTIONS: "halt_on_error=1:detect_leaks=1:strict_string_checks=1:check_initialization_order=1",
      UBSAN_OPTIONS: "halt_on_error=1:print_stacktrace=1",
    },
    small: ["formats_test", "comm_test"],
  },
  {
    name: "tsan",
    flags: "thread",
    env: { TSAN_OPTIONS: "halt_on_error=1:second_deadlock_stack=1" },
    small: ["comm_test", "threads_test", "data_loader_test"],
    all: ["comm_test", "threads_test", "data_loader_test", "runtime_test"],
  },
];

const finding = /^.*(WARNING: ThreadSanitizer|ERROR: (Address|Leak)Sanitizer|runtime error: )/m;

/** The sanitizers of GCC 12 know where memory lies only when it is randomised by 28 bits or less. */
function launcher() {
  const bits = Number(readFileSync("/proc/sys/vm/mmap_rnd_bits", "utf8"));
  return bits > 28 ? ["setarch", "-R"] : [];
}

function build({ name, flags }, targets) {
  const folder = join(root, "build", name);
  const chosen = targets ? ["--target", ...targets] : [];
  quiet("cmake", ["-S", root, "-B", folder, "-DMOPROC_TESTS=ON", `-DMOPROC_SANITIZE=${flags}`]);
  quiet("cmake", ["--build", folder, "--parallel", String(availableParallelism()), ...chosen]);
  return folder;
}

/** Whether LeakSanitizer can stop threads here; in some containers, and under a debugger, nothing may. */
function leaksAreSeen({ command: [program, ...args], options }) {
  const r = spawnSync(program, [...args, "no test has this name"], { env: options.env, encoding: "utf8" });
  return !/LeakSanitizer has encountered a fatal error/.test(r.stderr);
}

/** Builds and runs what is asked for: the few programs that matter most, or all that make sense. */
export async function sanitize(count, { small = false, wanted = () => true } = {}) {
  const programs = [];
  for (const s of sanitizers) {
    const targets = small ? s.small : s.all;
    let folder = "";
    runSteps([[`build for ${s.name}`, () => (folder = build(s, targets))]]);
    for (const f of nativeTests(folder, (f) => wanted(f) && (!targets || targets.includes(basename(f))))) {
      const env = { ...process.env, ...s.env };
      programs.push({ name: `${s.name}/${basename(f)}`, command: [...launcher(), f], options: { env, report: finding } });
    }
  }
  const asan = programs.filter((p) => p.options.env.ASAN_OPTIONS);
  if (asan.length > 0 && !leaksAreSeen(asan[0])) {
    for (const p of asan) p.options.env.ASAN_OPTIONS += ":detect_leaks=0";
    count.skipped.push("asan: leaks - LeakSanitizer cannot trace processes here (ptrace)");
  }
  await runNative(count, programs);
}
