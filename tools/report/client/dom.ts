/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
// Elements, tables that are sorted by a click, and charts that are resized with the window.

import { BarChart, HeatmapChart, LineChart } from "echarts/charts";
import {
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  MarkLineComponent,
  TooltipComponent,
  VisualMapComponent,
} from "echarts/components";
import { type EChartsCoreOption, init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

use([
  BarChart,
  HeatmapChart,
  LineChart,
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  MarkLineComponent,
  TooltipComponent,
  VisualMapComponent,
  SVGRenderer,
]);

type Child = Node | string;

/** Makes an element with attributes and children. An attribute that is a function becomes a listener of that event. */
export function el(
  tag: string,
  attrs: Readonly<Record<string, string | ((e: Event) => void)>> = {},
  ...children: readonly Child[]
): HTMLElement {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs)) {
    if (typeof value === "string") e.setAttribute(name, value);
    else e.addEventListener(name, value);
  }
  e.append(...children);
  return e;
}

/** The page's data. */
export const pageData = <T>(): T => JSON.parse(document.getElementById("data")?.textContent ?? "null") as T;

export const whole = (n: number): string => n.toLocaleString("en-US");
export const percent = (part: number, all: number): string =>
  all === 0 ? "-" : `${((100 * part) / all).toFixed(1)} %`;
export const score = (x: number | null | undefined): string => (x === null || x === undefined ? "-" : x.toFixed(3));

export interface Column<T> {
  readonly title: string;
  value(row: T): string | number;
  readonly show?: (row: T) => string; // the text of a cell; absent: the value
  readonly text?: boolean; // aligned like text, although the value, by which rows are sorted, is a number
}

const FEW = 20; // rows of a table that needs no field to find some

/**
 * A table that a click on the head of a column sorts by that column; a second click reverses the order. Above a long
 * table is a field that shows only the rows in whose columns of text it finds what is written there.
 */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[], by: number): HTMLElement {
  const body = el("tbody");
  let sorted = by;
  let up = false;
  const isText = (c: Column<T>, row: T): boolean => c.text === true || typeof c.value(row) === "string";
  const shown = (c: Column<T>, row: T): string => {
    const v = c.value(row);
    return c.show?.(row) ?? (typeof v === "number" ? whole(v) : v);
  };
  const find = el("input", {
    type: "search",
    placeholder: "name or number",
    "aria-label": "find",
    input: () => fill(),
  }) as HTMLInputElement;
  const found = (row: T): boolean =>
    columns.some((c) => isText(c, row) && shown(c, row).toLowerCase().includes(find.value.toLowerCase()));
  const heads = columns.map((c, i) => {
    const pick = (): void => {
      up = sorted === i ? !up : typeof columns[i]?.value(rows[0] as T) === "string";
      sorted = i;
      fill();
    };
    const key = (e: Event): void => {
      if ((e as KeyboardEvent).key === "Enter") pick();
    };
    const text = rows.length > 0 && isText(c, rows[0] as T);
    return el("th", { scope: "col", tabindex: "0", class: text ? "text" : "", click: pick, keydown: key }, c.title);
  });
  const fill = (): void => {
    const { value } = columns[sorted] as Column<T>;
    const order = (a: T, b: T): number => {
      const [x, y] = [value(a), value(b)];
      return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1);
    };
    heads.forEach((h, i) => {
      if (i === sorted) h.setAttribute("aria-sort", up ? "ascending" : "descending");
      else h.removeAttribute("aria-sort");
    });
    const cell = (c: Column<T>, row: T): HTMLElement =>
      el("td", isText(c, row) ? { class: "text" } : {}, shown(c, row));
    const wanted = find.value === "" ? rows : rows.filter(found);
    body.replaceChildren(...wanted.toSorted(order).map((row) => el("tr", {}, ...columns.map((c) => cell(c, row)))));
  };
  if (rows.length > 0) fill();
  const scroll = el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body));
  if (rows.length <= FEW || !columns.some((c) => isText(c, rows[0] as T))) return scroll;
  return el("div", {}, el("div", { class: "controls" }, labelled("find ", find)), scroll);
}

