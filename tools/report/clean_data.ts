// What the page about a cleaning shows: sums over the report, and some images of each verdict.

export const verdicts = ["kept", "relabelled", "dropped", "unreadable"] as const;
export type Verdict = (typeof verdicts)[number];

/** One line of NAME.report.jsonl; pairs are of the given and of the best class. Unreadable images have no scores. */
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
}

/** NAME.summary.json. */
export interface CleanSummary {
  readonly settings: Readonly<Record<string, string | number>> & {
    readonly classes: number;
    readonly alpha: number;
    readonly pseudo_th: number;
  };
  readonly images: Readonly<Record<Verdict, number>>;
}

/** Images of one class of the list: what became of them, and how many came from other classes. */
export interface ClassCount {
  readonly name: string;
  readonly given: number;
  readonly kept: number;
  readonly away: number; // relabelled
  readonly dropped: number;
  readonly unreadable: number;
  readonly from: number; // relabelled to this class
}

export interface Thumbnail extends ReportLine {
  readonly jpeg: string; // data URI
}

export const BINS = 50; // of scores from 0 to 1

export interface CleanData extends CleanSummary {
  readonly classes: readonly ClassCount[];
  /** Counts by verdict and bin. */
  readonly best: Readonly<Record<Verdict, readonly number[]>>;
  readonly given: Readonly<Record<Verdict, readonly number[]>>;
  /** Images that changed from one class to another, most first: from, to, how many. */
  readonly moves: readonly (readonly [number, number, number])[];
  /** Given class by class of the annotation, of the classes `shown`. */
  readonly confusion: { readonly shown: readonly number[]; readonly counts: readonly (readonly number[])[] };
  readonly thumbnails: readonly Thumbnail[];
}
