// Makes the page of a run from its metrics.jsonl. A resumed run has lines of several processes. If several lines are
// for one step, the last one counts.

import { existsSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { page } from "./page.js";
import type { Curve, TrainData } from "./train_data.js";

type Line = Readonly<Record<string, string | number>>;

const POINTS = 1500; // per curve, at most

/** The page of the run in `folder`. Rejects, naming the file, if it is missing, or has a line that is not a record. */
export async function trainPage(folder: string): Promise<string> {
  const file = join(folder, "metrics.jsonl");
  if (!existsSync(file)) throw new Error(`${file}: no such file; a training run writes it to its --exp-dir`);
  const lines = readFileSync(file, "utf8")
    .split("\n")
    .filter((l) => l !== "")
    .map((text, i): Line => {
      try {
        return JSON.parse(text) as Line;
      } catch {
        throw new Error(`${file} line ${i + 1}: is not a record of a run`);
      }
    });
  const data = trainData(basename(resolve(folder)), lines);
  return page({ title: `moproc: ${data.title}`, client: "train", data });
}

/** The data of the page of the run called `name`, from the records in its metrics.jsonl. */
export function trainData(name: string, lines: readonly Line[]): TrainData {
  const number = (l: Line, key: string): number => l[key] as number;
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
  const sets = [...new Set(evaluations.map((l) => String(l.set ?? "")))];
  const label = (set: string): string => (set === "" ? "validation" : set);
  const noisy = epochs.filter((l) => typeof l.dropped === "number" && typeof l.corrected === "number");
  const seen = steps.at(-1);
  const perEpoch = seen
    ? number(seen, "samples") / (number(seen, "epoch") + number(seen, "step") / number(seen, "steps"))
    : 1;
  const share = (key: string): number[] => noisy.map((l) => (100 * number(l, key)) / perEpoch);
  return {
    title: `${start.verb ?? "train"} ${name}`,
    settings: pick(start, (k) => !environmentKeys.includes(k) && k !== "event"),
    environment: pick(start, (k) => environmentKeys.includes(k)),
    tiles: tiles(
      sets.map(label),
      sets.map((s) => evaluations.filter((l) => String(l.set ?? "") === s)),
      epochs,
      steps,
    ),
    loss: present([
      curve("loss", steps, "samples", "loss_avg"),
      curve("classes", steps, "samples", "loss_cls_avg"),
      curve("instances", steps, "samples", "loss_inst_avg"),
      curve("prototypes", steps, "samples", "loss_proto_avg"),
    ]),
    accuracy: present([
      curve("training, classes", epochs, "epoch", "acc_cls_avg"),
      curve("training, instances", epochs, "epoch", "acc_inst_avg"),
      curve("training, prototypes", epochs, "epoch", "acc_proto_avg"),
      ...sets.flatMap((s) => {
        const own = evaluations.filter((l) => String(l.set ?? "") === s);
        return [curve(`${label(s)}, top-1`, own, "epoch", "top1"), curve(`${label(s)}, top-5`, own, "epoch", "top5")];
      }),
    ]),
    rate: present([curve("learning rate", epochs, "epoch", "lr")]),
    speed: present([curve("images per second", steps, "samples", "images_per_s")]),
    noise: {
      epochs: noisy.map((l) => number(l, "epoch")),
      corrected: share("corrected"),
      dropped: share("dropped"),
      kept: noisy.map((_, i) => 100 - (share("corrected")[i] as number) - (share("dropped")[i] as number)),
    },
  };
}

const environmentKeys = ["device", "threads", "workers", "plan", "plan_digest", "started", "host"];

const pick = (l: Line, keep: (key: string) => boolean): Line =>
  Object.fromEntries(Object.entries(l).filter(([k]) => keep(k)));

function tiles(
  names: readonly string[],
  sets: readonly (readonly Line[])[],
  epochs: readonly Line[],
  steps: readonly Line[],
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
