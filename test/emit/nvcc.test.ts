// Which driver the code of each nvcc needs, and that an artefact's plan says so.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { codeDrivers, nvccDrivers } from "../../compiler/emit/nvcc.js";
import { planCpp } from "../../compiler/emit/plan_cpp.js";
import { planDigest, planJson } from "../../compiler/emit/plan_json.js";
import { Builder } from "../../compiler/ir/builder.js";
import { relu } from "../../compiler/ops/index.js";
import { lower } from "../../compiler/pipeline.js";
import { finish } from "../../models/nn.js";

const r12 = { cuda: 12040, release: "550.54.14" };
const r13 = { cuda: 13000, release: "580.65.06" };

/** The drivers according to NVIDIA's release notes: the first is that of the nvcc, the others are of older nvccs. */
const expected = {
  "12.8": [{ nvcc: "12.8", ...r12 }],
  "12.9": [{ nvcc: "12.9", ...r12 }],
  "13.0": [
    { nvcc: "13.0", ...r13 },
    { nvcc: "12.8", ...r12 },
  ],
  "13.2": [
    { nvcc: "13.2", ...r13 },
    { nvcc: "12.8", ...r12 },
  ],
  "14.1": [
    { nvcc: "14.1", cuda: 14000, release: "" },
    { nvcc: "13.0", ...r13 },
    { nvcc: "12.8", ...r12 },
  ],
};

const banner = (version: string): string =>
  `nvcc: NVIDIA (R) Cuda compiler driver\nCopyright (c) 2005-2025 NVIDIA Corporation\n` +
  `Cuda compilation tools, release ${version}, V${version}.88\nBuild cuda_${version}.r${version}/compiler.1_0\n`;

test.serial("each nvcc names the driver that its code needs, and older nvccs for older drivers", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "moproc nvcc "));
  const before = process.env.NVCC;
  const called = async (text: string) => {
    process.env.NVCC = join(dir, "nvcc");
    writeFileSync(process.env.NVCC, `#!/bin/sh\ncat <<'END'\n${text}END\n`, { mode: 0o755 });
    return await nvccDrivers();
  };
  try {
    for (const [version, drivers] of Object.entries(expected)) t.deepEqual(await called(banner(version)), drivers);
    for (const old of ["11.8", "12.0", "12.4", "12.6"])
      await t.throwsAsync(called(banner(old)), {
        message: `nvcc ${old} is too old: install the CUDA toolkit 12.8 or later`,
      });
    await t.throwsAsync(called("something else\n"), { message: /nvcc --version names no release: something else/ });
  } finally {
    if (before === undefined) delete process.env.NVCC;
    else process.env.NVCC = before;
    rmSync(dir, { recursive: true });
  }
});

test("the plan has these drivers, and its digest does not depend on them", (t) => {
  const b = Builder.create("g");
  const g = finish(b, { y: relu(b, b.input("x", { dtype: "f32", shape: [8] })) });
  const { plan } = lower([g], { name: "g", target: { device: "cuda", arch: "sm_80", ranks: [1] } });
  const built = { ...plan, drivers: codeDrivers("13.0") };
  t.regex(
    planCpp(built, 1),
    /drivers_\[\] = \{\n {2}\{"13.0", 13000, "580.65.06"\},\n {2}\{"12.8", 12040, "550.54.14"\}/,
  );
  t.regex(planCpp(built, 1), /\{images_, 1\}, \{drivers_, 2\}\};/);
  t.deepEqual(JSON.parse(planJson(built)).drivers, expected["13.0"]);
  t.is(planDigest(built), planDigest(plan));
});
