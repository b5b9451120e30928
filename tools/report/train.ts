// Makes the page of a run from its metrics.jsonl and evaluation.json.

import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { classData } from "./class_data.js";
import { page } from "./page.js";
import { counted, type Line, readLog } from "./run_log.js";
import type { Curve, PhaseMark, TrainData } from "./train_data.js";

const POINTS = 1500; // per curve, at most

/** The log of the run in `folder`. */
export const logOf = (folder: string): string => join(folder, "metrics.jsonl");

/**
 * The page of the run in `folder`. `note` is called with a sentence for each thing that is left out. Rejects, naming
 * the file, if the log is missing or has no record.
 */
export async function trainPage(folder: string, note: (text: string) => void): Promise<string> {
  const file = logOf(folder);
  if (!existsSync(file)) throw new Error(`${file}: no such file; a training run writes it to its --exp-dir`);
  const lines = readLog(file, note);
  if (lines.length === 0) throw new Error(`${file}: has no records yet; the run that writes it has not begun`);
  const data = trainData(basename(resolve(folder)), lines, classData(join(folder, "evaluation.json"), note));
  return page({ title: `moproc: ${data.title}`, client: "train", data });
}

const number = (l: Line, key: string): number => l[key] as number;

/** The data of the page of the run called `name`, from the records in its metrics.jsonl. */
export function trainData(
  name: string,
  all: readonly Line[],
  classes: Pick<TrainData, "names" | "classes"> = { names: null, classes: [] },
): TrainData {
  const lines = counted(all);
  // logs of earlier versions do not say where a process begins, so the last record of each place counts
  const of = (event: string, key: (l: Line) => string): readonly Line[] => [
    ...new Map(lines.filter((l) => l.event === event).map((l) => [key(l), l])).values(),
  ];
  const steps = [...of("train", (l) => `${l.samples}`)].sort((a, b) => number(a, "samples") - number(b, "samples"));
  const epochs = [...of("epoch", (l) => `${l.epoch}`)].sort((a, b) => number(a, "epoch") - number(b, "epoch"));
  const evaluations = [...of("evaluate", (l) => `${l.set ?? ""} ${l.epoch}`)].sort(
    (a, b) => number(a, "epoch") - number(b, "epoch"),
  );
  const start = lines.findLast((l) => l.event === "start") ?? {};

  const curve = (title: string, from: readonly Line[], x: string, y: string): Curve => ({
    name: title,
    points: thinned(from.filter((l) => typeof l[y] === "number").map((l) => [number(l, x), number(l, y)] as const)),
  });
  const present = (curves: readonly Curve[]): readonly Curve[] => curves.filter((c) => c.points.length > 0);
  const losses = (from: readonly Line[], x: string, end: string): readonly Curve[] =>
    present([
      curve("loss", from, x, `loss${end}`),
      curve("classes", from, x, `loss_cls${end}`),
      curve("instances", from, x, `loss_inst${end}`),
      curve("prototypes", from, x, `loss_proto${end}`),
    ]);
  const accuracies = (from: readonly Line[], x: string, end: string): readonly Curve[] => [
    curve("training, classes", from, x, `acc_cls${end}`),
    curve("training, instances", from, x, `acc_inst${end}`),
    curve("training, prototypes", from, x, `acc_proto${end}`),
  ];
  const sets = [...new Set(evaluations.map((l) => String(l.set ?? "")))];
  const label = (set: string): string => (set === "" ? "validation" : set);
  const noisy = epochs.filter((l) => typeof l.dropped === "number" && typeof l.corrected === "number");
  const seen = steps.at(-1);
  const perEpoch = seen
    ? number(seen, "samples") / (number(seen, "epoch") + number(seen, "step") / number(seen, "steps"))
    : 1;
  const share = (key: string): number[] =>
    noisy.map((l) => (100 * number(l, key)) / (typeof l.labels === "number" ? l.labels : perEpoch));
  return {
    title: `${start.verb ?? "train"} ${name}`,
    dataset: String(start.data_name ?? ""),
    settings: pick(start, (k) => !environmentKeys.includes(k) && k !== "event" && !k.startsWith("from_")),
    environment: pick(start, (k) => environmentKeys.includes(k)),
    tiles: tiles(
      sets.map(label),
      sets.map((s) => evaluations.filter((l) => String(l.set ?? "") === s)),
      epochs,
      steps,
      all.filter((l) => l.event === "start").length,
    ),
    warnings: lines
      .filter((l) => l.event === "health")
      .map((l) => ({ epoch: number(l, "epoch"), text: String(l.text) })),
    phases: phasesOf(steps),
    stepLoss: losses(steps, "samples", ""),
    loss: losses(epochs, "epoch", "_avg"),
    stepAccuracy: present(accuracies(steps, "samples", "")),
    accuracy: present([
      ...accuracies(epochs, "epoch", "_avg"),
      ...sets.flatMap((s) => {
        const own = evaluations.filter((l) => String(l.set ?? "") === s);
        return [curve(`${label(s)}, top-1`, own, "epoch", "top1"), curve(`${label(s)}, top-5`, own, "epoch", "top5")];
      }),
    ]),
    rate: present([curve("learning rate", steps, "samples", "lr")]),
    speed: present([curve("images per second", steps, "samples", "images_per_s")]),
    noise: {
      epochs: noisy.map((l) => number(l, "epoch")),
      corrected: share("corrected"),
      dropped: share("dropped"),
      kept: noisy.map((_, i) => 100 - (share("corrected")[i] as number) - (share("dropped")[i] as number)),
    },
    ...classes,
  };
}

