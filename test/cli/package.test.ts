// The package as its users get it: packed, installed into an empty folder with spaces in its name and an empty HOME,
// and used there without a network. In the longer run (package.long.test.ts) the native part is built there, too.

import test from "ava";
import { Installed } from "../support/installed.js";

const user = new Installed("package");
test.after.always(() => user.remove());

test.serial("the tarball is small and has no tests, maps or build of this machine", (t) => {
  t.true(user.tarball.bytes < 5e6, `${user.tarball.bytes} bytes`);
  const own = user.tarball.files.filter((f) => !f.startsWith("package/node_modules/"));
  const foreign = own.filter((f) => /\.map$|\.o$|\.node$|\.tsbuildinfo$|^package\/(test|build\/js\/test)/.test(f));
  t.deepEqual(foreign, []);
  for (const f of [
    "build/js/tools/cli/main.js",
    "build/js/compiler/index.d.ts",
    "CMakeLists.txt",
    "LICENSE",
    "README.md",
  ])
    t.true(own.includes(`package/${f}`), f);
});

test.serial("doctor builds nothing; a native part that is there is found", (t) => {
  const before = user.moproc("doctor", "--json");
  const part = (text: string) =>
    (JSON.parse(text) as { what: string; state: string; found: string }[]).find((f) => f.what === "native part");
  t.deepEqual([part(before.out)?.state, part(before.out)?.found], ["absent", "not built"]);
  user.giveNativePart();
  t.is(part(user.moproc("doctor", "--json").out)?.state, "ok");
});

test.serial("the three entries have types that tsc finds", (t) => {
  user.write(
    "use.ts",
    `import { Builder, compile, grad, type Graph, ops } from "moproc";
import { mopro, nn, optim } from "moproc/models";
import { type Artefact, load } from "moproc/runtime";
export const all: unknown[] = [Builder, compile, grad, ops.conv, mopro, nn, optim];
export const run = async (dir: string, g: Graph): Promise<Artefact> => {
  await compile([g], dir, {} as never);
  return load(dir);
};
`,
  );
  const flags = "--noEmit --strict --module nodenext --moduleResolution nodenext --target es2023 --types";
  const r = user.tsc(...flags.split(" "), "", "use.ts");
  t.is(r.status, 0, r.out + r.err);
});

test.serial("a user's graph is type-checked if TypeScript is installed, which it need not be", (t) => {
  user.copyExamples();
  const compile = (file: string) => user.moproc("compile", `examples/${file}`, "--stop-after", "expand");
  const unchecked = compile("mlp.ts");
  t.is(unchecked.status, 0, unchecked.err);
  t.regex(
    unchecked.err,
    /^note: examples\/mlp\.ts was not type-checked: TypeScript is not installed; npm install [^\n]*\n$/,
  );
  user.giveTypeScript();
  const checked = compile("mlp.ts");
  t.deepEqual([checked.status, checked.err], [0, ""]);
  const nodes = `import { readFileSync } from "node:fs";\nexport const n: number = readFileSync("x", "utf8");\n`;
  user.write("examples/wrong.ts", nodes);
  t.regex(compile("wrong.ts").err, /^moproc compile: examples\/wrong\.ts:2:14: Type 'string' is not [^\n]*\n$/);
});

test.serial("a user's graph is compiled and driven from Node", (t) => {
  user.done("compile", "examples/mlp.ts", "-o", "out dir/mlp");
  const r = user.node("examples/drive.mjs", "out dir/mlp");
  t.is(r.status, 0, r.err);
  const last = Number([...r.out.matchAll(/correct in the last 500 steps\s+([\d.]+) %/g)].at(-1)?.[1]);
  t.true(last > 95, r.out);
});

test.serial("one epoch is trained on drawn data and exported; pages are drawn", (t) => {
  user.done("data", "sample", "--out", "data", "--classes", "4", "--images", "32", "--val", "8", "--size", "40");
  const model = "-a resnet10 --width 0.125 -b 8 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 16".split(" ");
  user.done("train", ...model, "--data", "data", "--exp-dir", "exp", "--epochs", "1", "--quiet");
  t.true(user.exists("exp", "report.html"));
  user.done("export", "--resume", "exp/checkpoint_0000.safetensors", "-o", "model.onnx", "--no-check");
  t.true(user.exists("model.onnx"));
  const emulated = user.moproc("compile", ...model, "--target", "cuda", "--target-arch", "emulator", "-o", "none");
  t.is(emulated.status, 2);
  t.regex(emulated.err, /^moproc compile: --target-arch emulator: needs a clone of the project/);
});

test.serial("cache lists what is kept and frees it, and nothing else", (t) => {
  user.write("../home/.cache/moproc/mine.txt", "not moproc's");
  const found = JSON.parse(user.done("cache", "--json")) as { entries: { kind: string }[]; others: number };
  t.deepEqual([...new Set(found.entries.map((e) => e.kind))].sort(), ["artefact", "header", "native part", "object"]);
  t.is(found.others, 1);
  t.regex(user.done("cache"), /1 native part +\d+\.\d MB +0 d/);
  t.regex(user.done("cache", "--older", "1d"), /removed 0\.0 MB/);
  t.true(user.exists("../home/.cache/moproc/native"));
  user.done("cache", "--all");
  t.deepEqual((JSON.parse(user.done("cache", "--json")) as { entries: unknown[] }).entries, []);
  t.true(user.exists("../home/.cache/moproc/mine.txt"));
  t.is(user.moproc("cache", "--all", "--older", "1d").status, 2);
});
