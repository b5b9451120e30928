// The folders of the project and their order: an import or an include refers to its own folder or to one below it. Also
// the limits of files' sizes. The lists below are in order: an entry may use the entries after it.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import test from "ava";
import { root } from "../compiler/util/root.js";

/** TypeScript. */
const modules = [
  "tools/cli",
  "tools/report",
  "models",
  "compiler/index.ts",
  "compiler/pipeline.ts",
  "compiler/emit",
  "compiler/onnx",
  "compiler/lower",
  "compiler/passes",
  "compiler/autodiff",
  "compiler/rewrite",
  "compiler/ops",
  "compiler/ir",
  "compiler/util",
];

/** C++. Rooms of one line are neighbours, which know nothing of each other. */
const rooms = [
  ["runtime/command"],
  ["runtime/workflow"],
  ["runtime/replay"],
  ["runtime/train"],
  ["runtime/log"],
  ["runtime/session"],
  ["runtime/cpu", "runtime/cuda"],
  ["runtime/comm", "runtime/formats", "runtime/data"],
  ["runtime/core"],
  ["kernels/cpu", "kernels/cuda"],
  ["kernels/common"],
];

const filesOf = (dir: string, pattern: RegExp): string[] =>
  readdirSync(join(root, dir), { recursive: true, encoding: "utf8" })
    .map((f) => `${dir}/${f}`)
    .filter((f) => pattern.test(f) && !/\/(node_modules|build)\//.test(f));

const text = (file: string): string => readFileSync(join(root, file), "utf8");

const imported = (file: string, pattern: RegExp): string[] =>
  [...text(file).matchAll(pattern)].map((m) => normalize(join(dirname(file), m[1] as string)).replace(/\.js$/, ".ts"));

/** The files that a TypeScript file imports from this project when it runs. */
const importsOf = (file: string): string[] => imported(file, /^(?:import|export) (?!type\b)[^;]*?from "(\.[^"]*)";/gm);

/** The same, with those of which it imports types alone. */
const allImportsOf = (file: string): string[] => imported(file, /^(?:import|export) [^;]*?from "(\.[^"]*)";/gm);

