// Makes the page of a cleaning from its report. It reads the report line by line, because WebVision's has millions of
// lines.

import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { shownNames } from "./class_names.js";
import {
  BINS,
  type ClassCount,
  type CleanData,
  type CleanSummary,
  type DecidedImage,
  type ReportLine,
  type Verdict,
  verdicts,
} from "./clean_data.js";
import { page } from "./page.js";

const MOVES = 500; // lines of the table, at most
const SHOWN = 40; // classes of the confusion matrix

/** Returns a small picture of each image as a data URI; undefined for images that cannot be read. */
export type Thumbnails = (images: readonly string[]) => readonly (string | undefined)[];

export interface CleanPageSource {
  readonly report: string; // path of NAME.report.jsonl
  readonly summary: string; // path of NAME.summary.json
  readonly perVerdict: number; // number of images to show per verdict
}

/**
 * The page as one HTML file that needs no other files. Rejects, naming the file and line, if a line of the report is
 * not valid.
 */
export async function cleanPage(source: CleanPageSource, thumbnails: Thumbnails): Promise<string> {
  const summary = JSON.parse(readFileSync(source.summary, "utf8")) as CleanSummary;
  const sums = new Sums(summary.settings.classes, source.perVerdict);
  let n = 0;
  for await (const line of linesOf(source.report)) {
    n++;
    try {
      sums.add(JSON.parse(line) as ReportLine);
    } catch (e) {
      throw new Error(`${source.report} line ${n}: ${(e as Error).message}`);
    }
  }
  const chosen = verdicts.flatMap((v) => sums.chosen(v));
  const pictures = thumbnails(chosen.map((l) => l.image));
  const data: CleanData = {
    ...summary,
    ...sums.data(shownNames(summary.names, summary.settings.classes)),
    thumbnails: chosen.flatMap((l, i) => (pictures[i] === undefined ? [] : [{ ...l, jpeg: pictures[i] as string }])),
  };
  return page({ title: "moproc clean", client: "clean", data });
}

/** The lines of a file. Node's readline would also end a line at U+2028, which a path may contain. */
async function* linesOf(file: string): AsyncGenerator<string> {
  let rest = "";
  for await (const part of createReadStream(file, "utf8")) {
    const lines = (rest + String(part)).split("\n");
    rest = lines.pop() as string;
    yield* lines;
  }
  if (rest !== "") yield rest;
}

/** The sums over the lines of a report. */
class Sums {
  private readonly counts;
  private readonly best = histograms();
  private readonly given = histograms();
  private readonly flow = new Map<string, number>(); // "from to" -> number of images; from = to if the label stays
  private readonly decided: DecidedImage[] = [];
  private readonly candidates = new Map<Verdict, (ReportLine & { readonly rank: string })[]>();

  constructor(
    private readonly classes: number,
    private readonly perVerdict: number,
  ) {
    this.counts = Array.from({ length: classes }, () => ({
      given: 0,
      kept: 0,
      away: 0,
      dropped: 0,
      unreadable: 0,
      from: 0,
    }));
  }

  add(l: ReportLine): void {
    const of = this.counts[l.given];
    if (!of || !verdicts.includes(l.verdict)) throw new Error("is not a line of a report");
    of.given++;
    of[l.verdict === "relabelled" ? "away" : l.verdict]++;
    if (l.pseudo !== null) {
      const to = this.counts[l.pseudo];
      if (!to) throw new Error(`pseudo is ${l.pseudo}, there are ${this.classes} classes`);
      if (l.pseudo !== l.given) to.from++;
      const key = `${l.given} ${l.pseudo}`;
      this.flow.set(key, (this.flow.get(key) ?? 0) + 1);
    }
    const [given, best] = l.score ?? [null, null];
    if (best !== null) this.best[l.verdict].add(best);
    if (given !== null) this.given[l.verdict].add(given);
    if (l.decision !== undefined)
      this.decided.push({ image: l.image, decision: l.decision, ...(l.decision === "relabel" && { class: l.pseudo }) });
    this.consider(l);
  }

  /**
   * Keeps the images whose names have the smallest digests: a fair sample that is the same for the same report. Images
   * about which a person has decided come before it.
   */
  private consider(l: ReportLine): void {
    if (l.verdict === "unreadable") return;
    const all = this.candidates.get(l.verdict) ?? [];
    this.candidates.set(l.verdict, all);
    const rank = (l.decision ? "" : "z") + createHash("md5").update(l.image).digest("hex");
    const last = all[this.perVerdict - 1];
    if (last && rank > last.rank) return;
    all.push({ ...l, rank });
    all.sort((a, b) => (a.rank < b.rank ? -1 : 1)).splice(this.perVerdict);
  }

  chosen(v: Verdict): readonly ReportLine[] {
    return (this.candidates.get(v) ?? []).map(({ rank: _, ...l }) => l);
  }

  data(names: readonly string[]): Omit<CleanData, keyof CleanSummary | "thumbnails"> {
    const classes: ClassCount[] = this.counts.map((c, i) => ({ name: names[i] as string, ...c }));
    const flows = [...this.flow].map(
      ([key, n]) => [...key.split(" ").map(Number), n] as unknown as [number, number, number],
    );
    const moves = flows.filter(([from, to]) => from !== to).sort((a, b) => b[2] - a[2] || a[0] - b[0] || a[1] - b[1]);
    const moved = (c: number): number => (this.counts[c]?.away ?? 0) + (this.counts[c]?.from ?? 0);
    const busiest = classes.map((_, c) => c).sort((a, b) => moved(b) - moved(a) || a - b);
    const shown = busiest.slice(0, SHOWN).sort((a, b) => a - b);
    const count = (from: number, to: number): number => this.flow.get(`${from} ${to}`) ?? 0;
    return {
      classes,
      best: binsOf(this.best),
      given: binsOf(this.given),
      moves: moves.slice(0, MOVES),
      decided: this.decided,
      confusion: { shown, counts: shown.map((from) => shown.map((to) => count(from, to))) },
    };
  }
}

/** A histogram of scores from 0 to 1. */
class Histogram {
  readonly bins: number[] = Array.from({ length: BINS }, () => 0);
  add(score: number): void {
    const i = Math.min(BINS - 1, Math.max(0, Math.floor(score * BINS)));
    this.bins[i] = (this.bins[i] as number) + 1;
  }
}
type ByVerdict<T> = Readonly<Record<Verdict, T>>;
const histograms = (): ByVerdict<Histogram> => ({
  kept: new Histogram(),
  relabelled: new Histogram(),
  dropped: new Histogram(),
  unreadable: new Histogram(),
});
const binsOf = (h: ByVerdict<Histogram>): ByVerdict<readonly number[]> => ({
  kept: h.kept.bins,
  relabelled: h.relabelled.bins,
  dropped: h.dropped.bins,
  unreadable: h.unreadable.bins,
});
