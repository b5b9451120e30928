/// <reference lib="dom" />
// The page about a training run: curves, corrected labels, settings and environment.

import type { Curve, TrainData } from "../train_data.js";
import { classes } from "./classes.js";
import { chart, el, pageData } from "./dom.js";

const data = pageData<TrainData>();
const hues = ["#2f6fb3", "#d98e1f", "#2f8f83", "#c4513a", "#7a5ea8", "#7d8794"];
const shades = ["#8aa4c422", "#d9b36a2e", "#7fbfb02e"]; // of the phases, behind the curves

/** Bands behind the curves with the names of the phases. An epoch's value is drawn at its number, in its band. */
function phaseMarks(x: string, of: readonly Curve[]): object {
  const places = data.phases.map((p) => (x === "epoch" ? p.epoch - 0.5 : p.samples));
  const xs = of.flatMap((c) => c.points.map(([at]) => at));
  const [low, high] = [Math.min(...xs), Math.max(...xs)];
  return {
    silent: true,
    label: { position: "insideTop", fontSize: 11, color: "#7d8794" },
    data: data.phases.map((p, i) => [
      { name: p.name, xAxis: Math.max(low, places[i] as number), itemStyle: { color: shades[i % shades.length] } },
      { xAxis: Math.min(high, places[i + 1] ?? high) },
    ]),
  };
}

function curves(caption: string, of: readonly Curve[], x: string, y: string, log = false): readonly HTMLElement[] {
  if (of.length === 0) return [];
  return [
    chart(caption, {
      color: hues,
      grid: { left: 64, right: 20, top: of.length > 3 ? 64 : 40, bottom: 44 },
      legend: { show: of.length > 1, top: 0, left: "left", data: of.map((c) => c.name) },
      tooltip: { trigger: "axis" },
      xAxis: {
        type: "value",
        name: x,
        nameLocation: "middle",
        nameGap: 28,
        min: "dataMin",
        max: "dataMax",
        minInterval: x === "epoch" ? 1 : 0,
      },
      yAxis: { type: log ? "log" : "value", name: y, nameLocation: "middle", nameGap: 46, scale: true },
      series: of.map((c, i) => ({
        name: c.name,
        type: "line",
        data: c.points,
        showSymbol: c.points.length < 60,
        symbolSize: 5,
        lineStyle: { width: c.points.length > 400 ? 1 : 2 },
        ...(i === 0 && { markArea: phaseMarks(x, of) }),
      })),
    }),
  ];
}

function noise(): readonly HTMLElement[] {
  const { epochs, kept, corrected, dropped } = data.noise;
  if (epochs.length === 0) return [];
  const bar = (name: string, values: readonly number[], color: string) => ({
    name,
    type: "bar",
    stack: "all",
    itemStyle: { color },
    data: values.map((v) => +v.toFixed(3)),
  });
  return [
    chart("Labels in each epoch of the clean phase", {
      grid: { left: 64, right: 20, top: 40, bottom: 44 },
      legend: { top: 0, left: "left" },
      tooltip: { trigger: "axis" },
      xAxis: { type: "category", data: epochs, name: "epoch", nameLocation: "middle", nameGap: 28 },
      yAxis: { type: "value", name: "%", nameLocation: "middle", nameGap: 46, max: 100 },
      series: [
        bar("kept", kept, "#2f8f83"),
        bar("corrected", corrected, "#d98e1f"),
        bar("dropped", dropped, "#c4513a"),
      ],
    }),
  ];
}

function warnings(): readonly HTMLElement[] {
  if (data.warnings.length === 0) return [];
  const item = (w: (typeof data.warnings)[number]) => el("li", {}, el("b", {}, `Epoch ${w.epoch}: `), w.text);
  return [el("h2", {}, "Warnings"), el("ul", { class: "warnings" }, ...data.warnings.map(item))];
}

const list = (of: Readonly<Record<string, string | number | boolean>>): HTMLElement =>
  el(
    "dl",
    {},
    ...Object.entries(of).flatMap(([key, value]) => [
      el("dt", {}, key),
      el("dd", key === "command" ? { class: "command" } : {}, String(value)),
    ]),
  );

document
  .querySelector("main")
  ?.append(
    el("h1", {}, data.title),
    ...(data.dataset === "" ? [] : [el("p", { class: "dataset" }, `Data: ${data.dataset}`)]),
    el(
      "div",
      { class: "tiles" },
      ...data.tiles.map(([what, value]) =>
        el("div", { class: "tile", "data-what": what }, el("b", {}, value), el("span", {}, what)),
      ),
    ),
    ...warnings(),
    el("h2", {}, "Curves"),
    el(
      "div",
      { class: "charts" },
      ...curves("Losses of single steps", data.stepLoss, "images seen", ""),
      ...curves("Losses, mean of each epoch", data.loss, "epoch", ""),
      ...curves("Training accuracy of single steps", data.stepAccuracy, "images seen", "%"),
      ...curves("Accuracy, of each epoch", data.accuracy, "epoch", "%"),
      ...noise(),
      ...curves("Learning rate", data.rate, "images seen", "", true),
      ...curves("Speed", data.speed, "images seen", "images/s"),
    ),
    ...classes(data),
    el("h2", {}, "Settings"),
    list(data.settings),
    el("h2", {}, "Environment"),
    list(data.environment),
  );
