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
  readonly sets: readonly { readonly set: string; readonly evaluations: readonly Evaluation[] }[];
}

interface Evaluation {
  readonly epoch: number;
  readonly top1: number;
  readonly of_class: readonly number[];
  readonly right1: readonly number[];
  readonly right5: readonly number[];
  readonly confused: readonly Triple[];
}

/**
 * The evaluations in the file; none if there is no file. A file that cannot be read, or has another form, is left out,
 * and `note` is called with a sentence that says why.
 */
export function classData(file: string, note: (text: string) => void): Pick<TrainData, "names" | "classes"> {
  if (!existsSync(file)) return { names: null, classes: [] };
  try {
    return dataOf(read(file));
  } catch (e) {
    note(`${file}: ${(e as Error).message}; the page has no accuracies of single classes`);
    return { names: null, classes: [] };
  }
}

function dataOf({ names, sets }: EvaluationFile): Pick<TrainData, "names" | "classes"> {
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

/** Throws, with the reason, if the file has another form. */
function read(file: string): EvaluationFile {
  const text = readFileSync(file, "utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (e) {
    throw new Error(`is damaged, or was not written to its end (${(e as Error).message})`);
  }
  const found = value as Partial<EvaluationFile> | null;
  if (found?.format !== "moproc-evaluation-1")
    throw new Error(`its format is ${found?.format}, and this moproc reads moproc-evaluation-1`);
  if (!isWhole(found)) throw new Error("is damaged: its lists are not those of an evaluation");
  return found as EvaluationFile;
}

const isNumbers = (value: unknown, length?: number): boolean =>
  Array.isArray(value) && (length === undefined || value.length === length) && value.every((n) => Number.isInteger(n));

const isEvaluation = (e: Partial<Evaluation> | null): boolean =>
  typeof e?.epoch === "number" &&
  typeof e.top1 === "number" &&
  isNumbers(e.of_class) &&
  [e.right1, e.right5].every((list) => isNumbers(list, e.of_class?.length)) &&
  Array.isArray(e.confused) &&
  e.confused.every((triple: unknown) => isNumbers(triple, 3));

function isWhole({ names, sets }: Partial<EvaluationFile>): boolean {
  const named = names === null || (Array.isArray(names) && names.every((n) => typeof n === "string"));
  return (
    named &&
    Array.isArray(sets) &&
    sets.every((s) => typeof s?.set === "string" && Array.isArray(s.evaluations) && s.evaluations.every(isEvaluation))
  );
}

/** Pairs are sorted by their number of images, so the first one of a class is its most frequent. */
function instead(classes: number, confused: readonly Triple[]): readonly (readonly [number, number])[] {
  const first = new Map<number, readonly [number, number]>();
  for (const [of, seen, n] of confused) if (!first.has(of)) first.set(of, [seen, n]);
  return Array.from({ length: classes }, (_, c) => first.get(c) ?? [-1, 0]);
}
