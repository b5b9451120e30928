// The layers of the compiler: a folder imports only from those after it in this list, and onnx-proto has one user.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import test from "ava";
import { root } from "../compiler/util/root.js";

const layers = [
  "index.ts",
  "cli",
  "report",
  "pipeline.ts",
  "emit",
  "onnx",
  "lower",
  "passes",
  "autodiff",
  "ops",
  "ir",
  "util",
];

/** Imports upwards that exist on purpose: file and folder, and the reason. */
const exceptions = new Map([
  ["lower/select.ts emit", "a kernel's name is the digest of its source, so selecting a kernel means writing it"],
  ["ir/builder.ts ops", "the builder calls an op's type inference"],
  ["ir/verify.ts ops", "verification infers every type again"],
  ["ir/evaluate.ts ops", "evaluation is the ops' reference meaning"],
]);

const files = (dir: string): string[] =>
  readdirSync(join(root, dir), { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".ts"));
const importsOf = (file: string): string[] =>
  [...readFileSync(file, "utf8").matchAll(/^(?:import|export) (?!type\b).*?from "(\.[^"]*)";/gm)].map(
    (m) => m[1] as string,
  );

test("imports go down the list of layers", (t) => {
  const wrong: string[] = [];
  for (const f of files("compiler")) {
    const layer = f.split("/")[0] as string;
    for (const target of importsOf(join(root, "compiler", f))) {
      const to = normalize(join(dirname(f), target)).replace(/\.js$/, ".ts");
      const other = to.split("/")[0] as string;
      if (to.startsWith("..") || other === layer) continue;
      const down = layers.indexOf(other) > layers.indexOf(layer);
      if (!down && !exceptions.has(`${f} ${other}`)) wrong.push(`${f} imports ${to}`);
    }
  }
  t.deepEqual(wrong, []);
});

test("every folder of the compiler is a known layer", (t) => {
  const found = new Set(files("compiler").map((f) => f.split("/")[0] as string));
  t.deepEqual(
    [...found].filter((f) => !layers.includes(f)),
    [],
  );
});

test("files stay within 400 lines, kernels within 500", (t) => {
  const long: string[] = [];
  for (const [dir, limit] of [
    ["compiler", 400],
    ["models", 400],
    ["runtime", 400],
    ["tools", 400],
    ["test", 400],
    ["kernels", 500],
  ] as const) {
    for (const f of readdirSync(join(root, dir), { recursive: true, encoding: "utf8" })) {
      if (!/\.(ts|mjs|js|h|hpp|cc|cpp)$/.test(f) || f.includes("node_modules") || f.includes("build/")) continue;
      const lines = readFileSync(join(root, dir, f), "utf8").split("\n").length;
      if (lines > limit) long.push(`${dir}/${f}: ${lines}`);
    }
  }
  t.deepEqual(long, []);
});