/** What a C++ file includes of this project: from runtime/ or kernels/, or beside it. */
const includesOf = (file: string): string[] =>
  [...text(file).matchAll(/^#include "([^"]+)"/gm)]
    .map((m) => m[1] as string)
    .map((name) => {
      if (!name.includes("/")) return join(dirname(file), name);
      const kernel = /^(common|cpu|cuda)\//.test(name) && !file.startsWith("runtime/");
      return kernel || name.startsWith("common/") ? `kernels/${name}` : `runtime/${name}`;
    });

const isIn = (file: string, room: string): boolean => file === room || file.startsWith(`${room}/`);

/** Imports of `files` that do not go down: to a room before, or beside, their own, or to no room at all. */
function upward(
  files: readonly string[],
  floors: readonly (readonly string[])[],
  importsOf: (file: string) => string[],
): string[] {
  const floorOf = (file: string): number => floors.findIndex((floor) => floor.some((room) => isIn(file, room)));
  const roomOf = (file: string): string | undefined => floors.flat().find((room) => isIn(file, room));
  return files.flatMap((file) =>
    importsOf(file)
      .filter((to) => roomOf(to) !== roomOf(file) && floorOf(to) <= floorOf(file))
      .map((to) => `${file} uses ${to}`),
  );
}

test("imports go down: the command line and pages, models, the compiler's layers", (t) => {
  const files = ["tools/cli", "tools/report", "models", "compiler"].flatMap((dir) => filesOf(dir, /\.ts$/));
  const known = files.filter((f) => modules.some((m) => isIn(f, m)));
  t.deepEqual(
    files.filter((f) => !known.includes(f)),
    [],
    "every file is in a known room",
  );
  t.deepEqual(
    upward(
      files,
      modules.map((m) => [m]),
      importsOf,
    ),
    [],
  );
});

test("includes go down: the runtime's rooms, then kernels", (t) => {
  const files = ["runtime", "kernels"]
    .flatMap((dir) => filesOf(dir, /\.(cc|h|hpp|cuh)$/))
    .filter((f) => !f.startsWith("runtime/node-cuda-rt"));
  t.deepEqual(
    files.filter((f) => !rooms.flat().some((room) => isIn(f, room))),
    [],
    "every file is in a known room",
  );
  t.deepEqual(upward(files, rooms, includesOf), []);
});

test("an import that goes up, or beside, is found", (t) => {
  const up = (file: string, to: string): string[] => upward([file], rooms, () => [to]);
  t.deepEqual(up("runtime/core/json.cc", "runtime/train/step.h"), ["runtime/core/json.cc uses runtime/train/step.h"]);
  t.deepEqual(up("runtime/cpu/device.h", "runtime/cuda/gpu.h"), ["runtime/cpu/device.h uses runtime/cuda/gpu.h"]);
  t.deepEqual(up("runtime/train/step.h", "tools/data/flags.h"), ["runtime/train/step.h uses tools/data/flags.h"]);
  t.deepEqual(up("runtime/train/step.h", "runtime/core/json.h"), []);
  t.deepEqual(up("runtime/train/step.cc", "runtime/train/step.h"), []);
});

/** The passes that a list imports: by the name of the file, what it is called there. */
const listed = (list: string): ReadonlyMap<string, string> =>
  new Map(
    [...text(list).matchAll(/^import \{ (\w+) \} from "[./]*\/passes\/(\w+)\.js";$/gm)].map((m) => [
      m[2] as string,
      m[1] as string,
    ]),
  );

test("a file of compiler/passes is a pass of the same name, and a pipeline lists it", (t) => {
  // those that also change weights run when a model is exported
  const called = new Map([...listed("compiler/pipeline.ts"), ...listed("compiler/onnx/deploy.ts")]);
  for (const file of filesOf("compiler/passes", /\.ts$/)) {
    const name = /(\w+)\.ts$/.exec(file)?.[1] as string;
    const camel = name.replace(/_(\w)/g, (_, c: string) => c.toUpperCase());
    const exported = [...text(file).matchAll(/^export (?:const|function) (\w+)/gm)].map((m) => m[1]);
    t.deepEqual(exported, [camel], `${file} exports its pass and nothing else`);
    t.is(called.get(name), camel, `${file} is in no pipeline`);
    const is = /^export const \w+: Pass = \{\s+name: "(\w+)"/m.exec(text(file));
    if (is) t.is(is[1], name, `${file}: the name of the pass`);
  }
});

test("no file outside compiler/ops compares an op with a name that it spells out", (t) => {
  const spelled = filesOf("compiler", /\.ts$/)
    .filter((f) => !isIn(f, "compiler/ops"))
    .flatMap((f) =>
      text(f)
        .split("\n")
        .flatMap((line, i) =>
          /\.op [!=]== "[a-z]|\.op\.startsWith|\.test\(\w+\.op\)/.test(line) ? [`${f}:${i + 1}`] : [],
        ),
    );
  t.deepEqual(spelled, [], "what an op is belongs into its record; which op it is is asked of that, relu.name");
});

test("compiler/ops/index.ts exports every file that defines ops", (t) => {
  const families = filesOf("compiler/ops", /\.ts$/).filter(
    (f) => /\bdefineOp[(<]/.test(text(f)) && !f.endsWith("/op.ts"),
  );
  const exported = [...text("compiler/ops/index.ts").matchAll(/^export \* from "\.\/([\w/]+)\.js";$/gm)].map(
    (m) => m[1],
  );
  t.deepEqual(families.map((f) => f.replace(/^compiler\/ops\/|\.ts$/g, "")).toSorted(), exported.toSorted());
});

/** The files that `file` imports, directly or not, before it runs. */
function loadedWith(file: string, seen = new Set<string>()): ReadonlySet<string> {
  if (!seen.has(file)) {
    seen.add(file);
    for (const f of importsOf(file)) loadedWith(f, seen);
  }
  return seen;
}

/** The parts of the compiler that verbs load before they run: those that always compile, read ONNX files or plans. */
const loadedAtOnce: Readonly<Record<string, readonly string[]>> = {
  compile: ["compiler/ops", "compiler/lower"],
  export: ["compiler/ops", "compiler/lower", "compiler/onnx"],
  run: ["compiler/ops", "compiler/lower", "compiler/onnx"],
  inspect: ["compiler/lower"],
};

test("verbs load the compiler only if they compile, and the reader of ONNX files only if there is one", (t) => {
  const verbs = [...text("tools/cli/verbs.ts").matchAll(/import\("\.\/(\w+)\.js"\)/g)].map((m) => m[1] as string);
  t.true(verbs.length > 15);
  for (const name of ["main", ...verbs]) {
    const file = `tools/cli/${name}.ts`;
    const loaded = [...loadedWith(file)];
    const rooms = ["compiler/ops", "compiler/lower", "compiler/onnx"].filter((r) => loaded.some((f) => isIn(f, r)));
    t.deepEqual(rooms, [...(loadedAtOnce[name] ?? [])], `${file} loads with \`await import()\` what it seldom needs`);
  }
});

test("no import circle between files of the compiler, the models and the command line", (t) => {
  const files = ["tools/cli", "tools/report", "models", "compiler"].flatMap((dir) => filesOf(dir, /\.ts$/));
  t.deepEqual(circles(new Map(files.map((f) => [f, allImportsOf(f)]))), []);
});

test("a circle is found", (t) => {
  t.deepEqual(circles(new Map(Object.entries({ a: ["b"], b: ["c"], c: ["b"], d: ["a"] }))), ["b c"]);
});

/**
 * Groups of files that reach each other, sorted, "FILE FILE": Tarjan's strongly connected components of more than one.
 */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: string[] = [];
  const visit = (f: string): void => {
    index.set(f, index.size);
    low.set(f, index.get(f) as number);
    stack.push(f);
    for (const to of graph.get(f) ?? []) {
      if (!graph.has(to)) continue;
      if (!index.has(to)) visit(to);
      if (stack.includes(to)) low.set(f, Math.min(low.get(f) as number, low.get(to) as number));
    }
    if (low.get(f) !== index.get(f)) return;
    const group = stack.splice(stack.indexOf(f));
    if (group.length > 1) found.push(group.sort().join(" "));
  };
  for (const f of graph.keys()) if (!index.has(f)) visit(f);
  return found.sort();
}

const sources = /\.(ts|mjs|js|h|hpp|cc|cpp|cuh|cu|py|sh)$/;
const generated = /^test\/(fixtures|golden)\/(?!.*make)/;

test("files stay within 400 lines, kernels within 500", (t) => {
  const long = ["compiler", "models", "runtime", "tools", "test", "kernels"].flatMap((dir) =>
    filesOf(dir, sources)
      .map((f) => ({ f, lines: text(f).split("\n").length }))
      .filter(({ lines }) => lines > (dir === "kernels" ? 500 : 400)),
  );
  t.deepEqual(
    long.map(({ f, lines }) => `${f}: ${lines}`),
    [],
  );
});

test("no file of over a megabyte is in the repository, but for two archives of fixtures", (t) => {
  const listed = spawnSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" });
  if (listed.status !== 0) return t.pass(); // a copy without its history
  const files = listed.stdout.split("\0").filter((f) => f !== "" && existsSync(join(root, f)));
  t.true(files.length > 1000);
  t.deepEqual(
    files.filter((f) => statSync(join(root, f)).size > 2 ** 20),
    ["test/fixtures/image-golden/image-golden.tar.gz", "test/fixtures/onnx-conformance/cases.tar.gz"],
  );
});

test("lines end at 120 columns", (t) => {
  const long = ["compiler", "models", "runtime", "tools", "test", "kernels", "docs/examples"].flatMap((dir) =>
    filesOf(dir, sources)
      .filter((f) => !generated.test(f))
      .flatMap((f) =>
        text(f)
          .split("\n")
          .flatMap((line, i) => ([...line].length > 120 ? [`${f}:${i + 1}`] : [])),
      ),
  );
  t.deepEqual(long, []);
});
