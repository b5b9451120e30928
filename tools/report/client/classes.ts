/// <reference lib="dom" />
// The part of a run's page about its classes: accuracy per class, and what was confused with what.

import { type ClassEvaluation, MATRIX_CLASSES, type TrainData } from "../train_data.js";
import { type Column, choice, classLabel, el, heatMap, labelled, percent, table, whole } from "./dom.js";

interface Row {
  readonly c: number;
  readonly images: number;
  readonly right1: number;
  readonly right5: number;
  readonly seen: number; // the class that was seen most often instead; -1: none
  readonly times: number;
}

/** Nothing if the run has no evaluation with counts by class. */
export function classes({ classes: all, names }: TrainData): readonly HTMLElement[] {
  if (all.length === 0) return [];
  const label = (c: number): string => classLabel(c, names?.[c]);
  const body = el("div", { class: "evaluation" });
  const show = (i: string): void => body.replaceChildren(...evaluation(all[Number(i)] as ClassEvaluation, label));
  const title = (e: ClassEvaluation): string =>
    `${e.set === "" ? "validation" : e.set}, ${e.which}: epoch ${e.epoch}, top-1 ${e.top1.toFixed(2)} %`;
  const pick = choice(
    "evaluation",
    all.map((e, i) => [`${i}`, title(e)]),
    show,
  );
  show("0");
  return [el("h2", {}, "Classes"), el("div", { class: "controls wide" }, labelled("evaluation ", pick)), body];
}

function evaluation(e: ClassEvaluation, label: (c: number) => string): readonly HTMLElement[] {
  const rows = e.images.flatMap((images, c): Row[] => {
    const [seen, times] = e.instead[c] as readonly [number, number];
    return images === 0 ? [] : [{ c, images, right1: e.right1[c] ?? 0, right5: e.right5[c] ?? 0, seen, times }];
  });
  const without = e.images.length - rows.length;
  const columns: readonly Column<Row>[] = [
    { title: "class", value: (r) => r.c, show: (r) => label(r.c), text: true },
    { title: "images", value: (r) => r.images },
    { title: "top-1", value: (r) => r.right1 / r.images, show: (r) => percent(r.right1, r.images) },
    { title: "top-5", value: (r) => r.right5 / r.images, show: (r) => percent(r.right5, r.images) },
    {
      title: "seen most often instead",
      value: (r) => r.seen,
      show: (r) => (r.seen < 0 ? "-" : label(r.seen)),
      text: true,
    },
    { title: "images seen so", value: (r) => r.times },
  ];
  const missing = without === 0 ? "" : ` ${whole(without)} classes have no validation image and are left out.`;
  return [
    el("h3", {}, "Accuracy per class"),
    el("p", {}, `Of each class's validation images, the share that is right.${missing}`),
    table(rows, columns, 2),
    el("h3", {}, "Confusion"),
    ...confusion(e, label),
  ];
}

function confusion(e: ClassEvaluation, label: (c: number) => string): readonly HTMLElement[] {
  if (e.images.length <= MATRIX_CLASSES) {
    const right = e.right1.flatMap((n, c) => (n > 0 ? [[c, c, n] as const] : []));
    const wrong = e.confused.map(([of, seen, n]) => [seen, of, n] as const);
    const hint = (seen: number, of: number, n: number): string =>
      `${label(of)} seen as ${label(seen)}: ${whole(n)} of ${whole(e.images[of] ?? 0)}`;
    const caption = "Validation images by their class (down) and the class seen (across)";
    const axes = { x: "seen", y: "class" };
    return [
      heatMap(
        caption,
        e.images.map((_, c) => label(c)),
        axes,
        [...right, ...wrong],
        hint,
      ),
    ];
  }
  if (e.confused.length === 0) return [el("p", {}, "No image was confused.")];
  type Pair = ClassEvaluation["confused"][number];
  const columns: readonly Column<Pair>[] = [
    { title: "class", value: ([of]) => of, show: ([of]) => label(of), text: true },
    { title: "seen as", value: ([, seen]) => seen, show: ([, seen]) => label(seen), text: true },
    { title: "images", value: ([, , n]) => n },
    {
      title: "of the class",
      value: ([of, , n]) => n / (e.images[of] ?? 1),
      show: ([of, , n]) => percent(n, e.images[of] ?? 0),
    },
  ];
  return [el("p", {}, `The ${whole(e.confused.length)} most confused pairs.`), table(e.confused, columns, 2)];
}
