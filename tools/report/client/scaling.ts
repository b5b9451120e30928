/// <reference lib="dom" />
// The page about scaling: the measurements on this machine, the bytes sent, and the simulation of many GPUs.

import type { Measured, ScalingData, Simulated, SimulatedStep, Wire } from "../scaling_data.js";
import { type Column, chart, el, pageData, table, tip } from "./dom.js";

const data = pageData<ScalingData>();
const hues = ["#2f6fb3", "#d98e1f", "#2f8f83", "#c4513a", "#7a5ea8", "#7d8794"];
const share = (x: number): string => `${(100 * x).toFixed(1)} %`;
const ms = (us: number): string => `${(us / 1e3).toFixed(2)}`;
const mb = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e8 ? 2 : 0);

interface Series {
  readonly name: string;
  readonly points: readonly (readonly [number, number])[];
  readonly hue: number; // index into hues
  readonly dashed: boolean;
}

/** Curves over powers of two. */
function curves(caption: string, x: string, y: string, of: readonly Series[], more: object = {}): HTMLElement {
  return chart(caption, {
    color: hues,
    grid: { left: 64, right: 24, top: 24 + 22 * Math.ceil(of.length / 2), bottom: 44 },
    legend: { top: 0, left: "left", data: of.map((s) => s.name) },
    tooltip: {
      trigger: "axis",
      valueFormatter: (v: number) => v.toLocaleString("en-US", { maximumFractionDigits: 2 }),
    },
    xAxis: { type: "log", logBase: 2, name: x, nameLocation: "middle", nameGap: 28, min: "dataMin", max: "dataMax" },
    yAxis: { type: "value", name: y, nameLocation: "middle", nameGap: 46, ...more },
    series: of.map((s) => ({
      name: s.name,
      type: "line",
      data: s.points,
      symbolSize: 5,
      color: hues[s.hue % hues.length],
      lineStyle: { type: s.dashed ? "dashed" : "solid" },
    })),
  });
}

interface Bars {
  readonly name: string;
  readonly values: readonly number[];
}

function bars(caption: string, y: string, names: readonly string[], of: readonly Bars[], log = false): HTMLElement {
  return chart(caption, {
    color: hues,
    grid: { left: 64, right: 20, top: 40, bottom: 44 },
    legend: { top: 0, left: "left" },
    tooltip: {
      trigger: "axis",
      valueFormatter: (v: number) => v.toLocaleString("en-US", { maximumFractionDigits: 1 }),
    },
    xAxis: { type: "category", data: names },
    yAxis: { type: log ? "log" : "value", name: y, nameLocation: "middle", nameGap: 46 },
    series: of.map((s) => ({ name: s.name, type: "bar", data: s.values })),
  });
}

const tile = (what: string, value: string): HTMLElement =>
  el("div", { class: "tile", "data-what": what }, el("b", {}, value), el("span", {}, what));

function measured(m: Measured): readonly HTMLElement[] {
  const { network, image_size, images_a_rank, cores, cpu } = m.settings;
  return [
    el("h2", {}, "Measured: two ranks on this machine"),
    el(
      "p",
      {},
      `${network} at ${image_size} pixels, ${images_a_rank} images and one thread per rank, ${cores} cores ` +
        `(${cpu}); medians of ${m.rounds.length} rounds in which all three took turns. `,
      `Other processes used ${share(m.others.median)} of the cores ` +
        `meanwhile${m.disturbed ? ": the times say little, compare the processor time" : ""}.`,
    ),
    el(
      "div",
      { class: "tiles" },
      tile("weak scaling, one rank / two", share(m.efficiency.median)),
      tile("limit of the machine, one rank / two independent runs", share(m.machine.median)),
      tile("share of that limit that two ranks reach", share(m.talking.median)),
      tile("processor time, two runs / two ranks", share(m.cpu.median)),
      tile("share of a step in which rank 0 waited for the other", share(m.waited.median)),
    ),
    el(
      "div",
      { class: "charts" },
      bars(
        "Step time in each round",
        "ms",
        m.rounds.map((_, i) => `${i + 1}`),
        [
          { name: "one rank", values: m.rounds.map((r) => 1e3 * r.alone) },
          { name: "two independent runs", values: m.rounds.map((r) => 1e3 * r.apart) },
          { name: "two ranks", values: m.rounds.map((r) => 1e3 * r.together) },
        ],
      ),
    ),
  ];
}

