// The kit for GPU machines, made for the emulated driver: it is made, checked and measured by one command each. A part
// that hangs does not take the results of others with it, and wrong kernels are noticed.

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { emulated, haveEmulator } from "../support/emulated.js";

const run = haveEmulator ? test.serial : test.serial.skip; // the native tests are not built

run("a kit is made, passes, survives a hang, finds a race, and fails with kernels of another precision", (t) => {
  const kit = join(root, "build", "test", "gpu kit");
  // with the results of an earlier test, which gpu-kit would refuse to remove
  rmSync(kit, { recursive: true, force: true });
  const made = spawnSync(
    "node",
    [
      join(root, "tools", "gpu-kit.mjs"),
      "--emulator",
      "--steps",
      "3",
      "--precision",
      "f32,bf16",
      "--pack",
      "--out",
      kit,
    ],
    { encoding: "utf8" },
  );
  t.is(made.status, 0, made.stdout + made.stderr);
  const sizes = new Map(
    [...made.stdout.matchAll(/^ *([\d.]+) MB {2}(\S+)$/gm)].map((m) => [m[2] as string, Number(m[1])]),
  );
  const archive = statSync(join(kit, "gpu-kit.tar.xz")).size / 1e6;
  t.true(archive < 50 && Math.abs((sizes.get("gpu-kit.tar.xz") ?? 0) - archive) < 0.06, made.stdout);
  t.true((sizes.get("check-tiny-bf16") ?? 0) > 20, made.stdout);
  const packed = spawnSync("tar", ["-tf", join(kit, "gpu-kit.tar.xz")], { encoding: "utf8" }).stdout.split("\n");
  for (const file of ["check", "check-tiny-bf16/clean.record", "bench-tiny/program.so"])
    t.true(packed.includes(`gpu-kit/${file}`), file);

  emulated("bf16");
  const quick = ["--warmup", "0", "--runs", "1", "--samples", "1", "--repeats", "2"];
  const report = () => JSON.parse(readFileSync(join(kit, "results", "gpu-check.json"), "utf8"));
  const page = (): string => readFileSync(join(kit, "results", "gpu-check.md"), "utf8");
  const check = (faults: string, ...flags: string[]): ReturnType<typeof spawnSync> =>
    spawnSync(join(kit, "check"), [join(kit, "results"), ...quick, ...flags], {
      encoding: "utf8",
      env: { ...process.env, MOPROC_EMULATOR: `seed=1${faults}` },
    });
  const first = check("", "--limit", "600");
  t.is(first.status, 0, `${first.stdout}${first.stderr}`);
  t.true(report().ok);
  t.is(report().left, 0);
  type Named = { name: string };
  t.deepEqual(
    report()
      .checks.filter((c: Named) => !/^(memcheck|pytorch)/.test(c.name))
      .map((c: Named) => c.name),
    [
      "check-primitives primitives",
      "check-primitives-sm_90a primitives",
      "check-tiny-bf16 clean",
      "repeat-tiny",
      "check-tiny-bf16 steps",
      "check-tiny-f32 clean",
      "check-tiny-f32 steps",
    ],
    "those that say most come first",
  );
  t.is(report().bench[0].batch, 8);
  t.true(report().bench[0].images_per_second > 0);
  for (const text of [
    "| check-tiny-f32 steps | pass | 3 steps",
    "profile of clean",
    "| tiny | 8 |",
    "# What the outcomes mean",
    "- **HANG (124)**:",
  ])
    t.true(page().includes(text), text);

  const began = Date.now();
  const hung = check(",hang=probe_tma_box", "--only", "primitives", "--limit", "20");
  t.is(hung.status, 1, `${hung.stdout}${hung.stderr}`);
  t.true(Date.now() - began < 60_000);
  const [all, hopper] = report().checks;
  t.deepEqual([all.ok, all.results > 5, hopper.ok, hopper.status], [true, true, false, 124]);
  t.regex(hopper.error, /^in step \d+ tma_box, kernel probe_tma_box$/);
  t.regex(page(), /\| check-primitives-sm_90a primitives \| \*\*HANG \(124\): ended after 2\d s\*\* \| in step/);

  const killed = spawnSync(join(kit, "check"), [join(kit, "results"), "--only", "primitives", "--limit", "600"], {
    env: { ...process.env, MOPROC_EMULATOR: "seed=1,hang=probe_tma_box" },
    timeout: 15_000,
    killSignal: "SIGKILL",
  });
  t.is(killed.signal, "SIGKILL");
  t.deepEqual([report().left, report().checks.length, report().checks[0].ok], [1, 1, true], "written after each part");

  const fails = check(",fail=cuLibraryLoadData:209", "--only", "primitives");
  t.is(fails.status, 1);
  t.deepEqual(
    report().checks.map((c: { status: number }) => c.status),
    [2, 2],
  );
  t.regex(page(), /ERROR \(2\)\*\* \| moproc-gpu-check: .*CUDA_ERROR_NO_BINARY_FOR_GPU/);

  const raced = check(",flip=conv_wgrad:2", "--only", "repeat");
  t.is(raced.status, 1, `${raced.stdout}${raced.stderr}`);
  t.regex(report().checks[0].error, /2 runs from one state, 1 differ.*step \d+ encoder_q\.\S+, kernel conv_wgrad_/);

  copyFileSync(join(kit, "check-tiny-bf16", "program.so"), join(kit, "check-tiny-f32", "program.so"));
  const wrong = check("", "--only", "f32 clean");
  t.is(wrong.status, 1);
  t.regex(page(), /check-tiny-f32 clean .* was recorded from other launches than those of the artefact/);
  t.true(existsSync(join(kit, "mopro_step.py")), "the step that baselines.py imports");
});
