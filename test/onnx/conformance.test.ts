// A third of the ONNX project's cases: their statuses are those of test/fixtures/onnx-conformance/expected.tsv. A case
// that begins to pass, or no longer passes, fails here until `npm run conformance -- --expect` has written the file
// anew. The same holds for their gradients, and for their kernels for GPUs, which run in the emulator.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { gradientsOf } from "../../tools/conformance/gradients.js";
import { Shell } from "../support/cli.js";
import { emulatedDriver, haveEmulator } from "../support/emulated.js";

const fixture = join(root, "test", "fixtures", "onnx-conformance");
const shell = new Shell("conformance");
test.after.always(() => shell.remove());

const expected = new Map(
  readFileSync(join(fixture, "expected.tsv"), "utf8")
    .trimEnd()
    .split("\n")
    .map((l) => l.split("\t") as [string, string, string?, string?])
    .map(([name, ...statuses]) => [name, statuses] as const),
);
const isChosen = (name: string): boolean => (createHash("sha256").update(name).digest()[0] as number) % 3 === 0;

interface Results {
  readonly counts: Readonly<Record<string, number>>;
  readonly cases: readonly {
    readonly name: string;
    readonly status: string;
    readonly reason?: string;
    readonly folded?: boolean;
  }[];
}

test.serial("the statuses of a third of the cases are the expected ones", (t) => {
  mkdirSync(shell.at("all"));
  t.is(shell.start("tar", "-xzf", join(fixture, "cases.tar.gz"), "-C", "all").status, 0);
  const chosen = [...expected.keys()].filter(isChosen);
  t.true(chosen.length > expected.size / 4);
  for (const name of chosen) {
    mkdirSync(dirname(shell.at("some", name)), { recursive: true });
    renameSync(shell.at("all", name), shell.at("some", name));
  }
  renameSync(shell.at("all", "tolerances.json"), shell.at("some", "tolerances.json"));
  const ran = shell.moproc("run", "--cases", "some", "--out", "out", "--json", "results.json");
  t.true(ran.status === 0 || ran.status === 1, ran.err);
  const { cases } = JSON.parse(shell.text("results.json")) as Results;
  t.deepEqual(cases.map((c) => c.name).toSorted(), chosen.toSorted());
  const odd = cases
    .filter((c) => c.status !== expected.get(c.name)?.[0])
    .map((c) => `${c.name} is ${c.status}, expected ${expected.get(c.name)?.[0]}${c.reason ? `: ${c.reason}` : ""}`);
  t.deepEqual(odd, []);
  const gradients = gradientsOf(shell.at("some"), cases, join(fixture, "differentiability.tsv"));
  const wrong = [...gradients].flatMap(([name, { status, reason = "" }]) => {
    const want = expected.get(name)?.[1] || "none";
    return status === want ? [] : [`the gradient of ${name} is ${status}, expected ${want} ${reason}`];
  });
  t.deepEqual(wrong, []);
});

(haveEmulator ? test.serial : test.serial.skip)("a third of the cases, as kernels for GPUs", (t) => {
  const environment = [`MOPROC_CUDA_DRIVER=${emulatedDriver}`, "MOPROC_EMULATOR=seed=2"];
  const flags = ["--target", "cuda", "--target-arch", "emulator", "--precision", "f32"];
  const ran = shell.start(
    "env",
    ...environment,
    process.execPath,
    shell.main,
    "run",
    "--cases",
    "some",
    "--out",
    "gpu",
    "--json",
    "gpu.json",
    ...flags,
  );
  t.true(ran.status === 0 || ran.status === 1, ran.err);
  const { cases } = JSON.parse(shell.text("gpu.json")) as Results;
  const own = cases.map((c) => [c.name, c.folded || c.status === "unsupported" ? "" : c.status, c.reason ?? ""]);
  t.true(own.filter(([, status]) => status === "passed").length > 50);
  t.deepEqual(
    own.filter(([name, status]) => status !== (expected.get(name as string)?.[2] ?? "")),
    [],
  );
});

test("every case of the archive has an expected status", (t) => {
  const listed = shell.start("tar", "-tzf", join(fixture, "cases.tar.gz"));
  const names = listed.out.split("\n").flatMap((f) => /^\.\/(.*)\/model\.onnx$/.exec(f)?.[1] ?? []);
  t.deepEqual(names.toSorted(), [...expected.keys()].toSorted());
});
