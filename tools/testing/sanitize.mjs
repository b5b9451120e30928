// Runs native tests under sanitizers. Each sanitizer has its own build folder, which is reused. A finding ends its
// program, is printed and counts as a failure. What cannot run on this machine is counted as skipped, with the reason.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { jobs } from "../../compiler/util/host.mjs";
import { quiet, removeForeignBuild, root, runSteps, unity } from "../setup/steps.mjs";
import { nativeTests, runNative } from "./native.mjs";

const kernels = ["conv", "loss", "math", "matmul", "move", "pointwise", "pool", "reduce", "update"].map(
  (k) => `${k}_test_v3`,
);

/**
 * `small`: the programs of the short run. `all`: those of the long run; absent: all programs. `without`: the programs
 * that the long run leaves out, and why.
 */
const sanitizers = [
  {
    name: "asan",
    flags: "address,undefined",
    env: {
      ASAN_OPTIONS: "halt_on_error=1:detect_leaks=1:strict_string_checks=1:check_initialization_order=1",
      LSAN_OPTIONS: `suppressions="${join(root, "tools", "testing", "lsan.supp")}":print_suppressions=0`,
      UBSAN_OPTIONS: "halt_on_error=1:print_stacktrace=1",
    },
    small: ["formats_test", "comm_test"],
  },
  {
    name: "tsan",
    flags: "thread",
    env: { TSAN_OPTIONS: "halt_on_error=1:second_deadlock_stack=1" },
    small: ["comm_test", "threads_test", "data_loader_test"],
    all: [
      "comm_test",
      "threads_test",
      "data_loader_test",
      "data_sample_test",
      "data_tools_test",
      "runtime_test",
      ...kernels,
    ],
    without:
      "cuda_*: ThreadSanitizer would have to follow the stacks of the emulator; *_test_v4: the code of v3 with " +
      "wider registers; else: no threads",
  },
];

const finding = /^.*((WARNING|ERROR|FATAL): \w+Sanitizer|:\d+:\d+: runtime error: )/m;

/**
 * The command before a program under sanitizers. Those of GCC 12 work only if the kernel randomises addresses by 28
 * bits or less, so on other machines the command turns randomisation off.
 */
function launcher() {
  const bits = Number(readFileSync("/proc/sys/vm/mmap_rnd_bits", "utf8"));
  return bits > 28 ? ["setarch", "-R"] : [];
}

function build({ name, flags }, targets) {
  const folder = join(root, "build", name);
  const chosen = targets ? ["--target", ...targets] : [];
  removeForeignBuild(folder);
  quiet("cmake", ["-S", root, "-B", folder, "-DMOPROC_TESTS=ON", `-DMOPROC_SANITIZE=${flags}`, ...unity]);
  quiet("cmake", ["--build", folder, "--parallel", String(jobs()), ...chosen]);
  return folder;
}

/** Whether LeakSanitizer can stop threads here; some containers, and debuggers, do not permit it. */
function leaksAreSeen(program, env) {
  const r = spawnSync(program, ["no test has this name"], { env, encoding: "utf8" });
  return !/LeakSanitizer has encountered a fatal error/.test(r.stderr);
}

/**
 * Builds the programs of the short (`small`) or long run for which `wanted` returns true, runs them, and adds the
 * results to `count`. With `buildOnly` it runs none.
 */
export async function sanitize(count, { small = false, wanted = () => true, buildOnly = false } = {}) {
  const programs = [];
  for (const s of sanitizers) {
    const targets = (small ? s.small : s.all)?.filter((t) => wanted(`${s.name}/${t}`));
    if (targets?.length === 0) continue;
    if (s.without && !small) count.skipped.push(`${s.name}: ${s.without}`);
    let folder = "";
    runSteps([[`build for ${s.name}`, () => (folder = build(s, targets))]]);
    if (buildOnly) continue;
    const chosen = nativeTests(folder, (f) => targets?.includes(basename(f)) ?? wanted(f));
    const blind = s.env.ASAN_OPTIONS && chosen.length > 0 && !leaksAreSeen(chosen[0], { ...process.env, ...s.env });
    if (blind) count.skipped.push(`${s.name}: leaks - LeakSanitizer cannot trace processes here (ptrace)`);
    for (const f of chosen) {
      const env = { ...process.env, ...s.env };
      if (blind) env.ASAN_OPTIONS += ":detect_leaks=0";
      programs.push({
        name: `${s.name}/${basename(f)}`,
        command: [...launcher(), f],
        options: { env, report: finding, part: "sanitizers" },
      });
    }
  }
  await runNative(count, programs);
}