const wireColumns: readonly Column<Wire>[] = [
  { title: "images per rank", value: (r) => r.images_a_rank },
  { title: "ranks", value: (r) => r.ranks },
  { title: "phase", value: (r) => r.phase },
  { title: "sent, MB", value: (r) => r.sent.total, show: (r) => mb(r.sent.total) },
  { title: "gradients", value: (r) => r.sent.gradients ?? 0, show: (r) => mb(r.sent.gradients ?? 0) },
  { title: "/ least", value: (r) => r.sent.total / r.least, show: (r) => (r.sent.total / r.least).toFixed(4) },
  { title: "keys exchanged", value: (r) => r.exchange, show: (r) => mb(r.exchange) },
  { title: "published, in PyTorch", value: (r) => r.published.total, show: (r) => mb(r.published.total) },
  {
    title: "/ ours",
    value: (r) => r.published.total / r.sent.total,
    show: (r) => (r.published.total / r.sent.total).toFixed(2),
  },
];

function wire(rows: readonly Wire[]): readonly HTMLElement[] {
  const last = rows.filter((r) => r.phase === rows.at(-1)?.phase);
  return [
    el("h2", {}, "On the wire: what a rank sends in a step"),
    el(
      "p",
      {},
      "Counted from the plan. The published code's bytes follow from its algorithm. All use the same rule, that of " +
        "ring algorithms.",
    ),
    el(
      "div",
      { class: "charts" },
      bars(
        `MB per step, ${last[0]?.phase} phase`,
        "MB",
        last.map((r) => `${r.images_a_rank} x ${r.ranks}`),
        [
          { name: "least", values: last.map((r) => r.least / 1e6) },
          { name: "sent", values: last.map((r) => r.sent.total / 1e6) },
          { name: "keys exchanged", values: last.map((r) => r.exchange / 1e6) },
          { name: "published, in PyTorch", values: last.map((r) => r.published.total / 1e6) },
        ],
        true,
      ),
    ),
    table(rows, wireColumns, 0),
  ];
}

const stepColumns: readonly Column<SimulatedStep>[] = [
  { title: "images per GPU", value: (r) => r.images_a_gpu },
  { title: "GPUs", value: (r) => r.gpus },
  { title: "end", value: (r) => r.end },
  { title: "step, ms", value: (r) => r.step_us, show: (r) => ms(r.step_us) },
  { title: "kernels", value: (r) => r.kernels_us, show: (r) => ms(r.kernels_us) },
  { title: "collectives", value: (r) => r.collectives_us, show: (r) => ms(r.collectives_us) },
  { title: "not hidden", value: (r) => r.exposed_us, show: (r) => ms(r.exposed_us) },
  { title: "efficiency", value: (r) => r.efficiency, show: (r) => share(r.efficiency) },
  { title: "images/s, at most", value: (r) => Math.round(r.images_per_s) },
];

/** A curve for each name and each of the two assumptions (End); both curves of a name have one colour. */
function grouped<R extends SimulatedStep>(
  rows: readonly R[],
  of: (r: R) => readonly [number, number],
  name: (r: R) => string,
): readonly Series[] {
  const names = [...new Set(rows.map(name))];
  const found = new Map<string, { hue: number; dashed: boolean; points: (readonly [number, number])[] }>();
  for (const r of rows) {
    const key = `${name(r)}, ${r.end} end`;
    const curve = found.get(key) ?? { hue: names.indexOf(name(r)), dashed: r.end === "bad", points: [] };
    curve.points.push(of(r));
    found.set(key, curve);
  }
  return [...found].map(([key, curve]) => ({ name: key, ...curve }));
}

