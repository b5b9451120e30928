// The kit for GPU machines, made for the emulated driver: it is made, checked and measured by one command each, and a
// kit with wrong kernels is noticed.

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { emulated, haveEmulator } from "../support/emulated.js";

const run = haveEmulator ? test.serial : test.serial.skip; // the native tests are not built

run("a kit is made, passes, and fails where kernels and records are of different precision", (t) => {
  const kit = join(root, "build", "test", "gpu kit");
  // with the results of an earlier test, which gpu-kit would refuse to remove
  rmSync(kit, { recursive: true, force: true });
  const made = spawnSync("node", [join(root, "tools", "gpu-kit.mjs"), "--emulator", "--steps", "3", "--out", kit], {
    encoding: "utf8",
  });
  t.is(made.status, 0, made.stdout + made.stderr);

  emulated("bf16");
  const check = (): ReturnType<typeof spawnSync> =>
    spawnSync(
      join(kit, "moproc-gpu-check"),
      ["kit", kit, "--out", join(kit, "results"), "--warmup", "0", "--runs", "1", "--samples", "1"],
      { encoding: "utf8" },
    );
  const first = check();
  t.is(first.status, 0, `${first.stdout}${first.stderr}`);
  const report = JSON.parse(readFileSync(join(kit, "results", "gpu-check.json"), "utf8"));
  t.true(report.ok);
  t.deepEqual(
    report.checks.map((c: { name: string }) => c.name),
    [
      "check-primitives primitives",
      "check-primitives-sm_90a primitives",
      "check-tiny-bf16 clean",
      "check-tiny-bf16 steps",
      "check-tiny-f32 clean",
      "check-tiny-f32 steps",
    ],
  );
  t.is(report.bench[0].batch, 8);
  t.true(report.bench[0].images_per_second > 0);
  const page = readFileSync(join(kit, "results", "gpu-check.md"), "utf8");
  for (const text of ["| check-tiny-f32 steps | pass | 3 steps", "profile of clean", "| tiny | 8 |"])
    t.true(page.includes(text), text);

  copyFileSync(join(kit, "check-tiny-bf16", "program.so"), join(kit, "check-tiny-f32", "program.so"));
  rmSync(join(kit, "bench-tiny"), { recursive: true });
  const wrong = check();
  t.is(wrong.status, 1);
  t.regex(String(wrong.stdout), /FAIL check-tiny-f32: .*was recorded from other launches than those of the artefact/);
  t.true(existsSync(join(kit, "check")), "the one command of the kit");
  t.true(existsSync(join(kit, "mopro_step.py")), "the step that baselines.py imports");
});
