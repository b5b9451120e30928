// npm test -- --times: makes a table of the time that each part takes, prints it and writes it into docs/testing.md.

import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { delimiter, join } from "node:path";
import { quiet, root } from "../setup/steps.mjs";

const page = join(root, "docs", "testing.md");
const [begin, end] = ["<!-- times: npm test -- --times writes what follows -->", "<!-- /times -->"];

/** In runs with --times, a command that also records its time; otherwise the same command. */
export const timed = (part, name, command) =>
  process.env.MOPROC_TIMES ? [join(root, "tools", "testing", "timed.sh"), part, name, ...command] : command;

/**
 * From now on processes record their times. Returns { countCompilers, finish }: countCompilers() makes g++ record its
 * time, too; finish(whole) prints the table and, if `whole`, writes it into the page.
 */
export function startTimes() {
  const folder = join(root, "build", "times");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "bin"), { recursive: true });
  const log = join(folder, "times.jsonl");
  writeFileSync(log, "");
  // The compiler of kernels is found on the PATH, so a wrapper that records its time is put in front of it.
  const compiler = join(folder, "bin", "g++");
  const real = quiet("bash", ["-c", "command -v g++"]).trim();
  writeFileSync(
    compiler,
    `#!/usr/bin/env bash
what=link
for a in "$@"; do
  case $a in
    -c) what=compile ;;
    c++-header) what=header ;;
    --version) exec ${real} "$@" ;;
  esac
done
exec "${join(root, "tools", "testing", "timed.sh")}" "g++ in tests" "$what" ${real} "$@"
`,
  );
  chmodSync(compiler, 0o755);
  process.env.MOPROC_TIMES = log;
  const start = performance.now();
  const countCompilers = () => {
    process.env.PATH = `${join(folder, "bin")}${delimiter}${process.env.PATH}`;
  };
  const finish = (whole) => {
    const records = readFileSync(log, "utf8")
      .split("\n")
      .filter((l) => l !== "")
      .map((l) => JSON.parse(l));
    const text = table(records, (performance.now() - start) / 1000);
    console.log(text);
    if (whole) writePage(text);
  };
  return { countCompilers, finish };
}

/** The table in Markdown: parts in the order in which they first ended; in each part the longest entry first. */
export function table(records, wall) {
  const parts = new Map();
  for (const r of records) {
    const part = parts.get(r.part) ?? new Map();
    parts.set(r.part, part);
    const sum = part.get(r.name) ?? { count: 0, wall: 0, cpu: 0 };
    part.set(r.name, { count: sum.count + 1, wall: sum.wall + r.wall, cpu: sum.cpu + r.cpu });
  }
  const rows = [...parts].flatMap(([part, names]) => {
    const sorted = [...names].sort((a, b) => b[1].cpu - a[1].cpu);
    const total = sorted.reduce((s, [, r]) => ({ wall: s.wall + r.wall, cpu: s.cpu + r.cpu }), { wall: 0, cpu: 0 });
    const lines = sorted.map(([name, r]) => [`${name}${r.count > 1 ? `, ${r.count} times` : ""}`, r.wall, r.cpu]);
    return [[`**${part}**`, total.wall, total.cpu], ...lines];
  });
  // The time that tests spend in g++ is already part of the seconds of their files.
  const cpu = records.filter((r) => r.part !== "g++ in tests").reduce((s, r) => s + r.cpu, 0);
  return [
    `${wall.toFixed(0)} s on ${availableParallelism()} cores, ${cpu.toFixed(0)} s of CPU time.`,
    "",
    "| part | wall s | CPU s |",
    "| --- | ---: | ---: |",
    ...rows.map(([name, w, c]) => `| ${name} | ${w.toFixed(1)} | ${c.toFixed(1)} |`),
  ].join("\n");
}

function writePage(text) {
  const old = readFileSync(page, "utf8");
  const [from, to] = [old.indexOf(begin), old.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${page}: the marks around the table are missing`);
  writeFileSync(page, `${old.slice(0, from + begin.length)}\n\n${text}\n\n${old.slice(to)}`);
  quiet(join(root, "node_modules", ".bin", "biome"), ["format", "--write", page]); // it pads the table
}
