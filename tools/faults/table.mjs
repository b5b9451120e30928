// The table of npm run faults, with one line per kind of fault.

const columns = [
  ["fault", (r) => r.fault],
  ["times", (r) => r.times],
  ["runs", (r) => r.runs],
  ["resumes", (r) => r.resumes],
  ["lost steps", (r) => r.lost_steps],
  ["differing bits", (r) => r.differing_bits],
  ["as expected", (r) => (r.unexpected.length === 0 ? "yes" : "NO")],
];

/** The rows as an aligned table, followed by everything unexpected. */
export function show(rows) {
  const cells = [columns.map(([name]) => name), ...rows.map((r) => columns.map(([, of]) => String(of(r))))];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i].length)));
  const line = (row) => row.map((c, i) => (i === 0 ? c.padEnd(widths[i]) : c.padStart(widths[i]))).join("  ");
  const notes = rows.flatMap((r) => r.unexpected.map((u) => `${r.fault}: ${u}`));
  const rule = widths.map((w) => "-".repeat(w)).join("  ");
  return `${[line(cells[0]), rule, ...cells.slice(1).map(line), ...notes].join("\n")}\n`;
}
