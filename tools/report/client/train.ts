/// <reference lib="dom" />
// The page about a training run: curves, corrected labels, settings and environment.

import type { Curve, TrainData } from "../train_data.js";
import { chart, el, pageData } from "./dom.js";

const data = pageData<TrainData>();
const hues = ["#2f6fb3", "#d98e1f", "#2f8f83", "#c4513a", "#7a5ea8", "#7d8794"];

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
      series: of.map((c) => ({
        name: c.name,
        type: "line",
        data: c.points,
        showSymbol: c.points.length < 60,
        symbolSize: 5,
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

const list = (of: Readonly<Record<string, string | number>>): HTMLElement =>
  el("dl", {}, ...Object.entries(of).flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, String(value))]));

document
  .querySelector("main")
  ?.append(
    el("h1", {}, data.title),
    el(
      "div",
      { class: "tiles" },
      ...data.tiles.map(([what, value]) =>
        el("div", { class: "tile", "data-what": what }, el("b", {}, value), el("span", {}, what)),
      ),
    ),
    el("h2", {}, "Curves"),
    el(
      "div",
      { class: "charts" },
      ...curves("Losses, mean of the epoch so far", data.loss, "images seen", ""),
      ...curves("Accuracy", data.accuracy, "epoch", "%"),
      ...noise(),
      ...curves("Learning rate", data.rate, "epoch", "", true),
      ...curves("Speed", data.speed, "images seen", "images/s"),
    ),
    el("h2", {}, "Settings"),
    list(data.settings),
    el("h2", {}, "Environment"),
    list(data.environment),
  );
