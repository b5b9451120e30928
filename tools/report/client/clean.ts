/// <reference lib="dom" />
// The page about a cleaning: the verdicts on the labels, by class, by score, and with images.

import { BINS, type ClassCount, type CleanData, type Thumbnail, type Verdict, verdicts } from "../clean_data.js";
import { type Column, chart, el, pageData, percent, score, table, whole } from "./dom.js";

const hues: Readonly<Record<Verdict, string>> = {
  kept: "#2f8f83",
  relabelled: "#d98e1f",
  dropped: "#c4513a",
  unreadable: "#7d8794",
};
const data = pageData<CleanData>();
const { settings, images } = data;
const total = verdicts.reduce((n, v) => n + images[v], 0);
const name = (c: number | null | undefined): string =>
  c === null || c === undefined ? "-" : (data.classes[c]?.name ?? `class ${c}`);

function tiles(): HTMLElement {
  const tile = (v: Verdict): HTMLElement =>
    el(
      "div",
      { class: "tile", style: `--hue:${hues[v]}`, "data-verdict": v },
      el("b", {}, whole(images[v])),
      el("span", {}, `${v}, ${percent(images[v], total)}`),
    );
  const all = el("div", { class: "tile" }, el("b", {}, whole(total)), el("span", {}, "images judged"));
  return el("div", { class: "tiles" }, all, ...verdicts.filter((v) => v !== "unreadable" || images[v] > 0).map(tile));
}

function histogram(caption: string, of: CleanData["best"], threshold: number, what: string): HTMLElement {
  const line = {
    silent: true,
    symbol: "none",
    data: [{ xAxis: threshold * BINS - 0.5 }],
    lineStyle: { type: "dashed" },
    label: { formatter: what },
  };
  return chart(caption, {
    grid: { left: 56, right: 40, top: 52, bottom: 40 },
    legend: { top: 0, left: "left", data: ["kept", "relabelled", "dropped"] },
    tooltip: { trigger: "axis" },
    xAxis: [
      {
        type: "category",
        data: of.kept.map((_, i) => (i / BINS).toFixed(2)),
        name: "score",
        nameLocation: "middle",
        nameGap: 26,
      },
      { type: "value", min: -0.5, max: BINS - 0.5, show: false },
    ],
    yAxis: { type: "value" },
    series: [
      ...(["kept", "relabelled", "dropped"] as const).map((v) => ({
        name: v,
        type: "bar",
        stack: "all",
        barCategoryGap: "8%",
        itemStyle: { color: hues[v] },
        data: of[v],
      })),
      { name: what, type: "line", xAxisIndex: 1, data: [], markLine: line, color: "#7d8794" },
    ],
  });
}

function confusion(): HTMLElement {
  const { shown, counts } = data.confusion;
  const labels = shown.map(name);
  const cells = counts.flatMap((row, from) => row.flatMap((n, to) => (n > 0 && from !== to ? [[to, from, n]] : [])));
  const most = Math.max(1, ...cells.map((c) => c[2] as number));
  const part =
    shown.length < data.classes.length
      ? `, the ${shown.length} of ${data.classes.length} classes with the most changes`
      : "";
  return chart(
    `Labels that were changed: given class (down) and new class (across)${part}`,
    {
      grid: { left: 110, right: 16, top: 10, bottom: 130 },
      tooltip: {
        formatter: (p: { value: number[] }) =>
          `${labels[p.value[1] as number]} &rarr; ${labels[p.value[0] as number]}: ${whole(p.value[2] as number)}`,
      },
      xAxis: { type: "category", data: labels, axisLabel: { rotate: 60, width: 96, overflow: "truncate" } },
      yAxis: { type: "category", data: labels, inverse: true, axisLabel: { width: 96, overflow: "truncate" } },
      visualMap: {
        min: 1,
        max: most,
        orient: "horizontal",
        left: "center",
        bottom: 0,
        inRange: { color: ["#f5dfb8", "#d98e1f", "#7a3b00"] },
      },
      series: [{ type: "heatmap", data: cells }],
    },
    "tall",
  );
}

const stay = (c: ClassCount): number => c.kept + c.from;
const classColumns: readonly Column<ClassCount>[] = [
  { title: "class", value: (c) => c.name },
  { title: "given", value: (c) => c.given },
  { title: "kept", value: (c) => c.kept },
  { title: "moved away", value: (c) => c.away },
  { title: "dropped", value: (c) => c.dropped },
  { title: "kept share", value: (c) => (c.given === 0 ? -1 : c.kept / c.given), show: (c) => percent(c.kept, c.given) },
  { title: "moved here", value: (c) => c.from },
  { title: "in the annotation", value: stay },
];

