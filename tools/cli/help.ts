// Makes the page that --help prints: usage, purpose, flags by section with unit, default and range, and examples.

import type { Flag, Verb } from "./record.js";

const WIDTH = 120; // columns
const LEFT = 34; // columns for a flag and its unit

/** The page of the verb at `path`, such as "moproc weights fetch", with all its flags. */
export function helpPage(path: string, verb: Verb, flags: readonly Flag[]): string {
  const bySection = new Map<string, Flag[]>();
  for (const f of flags) bySection.set(f.section, [...(bySection.get(f.section) ?? []), f]);
  const rows = (heading: string, lines: readonly string[]): string[] =>
    lines.length > 0 ? [`${heading.charAt(0).toUpperCase()}${heading.slice(1)}:`, ...lines, ""] : [];
  return [
    `Usage: ${path} ${verb.usage}`.trimEnd(),
    "",
    ...wrap(verb.more === undefined ? verb.purpose : `${verb.purpose} ${verb.more}`, WIDTH),
    "",
    ...rows(
      "arguments",
      (verb.arguments ?? []).flatMap((a) => row(a.name, a.help)),
    ),
    ...rows(
      "verbs",
      (verb.verbs ?? []).flatMap((v) => row(v.name, v.purpose)),
    ),
    ...[...bySection].flatMap(([section, own]) =>
      rows(
        section,
        own.flatMap((f) => row(spelled(f), described(f))),
      ),
    ),
    ...(flags.length > 0 ? ["A '-' inside a flag may be written '_'.", ""] : []),
    ...rows(
      (verb.examples?.length ?? 0) > 1 ? "Examples" : "Example",
      (verb.examples ?? []).map((e) => `  ${e}`),
    ),
  ]
    .join("\n")
    .trimEnd()
    .concat("\n");
}

const spelled = (f: Flag): string => f.names.join(", ") + (f.unit === undefined ? "" : ` ${f.unit}`);

/** The sentence about a flag, then its range and default. */
export function described(f: Flag): string {
  const value = f.shown ?? (f.default === undefined || f.default === true ? undefined : String(f.default));
  const facts = [
    ...(f.needed ? ["needed"] : []),
    ...(f.kind?.range === undefined ? [] : [f.kind.range]),
    ...(value === undefined ? [] : [`default: ${value}`]),
  ];
  return f.help + (facts.length > 0 ? ` (${facts.join("; ")})` : "");
}

/** A name on the left and its description on the right, on as many lines as that needs. */
function row(left: string, right: string): string[] {
  const [first = "", ...more] = wrap(right, WIDTH - LEFT);
  const head = `  ${left}`.padEnd(LEFT - 2);
  const fits = head.length <= LEFT - 2;
  return [
    ...(fits ? [`${head}  ${first}`] : [head, " ".repeat(LEFT) + first]),
    ...more.map((l) => " ".repeat(LEFT) + l),
  ];
}

/** Lines of at most `width` columns, broken at spaces. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = "";
    }
    line += (line === "" ? "" : " ") + word;
  }
  return [...lines, line];
}