/** Where the phase changes. A phase begins with an epoch, so that is before the first record that has it. */
function phasesOf(steps: readonly Line[]): readonly PhaseMark[] {
  const marks: PhaseMark[] = [];
  steps.forEach((l, i) => {
    if (l.phase === marks.at(-1)?.name) return;
    const before = i === 0 ? 0 : number(steps[i - 1] as Line, "samples");
    marks.push({ name: String(l.phase), samples: before, epoch: number(l, "epoch") });
  });
  return marks;
}

const environmentKeys = [
  "moproc",
  "command",
  "cpu",
  "cores",
  "gpu",
  "device",
  "threads",
  "workers",
  "plan",
  "plan_digest",
  "started",
  "host",
];

const pick = (l: Line, keep: (key: string) => boolean): Line =>
  Object.fromEntries(Object.entries(l).filter(([k]) => keep(k)));

function tiles(
  names: readonly string[],
  sets: readonly (readonly Line[])[],
  epochs: readonly Line[],
  steps: readonly Line[],
  starts: number,
): readonly (readonly [string, string])[] {
  const accuracy = names.flatMap((name, i) => {
    const own = sets[i] ?? [];
    const best = own.reduce((a, b) => ((b.top1 as number) > (a.top1 as number) ? b : a), own[0] as Line);
    const last = own.at(-1) as Line;
    return [
      [`${name}, best top-1 (epoch ${best.epoch})`, `${(best.top1 as number).toFixed(2)} %`],
      [`${name}, last top-1 / top-5`, `${(last.top1 as number).toFixed(2)} / ${(last.top5 as number).toFixed(2)} %`],
    ] as const;
  });
  const speeds = steps.map((l) => l.images_per_s as number).sort((a, b) => a - b);
  const seconds = epochs.reduce((s, l) => s + (l.seconds as number), 0);
  return [
    ...accuracy,
    ["epochs", `${epochs.length}`],
    ...(starts > 1 ? [["times that the run was started", `${starts}`] as const] : []),
    ...(speeds.length > 0
      ? [["images per second, median", (speeds[speeds.length >> 1] as number).toFixed(0)] as const]
      : []),
    [
      "time in epochs",
      `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(Math.floor(seconds % 60))}`,
    ],
  ];
}

const two = (n: number): string => String(n).padStart(2, "0");

/** At most POINTS points of a curve, including its first and last. */
function thinned(points: readonly (readonly [number, number])[]): readonly (readonly [number, number])[] {
  if (points.length <= POINTS) return points;
  const last = points.length - 1;
  return Array.from(
    { length: POINTS },
    (_, i) => points[Math.round((i * last) / (POINTS - 1))] as readonly [number, number],
  );
}