/** What a tooltip shows about `text`. ECharts would take a string for markup, and names of classes are any text. */
export const tip = (text: string): HTMLElement => el("span", {}, text);

/** A chart with a caption, which is drawn when it is on the page. */
export function chart(caption: string, option: EChartsCoreOption, kind = ""): HTMLElement {
  const at = el("div", { class: `chart ${kind}`, role: "img", "aria-label": caption });
  requestAnimationFrame(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const draw = (): ReturnType<typeof init> => {
      const made = init(at, dark.matches ? "dark" : null, { renderer: "svg" });
      made.setOption({ animation: false, backgroundColor: "transparent", ...option });
      return made;
    };
    let drawn = draw();
    dark.addEventListener("change", () => {
      drawn.dispose();
      drawn = draw();
    });
    new ResizeObserver(() => drawn.resize()).observe(at);
  });
  return el("figure", {}, el("figcaption", {}, caption), at);
}

/** A class as it is shown everywhere: its number, and its name if it has one. */
export const classLabel = (c: number, name: string | null | undefined): string =>
  name === null || name === undefined || name === "" ? `class ${c}` : `${c} ${name}`;

const heat = ["#f5dfb8", "#d98e1f", "#7a3b00"] as const;

/** Up to five round numbers from 1 to `most`, both included. */
function marksTo(most: number): readonly number[] {
  const all = [0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(1 + share * (most - 1)));
  return [...new Set(all)];
}

/**
 * A heat map of numbers of images by two classes, with a colour bar and its numbers. `cells` are column, row, number;
 * cells that are missing have none. `hint` is the text about a cell.
 */
export function heatMap(
  caption: string,
  labels: readonly string[],
  axes: { readonly x: string; readonly y: string },
  cells: readonly (readonly [number, number, number])[],
  hint: (column: number, row: number, n: number) => string,
): HTMLElement {
  const most = Math.max(1, ...cells.map((c) => c[2]));
  const axis = { type: "category", data: labels, nameLocation: "middle", nameGap: 104 } as const;
  const interval = labels.length <= 12 ? 0 : "auto"; // auto: leaves out labels that would lie on others
  const axisLabel = { width: 92, overflow: "truncate", interval } as const;
  const figure = chart(
    caption,
    {
      grid: { left: 130, right: 16, top: 10, bottom: 124 },
      tooltip: { formatter: (p: { value: [number, number, number] }) => tip(hint(...p.value)) },
      xAxis: { ...axis, name: axes.x, axisLabel: { ...axisLabel, rotate: 60 } },
      yAxis: { ...axis, name: axes.y, inverse: true, axisLabel },
      visualMap: { show: false, min: most > 1 ? 1 : 0, max: most, inRange: { color: heat } },
      series: [{ type: "heatmap", data: cells, label: { show: labels.length <= 12, color: "inherit" } }],
    },
    "tall",
  );
  const numbers = marksTo(most).map((n) => el("span", {}, whole(n)));
  figure.append(
    el(
      "div",
      { class: "scale", role: "img", "aria-label": `colours: 1 to ${whole(most)} images` },
      el("span", {}, "images"),
      el(
        "div",
        {},
        el("div", { class: "bar", style: `background:linear-gradient(to right, ${heat.join(", ")})` }),
        el("div", { class: "numbers" }, ...numbers),
      ),
    ),
  );
  return figure;
}

/** A label and a field for it. */
export const labelled = (text: string, field: HTMLElement): HTMLElement => el("label", {}, text, field);

/** A list of choices. `choose` is called with the value that was picked. */
export function choice(
  name: string,
  options: readonly (readonly [value: string, shown: string])[],
  choose: (value: string) => void,
): HTMLSelectElement {
  return el(
    "select",
    { "aria-label": name, change: (e) => choose((e.target as HTMLSelectElement).value) },
    ...options.map(([value, shown]) => el("option", { value }, shown)),
  ) as HTMLSelectElement;
}
