// Formats tables and numbers for a terminal.

/** Rows of cells as text: the first column is aligned left, all others right; there is a line below the head. */
export function show(head, rows) {
  const cells = [head, ...rows].map((r) => r.map(String));
  const widths = head.map((_, i) => Math.max(...cells.map((r) => r[i].length)));
  const line = (r) =>
    r
      .map((c, i) => (i === 0 ? c.padEnd(widths[i]) : c.padStart(widths[i])))
      .join("  ")
      .trimEnd();
  return `${[line(cells[0]), widths.map((w) => "-".repeat(w)).join("  "), ...cells.slice(1).map(line)].join("\n")}\n`;
}

export const ms = (us, digits = 2) => (us / 1e3).toFixed(digits);
export const percent = (x) => `${(100 * x).toFixed(1)} %`;
export const whole = (x) => Math.round(x).toLocaleString("en-US");
export const mb = (bytes) => (bytes / 1e6 >= 100 ? whole(bytes / 1e6) : (bytes / 1e6).toFixed(bytes < 1e6 ? 3 : 1));

/** The median and quartiles of a list of numbers. */
export function spread(xs) {
  const sorted = xs.toSorted((a, b) => a - b);
  const q = (p) => {
    const at = p * (sorted.length - 1);
    const low = Math.floor(at);
    return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (at - low);
  };
  return { median: q(0.5), low: q(0.25), high: q(0.75) };
}
