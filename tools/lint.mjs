// npm run lint: runs biome over JavaScript and TypeScript (rules and format), and clang-format over C++ and CUDA.
// `--write` corrects what needs no decision. Exits with 1 if a finding is left.

import { checkStyle } from "./testing/style.mjs";

const findings = checkStyle({ write: process.argv.includes("--write") });
for (const { what, text } of findings) console.error(`${what}:\n${text}`);
console.log(findings.length === 0 ? "lint: no findings" : `lint: ${findings.map((f) => f.what).join(" and ")}`);
process.exitCode = findings.length === 0 ? 0 : 1;