type Move = CleanData["moves"][number];
const moveColumns: readonly Column<Move>[] = [
  { title: "given", value: ([from]) => name(from) },
  { title: "new label", value: ([, to]) => name(to) },
  { title: "images", value: ([, , n]) => n },
  {
    title: "of the given class",
    value: ([from, , n]) => n / (data.classes[from]?.given ?? 1),
    show: ([from, , n]) => percent(n, data.classes[from]?.given ?? 0),
  },
];

/** The orders of cards: those with lower values of the function come first. */
const orders: Readonly<Record<string, (t: Thumbnail) => number>> = {
  "smallest margin": (t) => t.margin ?? 1,
  "largest margin": (t) => -(t.margin ?? 0),
  "lowest score of the given class": (t) => t.score?.[0] ?? 1,
  "highest best score": (t) => -(t.score?.[1] ?? 0),
  "given class": (t) => t.given,
};

function card(t: Thumbnail): HTMLElement {
  const to = t.verdict === "relabelled" ? `${name(t.given)} → ${name(t.pseudo)}` : name(t.given);
  const both = (pair: Thumbnail["cls"]): string => `${score(pair?.[0])} / ${score(pair?.[1])}`;
  const hint =
    `${t.image}\ngiven ${name(t.given)}, best ${name(t.best)}\nclassifier ${both(t.cls)}\nprototypes ` +
    `${both(t.proto)}`;
  return el(
    "div",
    { class: "card", style: `--hue:${hues[t.verdict]}`, title: hint, "data-verdict": t.verdict, "data-image": t.image },
    el("img", { src: t.jpeg, alt: t.image, loading: "lazy" }),
    el("div", {}, to),
    el("div", {}, `given ${score(t.score?.[0])}`),
    el("div", {}, `best ${score(t.score?.[1])}`),
    el("div", {}, `margin ${score(t.margin)}`),
  );
}

function gallery(): readonly HTMLElement[] {
  const cards = el("div", { class: "cards" });
  let only: Verdict | undefined;
  let order = Object.keys(orders)[0] as string;
  const fill = (): void => {
    const by = orders[order] as (t: Thumbnail) => number;
    const shown = data.thumbnails
      .filter((t) => only === undefined || t.verdict === only)
      .toSorted((a, b) => by(a) - by(b));
    cards.replaceChildren(...shown.map(card));
    for (const b of buttons) b.setAttribute("aria-pressed", String(b.dataset.only === (only ?? "all")));
  };
  const show = (v: Verdict | undefined): void => {
    only = v;
    fill();
  };
  const sort = (e: Event): void => {
    order = (e.target as HTMLSelectElement).value;
    fill();
  };
  const button = (v: Verdict | undefined): HTMLElement =>
    el(
      "button",
      { type: "button", "data-only": v ?? "all", style: `--hue:${v ? hues[v] : "currentColor"}`, click: () => show(v) },
      v ?? "all",
    );
  const buttons = [undefined, "kept", "relabelled", "dropped"].map((v) => button(v as Verdict | undefined));
  const select = el(
    "select",
    { "aria-label": "sort by", change: sort },
    ...Object.keys(orders).map((o) => el("option", { value: o }, o)),
  );
  fill();
  return [el("div", { class: "controls" }, ...buttons, el("span", {}, "sort by"), select), cards];
}

const facts = Object.entries(settings).flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, String(value))]);
const uniform = 1 / settings.classes;
document
  .querySelector("main")
  ?.append(
    el("h1", {}, "What cleaning did to the labels"),
    tiles(),
    el("dl", {}, ...facts),
    el("h2", {}, "Scores"),
    el(
      "p",
      {},
      `The score of a class is ${settings.alpha} of the classifier's probability and ` +
        `${+(1 - settings.alpha).toFixed(6)} of the prototypes'. Above ${settings.pseudo_th} the best class ` +
        `becomes the label. Otherwise the given class stays if its score is above 1/${settings.classes}. ` +
        "Otherwise the image is dropped.",
    ),
    el(
      "div",
      { class: "charts" },
      histogram("Score of the best class", data.best, settings.pseudo_th, `--pseudo_th ${settings.pseudo_th}`),
      histogram("Score of the given class", data.given, uniform, `1/${settings.classes}`),
    ),
    el("h2", {}, "Images"),
    el(
      "p",
      {},
      "Some images of each verdict, chosen by a digest of their names. Scores of classifier and prototypes are in " +
        "the tooltips.",
    ),
    ...gallery(),
    el("h2", {}, "Classes"),
    table(data.classes, classColumns, 1),
    el("h2", {}, "Changes"),
    ...(data.moves.length > 0
      ? [confusion(), table(data.moves, moveColumns, 2)]
      : [el("p", {}, "No label was changed.")]),
  );
