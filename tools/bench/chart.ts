// Line charts as SVG files, which README pages and browsers show without a script, and the same numbers as a table.

/** A line: its points by x. */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Chart {
  readonly title: string;
  readonly x: string; // what the axes are, with units
  readonly y: string;
  readonly series: readonly Series[];
}

const WIDTH = 640;
const HEIGHT = 360;
const LEFT = 70;
const RIGHT = 20;
const TOP = 40;
const BOTTOM = 50;
const COLORS = ["#0b62a4", "#c4560c", "#2c7a2c", "#7a2c7a"];

const escaped = (s: string): string => s.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** About five round numbers from 0 to at least `most`. */
export function ticks(most: number): number[] {
  const rough = Math.max(most, 1e-9) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) as number;
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, i) => Number((i * step).toPrecision(12)));
}

/** The chart as SVG. Both axes begin at 0. Throws if there is no point. */
export function lineChart(c: Chart): string {
  const points = c.series.flatMap((s) => s.points);
  if (points.length === 0) throw new Error(`the chart ${c.title} has no points`);
  const xs = [...new Set(points.map(([x]) => x))].sort((a, b) => a - b);
  const ys = ticks(Math.max(...points.map(([, y]) => y)));
  const mostX = xs.at(-1) as number;
  const mostY = ys.at(-1) as number;
  const at = (x: number, y: number): readonly [number, number] => [
    LEFT + ((WIDTH - LEFT - RIGHT) * x) / mostX,
    HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * y) / mostY,
  ];
  const n = (v: number): string => v.toFixed(1);
  const text = (x: number, y: number, anchor: string, s: string, more = ""): string =>
    `<text x="${n(x)}" y="${n(y)}" text-anchor="${anchor}"${more}>${escaped(s)}</text>`;
  const line = (a: readonly [number, number], b: readonly [number, number], color: string): string =>
    `<line x1="${n(a[0])}" y1="${n(a[1])}" x2="${n(b[0])}" y2="${n(b[1])}" stroke="${color}"/>`;
  const grid = ys.flatMap((y) => [
    line(at(0, y), at(mostX, y), "#ddd"),
    text(LEFT - 8, at(0, y)[1] + 4, "end", `${y}`),
  ]);
  const marks = xs.map((x) => text(at(x, 0)[0], HEIGHT - BOTTOM + 18, "middle", `${x}`));
  const lines = c.series.flatMap((s, i) => {
    const color = COLORS[i % COLORS.length] as string;
    const placed = s.points.map(([x, y]) => at(x, y));
    const path = placed.map((p) => p.map(n).join(",")).join(" ");
    return [
      `<polyline fill="none" stroke="${color}" stroke-width="2" points="${path}"/>`,
      ...placed.map(([x, y]) => `<circle cx="${n(x)}" cy="${n(y)}" r="3" fill="${color}"/>`),
      text(LEFT + 10, TOP + 16 * (i + 1), "start", s.name, ` fill="${color}"`),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(c.title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(WIDTH / 2, 22, "middle", c.title, ' font-size="15"'),
    ...grid,
    ...marks,
    line(at(0, 0), at(mostX, 0), "#333"),
    line(at(0, 0), at(0, mostY), "#333"),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "middle", c.x),
    text(16, (HEIGHT - BOTTOM + TOP) / 2, "middle", c.y, ` transform="rotate(-90 16 ${(HEIGHT - BOTTOM + TOP) / 2})"`),
    ...lines,
    "</svg>",
    "",
  ].join("\n");
}

/** The points of a chart as a table: a row per x, a column per series. */
export function chartTable(c: Chart): string[] {
  const xs = [...new Set(c.series.flatMap((s) => s.points.map(([x]) => x)))].sort((a, b) => a - b);
  const cell = (s: Series, x: number): string => {
    const y = s.points.find(([at]) => at === x)?.[1];
    return y === undefined ? "" : `${Number(y.toPrecision(4))}`;
  };
  const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    row([c.x, ...c.series.map((s) => `${s.name}, ${c.y}`)]),
    `| --: |${c.series.map(() => " --: |").join("")}`,
    ...xs.map((x) => row([`${x}`, ...c.series.map((s) => cell(s, x))])),
  ];
}