/** The timeline of what is sent, with one lane per kind. */
function timeline({ gpus, images_a_gpu, end, step_us, spans }: Simulated["timelines"][number]): HTMLElement {
  const lanes = [...new Set(spans.map((s) => s.kind))].reverse();
  return chart(`A step on ${gpus} GPUs, ${images_a_gpu} images each, ${end} end`, {
    color: hues,
    grid: { left: 84, right: 20, top: 16, bottom: 44 },
    tooltip: { trigger: "item", formatter: (p: { seriesName: string }) => tip(p.seriesName) },
    xAxis: { type: "value", name: "ms", nameLocation: "middle", nameGap: 28, min: 0, max: +(step_us / 1e3).toFixed(2) },
    yAxis: { type: "category", data: lanes },
    series: spans.map((s) => ({
      name: `${s.name || s.kind}: ${mb(s.bytes)} MB, ${ms(s.begin)} .. ${ms(s.end)} ms`,
      type: "line",
      symbol: "circle",
      symbolSize: 3,
      lineStyle: { width: 9, cap: "butt" },
      itemStyle: { color: hues[lanes.indexOf(s.kind) % hues.length] },
      data: [
        [s.begin / 1e3, s.kind],
        [s.end / 1e3, s.kind],
      ],
    })),
  });
}

function simulated(s: Simulated): readonly HTMLElement[] {
  const images = (r: SimulatedStep): string => `${r.images_a_gpu} images per GPU`;
  const least = Math.min(...s.steps.map((r) => r.images_a_gpu));
  const middle = [...new Set(s.steps.map((r) => r.gpus))].filter((_, i, all) => i === 0 || i === all.length >> 1);
  const plain = s.buckets.filter((b) => b.last_bytes === null && b.images_a_gpu === least && middle.includes(b.gpus));
  const changes = s.changes.filter((c) => c.images_a_gpu === least && c.end === "good");
  const label = (c: Simulated["changes"][number]): string =>
    c.slower > 1 ? `kernels ${c.slower} times slower` : c.change;
  return [
    el("h2", {}, "Simulated: 8 GPUs per node"),
    el(
      "p",
      {},
      `Nothing of this was run. ${s.settings.network}, ${s.settings.phase} phase: the plan's kernels with ` +
        "predicted times, its messages ",
      "with a model of NCCL's. Dashed lines: the pessimistic assumptions (the bad end).",
    ),
    el(
      "div",
      { class: "charts" },
      curves(
        "Efficiency compared with one GPU",
        "GPUs",
        "%",
        grouped(s.steps, (r) => [r.gpus, 100 * r.efficiency], images),
        { min: 0, max: 100 },
      ),
      curves(
        "Images per second, at most",
        "GPUs",
        "",
        grouped(s.steps, (r) => [r.gpus, r.images_per_s], images),
        { type: "log" },
      ),
      curves(
        `Step time by bucket size, ${least} images per GPU`,
        "MB",
        "ms",
        grouped(
          plain,
          (r) => [r.bucket_bytes / 1e6, r.step_us / 1e3],
          (r) => `${r.gpus} GPUs`,
        ),
        { scale: true },
      ),
      curves(
        `Efficiency with changes, ${least} images per GPU`,
        "GPUs",
        "%",
        grouped(changes, (r) => [r.gpus, 100 * r.efficiency], label),
        { min: 0, max: 100 },
      ),
      ...s.timelines.filter((t) => t.images_a_gpu === least || t.end === "bad").map(timeline),
    ),
    table(s.steps, stepColumns, 0),
  ];
}

document
  .querySelector("main")
  ?.append(
    el("h1", {}, "Scaling"),
    ...(data.measure ? measured(data.measure) : []),
    ...(data.wire ? wire(data.wire) : []),
    ...(data.simulate ? simulated(data.simulate) : []),
  );
