// moproc compile checks the types of a user's files before they run: what it refuses and accepts, with and without a
// tsconfig.json, and what it says if it cannot check.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { checkTypes } from "../../tools/cli/type_check.js";

// Outside of the clone, whose tsconfig.json and node_modules TypeScript would find.
const scratch = mkdtempSync(join(tmpdir(), "moproc types with space-"));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));

type Files = Readonly<Record<string, string | object>>;

/** A new folder with these files; objects are written as JSON. */
function folder(files: Files): string {
  const dir = mkdtempSync(join(scratch, "user-"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return dir;
}

/** What the check of the first file says: notes, or the message with which it is refused. Paths begin at the folder. */
async function said(files: Files, from?: string): Promise<readonly string[]> {
  const dir = folder(files);
  const before = readdirSync(dir, { recursive: true });
  const file = join(dir, Object.keys(files)[0] as string);
  const lines = await checkTypes(file, from === undefined ? undefined : [join(dir, from)]).catch((e: Error) => [
    `refused: ${e.message}`,
  ]);
  const after = readdirSync(dir, { recursive: true });
  const changed = after.length === before.length ? [] : [`the folder has ${after}`];
  return [...lines, ...changed].map((l) => l.replaceAll(`${dir}/`, ""));
}

const graph = `import { Builder } from "moproc";
import { nn } from "moproc/models";
import { load } from "moproc/runtime";
const b = Builder.create("s");
`;
const mismatch = (place: string, from = "string", to = "number"): string =>
  `${place}: Type '${from}' is not assignable to type '${to}'. (TS2322)`;
const count = (n: number, of: (i: number) => string): string => Array.from({ length: n }, (_, i) => of(i)).join("\n");
const lib = { "lib/x.ts": "export const x = 1;\n" };
const implicit = "export const f = (x) => x;\n";
const loose = {
  "tsconfig.json": `{ // with a comment\n "compilerOptions": { "strict": true, "noImplicitAny": false, }, }\n`,
};
const untyped = { "node_modules/plain/package.json": { name: "plain" }, "node_modules/plain/index.js": "" };
const usesPlain = `import { all } from "plain";\nexport const r = all<string>("x").map((l) => l);\n`;
const nodeTypes = {
  "step.ts": `import { readFileSync } from "node:fs";
const env: NodeJS.ProcessEnv = process.env;
setTimeout(() => console.log(env, Buffer.from("x")), 1);
export const lines = readFileSync("x", "utf8").split("\\n").map((l) => l.length);
`,
};

/** [what, files, the message] */
const refused: readonly (readonly [string, Files, string])[] = [
  ["a type error", { "step.ts": `\nexport const x: number = "a";\n` }, mismatch("step.ts:2:14")],
  [
    "an error in a file that step.ts imports",
    { "step.ts": `export * from "./sub/other.js";\n`, "sub/other.ts": `export const x: number = "a";\n` },
    mismatch("sub/other.ts:1:14"),
  ],
  [
    "wrong use of moproc, of its models and of the runtime",
    { "step.ts": `${graph}b.finish(3);\nnn.linear(b);\nload(4);\n` },
    "step.ts:5:10: Argument of type 'number' is not assignable to parameter of type 'readonly Value[]'. (TS2345)\n" +
      "step.ts:6:4: Expected 3-4 arguments, but got 1. (TS2554)\n" +
      "step.ts:7:6: Argument of type 'number' is not assignable to parameter of type 'string'. (TS2345)",
  ],
  [
    "more than ten errors",
    { "step.ts": count(12, (i) => `export const v${i}: number = "a";`) },
    `${count(10, (i) => mismatch(`step.ts:${i + 1}:14`))}\nand 2 more`,
  ],
  [
    "a missing file that is imported for its types, which the bundler does not miss",
    { "step.ts": `import type { T } from "./nowhere.js";\nexport const x: T = 1;\n` },
    "step.ts:1:24: Cannot find module './nowhere.js' or its corresponding type declarations. (TS2307)",
  ],
  [
    "an implicit any, without settings of the user",
    { "step.ts": implicit },
    "step.ts:1:19: Parameter 'x' implicitly has an 'any' type. (TS7006)",
  ],
  [
    "an error beside imports without types",
    { "step.ts": `${usesPlain}export const n: number = "a";\n`, ...untyped },
    mismatch("step.ts:3:14"),
  ],
  [
    "an error that only the paths of the user's settings show, in a folder above",
    {
      "step.ts": `import { x } from "@lib/x";\nexport const s: string = x;\n`,
      "tsconfig.json": { extends: "./base/tsconfig.json" },
      "base/tsconfig.json": { compilerOptions: { paths: { "@lib/*": ["../lib/*"] } } },
      ...lib,
    },
    mismatch("step.ts:2:14", "number", "string"),
  ],
  [
    "an implicit any that settings outside of the user's package permit",
    { "sub/step.ts": implicit, "sub/package.json": {}, ...loose },
    "sub/step.ts:1:19: Parameter 'x' implicitly has an 'any' type. (TS7006)",
  ],
  [
    "settings that contradict each other",
    { "step.ts": "", "tsconfig.json": { compilerOptions: { module: "preserve", jsxFactory: "1 2" } } },
    "tsconfig.json: Invalid value for 'jsxFactory'. '1 2' is not a valid identifier or qualified-name. (TS5067); " +
      "correct it, or use --no-type-check",
  ],
  [
    "settings that extend a file that does not exist",
    { "step.ts": "", "tsconfig.json": { extends: "./nowhere.json" } },
    "tsconfig.json: Cannot read file 'nowhere.json'. (TS5083); correct it, or use --no-type-check",
  ],
  [
    "a setting of the wrong type",
    { "step.ts": "", "tsconfig.json": `{ "compilerOptions": { "strict": "maybe" } }` },
    "tsconfig.json:1:34: Compiler option 'strict' requires a value of type boolean. (TS5024); " +
      "correct it, or use --no-type-check",
  ],
];
for (const [what, files, message] of refused)
  test.serial(`refused: ${what}`, async (t) => {
    t.deepEqual(await said(files), [`refused: ${message}`]);
  });

const missing = (names: string): string =>
  `step.ts: uses of ${names} were not checked, because type declarations are missing`;

/** [what, files, notes] */
const accepted: readonly (readonly [string, Files, ...string[]])[] = [
  [
    "imports of .js and .ts, and JSON",
    {
      "step.ts": `import { x } from "./lib/x.js";\nimport { x as y } from "./lib/x.ts";\nimport d from "./d.json";
export const s: number = x + y + d.n;\n`,
      "d.json": { n: 1 },
      ...lib,
    },
  ],
  ["globals and modules of Node", nodeTypes],
  [
    "the same without their types",
    { ...nodeTypes, "tsconfig.json": { compilerOptions: { types: [], strict: true, lib: ["es2023"] } } },
    `${missing("node:fs, NodeJS, process, setTimeout, console, Buffer")}; npm install -D @types/node`,
  ],
  ["a package without types", { "step.ts": usesPlain, ...untyped }, missing("plain")],
  [
    "a file that only the bundler reads",
    { "step.ts": `import text from "./a.txt";\nexport default text.split("x").map((l) => l);\n`, "a.txt": "x" },
    missing("./a.txt"),
  ],
  [
    "an error in a package's own source",
    {
      "step.ts": `export * from "p";\n`,
      "node_modules/p/package.json": { name: "p", main: "./p.ts" },
      "node_modules/p/p.ts": `export const x: number = "a";\n`,
    },
  ],
  ["an implicit any that the user's settings permit", { "step.ts": implicit, ...loose }],
  ["an implicit any that settings in a folder above permit", { "sub/step.ts": implicit, ...loose }],
  [
    "a type that a declaration file of the user's project declares",
    {
      "step.ts": "export const s: Sizes = { n: 1 };\n",
      "types/sizes.d.ts": "interface Sizes { n: number }\n",
      "tsconfig.json": {},
    },
  ],
  [
    "types of the user's settings, of which one is not installed",
    {
      "step.ts": "export const v: number = VITE;\n",
      "tsconfig.json": { compilerOptions: { types: ["vite/client", "nowhere"] } },
      "node_modules/vite/client.d.ts": "declare const VITE: number;\n",
    },
    missing("nowhere"),
  ],
  [
    "settings for a library, which would write files",
    {
      "step.ts": "export const x = (() => { class C { private a = 1 } return new C(); })();\n",
      "tsconfig.json": {
        compilerOptions: { composite: true, isolatedDeclarations: true, rootDir: "src", outDir: "dist" },
        include: ["src"],
      },
    },
  ],
  [
    "a package of CommonJS with strict module syntax, which the bundler does not mind",
    {
      "step.ts": `${graph}await load("x");\nexport default [b, nn];\n`,
      "package.json": { type: "commonjs" },
      "tsconfig.json": { compilerOptions: { module: "nodenext", verbatimModuleSyntax: true } },
    },
  ],
];
for (const [what, files, ...notes] of accepted)
  test.serial(`accepted: ${what}`, async (t) => {
    t.deepEqual(await said(files), notes);
  });

for (const example of ["mlp.ts", "cnn.ts"])
  test.serial(`accepted: ${example} of docs/, in the clone and in a folder of the user's`, async (t) => {
    const file = join(root, "docs", "examples", example);
    t.deepEqual(await checkTypes(file), []);
    t.deepEqual(await said({ "step.ts": readFileSync(file, "utf8") }), []);
  });

const wrong = { "step.ts": `export const x: number = "a";\n` };
const fake = (version: string, script: string): Files => ({
  ...wrong,
  "node_modules/typescript/package.json": { name: "typescript", version, bin: { tsc: "./tsc.cjs" } },
  "node_modules/typescript/tsc.cjs": script,
});

test.serial("without TypeScript a note says how to install it", async (t) => {
  const note = "step.ts was not type-checked: TypeScript is not installed; npm install -D typescript";
  t.deepEqual(await said(wrong, "step.ts"), [note]);
});

test.serial("the user's TypeScript is used; if it is too old or crashes, a note says so", async (t) => {
  t.deepEqual(await said(fake("5.4.2", "")), []);
  const [old] = await said(fake("5.3.3", ""));
  t.regex(String(old), /^step\.ts was not type-checked: this needs TypeScript 5\.4 or newer, not 5\.3; npm install/);
  const [crash] = await said(fake("6.0.0", "throw new Error('no more');"));
  t.regex(String(crash), /^step\.ts was not type-checked: .*tsc\.cjs: exit code 1: Error: no more$/);
  const [killed] = await said(fake("6.0.0", "process.kill(process.pid, 'SIGKILL'); setTimeout(() => {}, 1e5);"));
  t.regex(String(killed), /^step\.ts was not type-checked: .*tsc\.cjs: SIGKILL$/);
});

/** Runs moproc compile in a folder with these files, to which a link leads, as in a shell that was there. */
function compile(files: Files, ...args: readonly string[]) {
  const cwd = folder(files);
  const link = join(scratch, "links", "to", basename(cwd));
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(cwd, link);
  const main = join(root, "build", "js", "tools", "cli", "main.js");
  const env = { ...process.env, PWD: link };
  const r = spawnSync(process.execPath, [main, "compile", ...args], { cwd: link, env, encoding: "utf8" });
  return { status: r.status, out: r.stdout, err: r.stderr, files: readdirSync(cwd).sort() };
}

const runs = `console.log("it runs");
import { Builder, ops } from "moproc";
import { n } from "./other.ts";
const b = Builder.create("s");
export const programs = () => [b.finish([ops.relu(b, b.input("x", { dtype: "f32", shape: [n] }))])];
`;

test.serial("moproc compile runs nothing of a file with type errors, unless it is told not to check", (t) => {
  const files = { "step.ts": runs, "other.ts": `export const n: number = 3;\nexport const s: string = n;\n` };
  const r = compile(files, "step.ts", "--stop-after", "expand");
  t.deepEqual(r, {
    status: 2,
    out: "",
    err: `moproc compile: ${mismatch("other.ts:2:14", "number", "string")}\n`,
    files: ["other.ts", "step.ts"],
  });
  const told = compile(files, "step.ts", "--stop-after", "expand", "--no-type-check");
  t.is(told.status, 0, told.err);
  t.regex(told.out, /^it runs\n.*relu/s);
  t.is(told.err, "");
});

test.serial("moproc compile goes on after a note; the bundler refuses what does not exist", (t) => {
  const files = { "step.ts": `import "plain";\n${runs}`, "other.ts": `export const n = 3;\n` };
  const r = compile({ ...files, ...fake("5.3.3", ""), ...untyped, ...files }, "step.ts", "--stop-after", "expand");
  t.is(r.status, 0, r.err);
  t.regex(r.err, /^note: step\.ts was not type-checked: [^\n]*\n$/);
  const absent = compile(files, "step.ts", "--stop-after", "expand");
  t.is(absent.status, 2);
  t.regex(absent.err, /^moproc compile: step\.ts: .*\n.*Could not resolve "plain"/);
  t.is(absent.out, "");
});

test.serial("--no-type-check is refused where nothing is type-checked", (t) => {
  for (const args of [[], ["step.js"], ["a.onnx"]]) {
    const r = compile({ "step.js": "" }, ...args, "--no-type-check");
    t.is(r.status, 2);
    t.regex(r.err, /^moproc compile: --no-type-check: /);
  }
});
