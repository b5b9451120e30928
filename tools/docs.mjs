// npm run docs: writes the table of ops into docs/api.md, and docs/benchmarks/tiles.md. Tests fail if they are out of
// date.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nodeModules, quiet, root, runSteps, typescript } from "./setup/steps.mjs";

runSteps([
  ["npm packages", nodeModules],
  ["compiler (TypeScript)", () => typescript()],
]);
const { BEGIN, END, opTable } = await import("../build/js/tools/docs/op_table.js");
const { tilePage } = await import("../build/js/tools/docs/tile_table.js");
const page = join(root, "docs", "api.md");
const old = readFileSync(page, "utf8");
const [from, to] = [old.indexOf(BEGIN), old.indexOf(END)];
if (from < 0 || to < from) throw new Error(`${page}: the marks around the table are missing`);
writeFileSync(page, `${old.slice(0, from + BEGIN.length)}\n\n${opTable()}\n\n${old.slice(to)}`);
const tiles = join(root, "docs", "benchmarks", "tiles.md");
writeFileSync(tiles, tilePage());
quiet(join(root, "node_modules", ".bin", "biome"), ["format", "--write", page, tiles]); // it pads the tables
console.log(`${page}\n${tiles}`);
