/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
// Elements, tables that are sorted by a click, and charts that are resized with the window.

import { BarChart, HeatmapChart, LineChart } from "echarts/charts";
import {
  GridComponent,
  LegendComponent,
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
}

/** A table that a click on the head of a column sorts by that column; a second click reverses the order. */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[], by: number): HTMLElement {
  const body = el("tbody");
  let sorted = by;
  let up = false;
  const heads = columns.map((c, i) => {
    const pick = (): void => {
      up = sorted === i ? !up : typeof columns[i]?.value(rows[0] as T) === "string";
      sorted = i;
      fill();
    };
    const key = (e: Event): void => {
      if ((e as KeyboardEvent).key === "Enter") pick();
    };
    const text = rows.length > 0 && typeof c.value(rows[0] as T) === "string";
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
    const cell = (c: Column<T>, row: T): HTMLElement => {
      const v = c.value(row);
      return el(
        "td",
        typeof v === "string" ? { class: "text" } : {},
        c.show?.(row) ?? (typeof v === "number" ? whole(v) : v),
      );
    };
    body.replaceChildren(...rows.toSorted(order).map((row) => el("tr", {}, ...columns.map((c) => cell(c, row)))));
  };
  if (rows.length > 0) fill();
  return el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body));
}

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
