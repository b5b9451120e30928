// The data of the page about a cleaning: sums over the report, and some images of each verdict.

export const verdicts = ["kept", "relabelled", "dropped", "unreadable"] as const;
export type Verdict = (typeof verdicts)[number];

/** A line of NAME.report.jsonl. Pairs are for the given and the best class. Unreadable images have no scores. */
export interface ReportLine {
  readonly image: string;
  readonly given: number;
  readonly pseudo: number | null;
  readonly verdict: Verdict;
  readonly best?: number;
  readonly cls?: readonly [number | null, number | null];
  readonly proto?: readonly [number | null, number | null];
  readonly score?: readonly [number | null, number | null];
  readonly margin?: number | null;
  readonly decision?: "keep" | "drop" | "relabel"; // a person has decided
}

/** The content of NAME.summary.json. */
export interface CleanSummary {
  readonly settings: Readonly<Record<string, string | number>> & {
    readonly classes: number;
    readonly alpha: number;
    readonly pseudo_th: number;
  };
  readonly names: readonly string[] | null; // of the classes; null: they have numbers only
  readonly sha256: { readonly report: string };
  readonly images: Readonly<Record<Verdict, number>>;
}

/** The images of one class of the list: the number of each verdict, and how many came from other classes. */
export interface ClassCount {
  readonly name: string; // "": it has a number only
  readonly given: number;
  readonly kept: number;
  readonly away: number; // relabelled to another class
  readonly dropped: number;
  readonly unreadable: number;
  readonly from: number; // relabelled to this class from others
}

export interface Thumbnail extends ReportLine {
  readonly jpeg: string; // data URI
}

/** A decision about an image, as the file for --decisions has it. */
export interface DecidedImage {
  readonly image: string;
  readonly decision: "keep" | "drop" | "relabel";
  readonly class?: number | null; // the new class of a relabelled image
  readonly name?: string; // and its name
}

export const BINS = 50; // of scores from 0 to 1

export interface CleanData extends CleanSummary {
  readonly classes: readonly ClassCount[];
  /** Counts by verdict and bin. */
  readonly best: Readonly<Record<Verdict, readonly number[]>>;
  readonly given: Readonly<Record<Verdict, readonly number[]>>;
  /** The most frequent changes of class, most first: from, to, number of images. */
  readonly moves: readonly (readonly [number, number, number])[];
  /** Numbers of images by given class and class of the annotation, for the classes `shown`. */
  readonly confusion: { readonly shown: readonly number[]; readonly counts: readonly (readonly number[])[] };
  /** Decisions that this cleaning has applied. */
  readonly decided: readonly DecidedImage[];
  readonly thumbnails: readonly Thumbnail[];
}
