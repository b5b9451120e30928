// What evaluation.json of a run says about its classes, for the page.

import { existsSync, readFileSync } from "node:fs";
import { shownNames } from "./class_names.js";
import { type ClassEvaluation, MATRIX_CLASSES, type TrainData } from "./train_data.js";

const PAIRS = 200; // confused pairs of a list, at most

type Triple = readonly [number, number, number];

/** EXP/evaluation.json, as runtime/train/class_results.cc writes it. */
interface EvaluationFile {
  readonly format: string;
  readonly names: readonly string[] | null;
  readonly sets: readonly {
    readonly set: string;
    readonly evaluations: readonly {
      readonly epoch: number;
      readonly top1: number;
      readonly of_class: readonly number[];
      readonly right1: readonly number[];
      readonly right5: readonly number[];
      readonly confused: readonly Triple[];
    }[];
  }[];
}

/** The evaluations in the file; none if there is no file. Throws, naming it, if it has another form. */
export function classData(file: string): Pick<TrainData, "names" | "classes"> {
  if (!existsSync(file)) return { names: null, classes: [] };
  const { format, names, sets } = read(file);
  if (format !== "moproc-evaluation-1")
    throw new Error(`${file}: its format is ${format}, and this moproc reads moproc-evaluation-1`);
  const classes = sets.flatMap(({ set, evaluations }) =>
    evaluations.map((e, i): ClassEvaluation => {
      const last = i === evaluations.length - 1;
      return {
        set,
        epoch: e.epoch,
        top1: e.top1,
        which: !last ? "best" : evaluations.length === 1 ? "last and best" : "last",
        images: e.of_class,
        right1: e.right1,
        right5: e.right5,
        instead: instead(e.of_class.length, e.confused),
        confused: e.of_class.length <= MATRIX_CLASSES ? e.confused : e.confused.slice(0, PAIRS),
      };
    }),
  );
  const count = Math.max(0, ...classes.map((e) => e.images.length));
  return { names: names && shownNames(names, count), classes };
}

function read(file: string): EvaluationFile {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as EvaluationFile;
  } catch (e) {
    throw new Error(`${file}: is not an evaluation of a run: ${(e as Error).message}`);
  }
}

/** Pairs are sorted by their number of images, so the first one of a class is its most frequent. */
function instead(classes: number, confused: readonly Triple[]): readonly (readonly [number, number])[] {
  const first = new Map<number, readonly [number, number]>();
  for (const [of, seen, n] of confused) if (!first.has(of)) first.set(of, [seen, n]);
  return Array.from({ length: classes }, (_, c) => first.get(c) ?? [-1, 0]);
}
