/// <reference lib="dom" />
// The page about a cleaning: the verdicts on the labels, by class, by score, and with images.

import { BINS, type ClassCount, type CleanData, type Verdict, verdicts } from "../clean_data.js";
import { type Column, chart, classLabel, el, heatMap, pageData, percent, table, whole } from "./dom.js";
import { gallery, hues } from "./gallery.js";

const data = pageData<CleanData>();
const { settings, images } = data;
const total = verdicts.reduce((n, v) => n + images[v], 0);
const name = (c: number): string => classLabel(c, data.classes[c]?.name);

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
  const cells = counts.flatMap((row, from) =>
    row.flatMap((n, to) => (n > 0 && from !== to ? [[to, from, n] as const] : [])),
  );
  const part =
    shown.length < data.classes.length
      ? `, the ${shown.length} of ${data.classes.length} classes with the most changes`
      : "";
  return heatMap(
    `Labels that were changed: given class (down) and assigned class (across)${part}`,
    labels,
    { x: "assigned", y: "given" },
    cells,
    (to, from, n) => `${labels[from]} → ${labels[to]}: ${whole(n)}`,
  );
}

interface ClassRow extends ClassCount {
  readonly number: number;
}
const classRows: readonly ClassRow[] = data.classes.map((c, number) => ({ ...c, number }));
const stay = (c: ClassCount): number => c.kept + c.from;
const classColumns: readonly Column<ClassRow>[] = [
  { title: "class", value: (c) => c.number, show: (c) => name(c.number), text: true },
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
  { title: "given", value: ([from]) => from, show: ([from]) => name(from), text: true },
  { title: "assigned", value: ([, to]) => to, show: ([, to]) => name(to), text: true },
  { title: "images", value: ([, , n]) => n },
  {
    title: "of the given class",
    value: ([from, , n]) => n / (data.classes[from]?.given ?? 1),
    show: ([from, , n]) => percent(n, data.classes[from]?.given ?? 0),
  },
];

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
        "the tooltips. The filters stay in the address of the page.",
    ),
    ...gallery(data),
    el("h2", {}, "Classes"),
    table(classRows, classColumns, 1),
    el("h2", {}, "Changes"),
    ...(data.moves.length > 0
      ? [confusion(), table(data.moves, moveColumns, 2)]
      : [el("p", {}, "No label was changed.")]),
  );
