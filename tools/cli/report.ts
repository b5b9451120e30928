// moproc report: makes the page of a training run. The verbs that train also make it when they end.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { marks, requireFile } from "../../compiler/util/own.js";
import { writeWhole } from "../../compiler/util/whole_file.js";
import { trainPage } from "../report/train.js";
import { isFirstRank } from "./ranks.js";
import type { Verb } from "./record.js";

export const report: Verb = {
  name: "report",
  usage: "EXP",
  purpose: "Makes EXP/report.html, a page with the curves, settings and environment of a training run.",
  more:
    "Only an older page is replaced. The run may still be going on; the verbs that train make the page themselves " +
    "when they end.",
  arguments: [{ name: "EXP", help: "The run's --exp-dir, which holds metrics.jsonl." }],
  examples: ["moproc report run"],
  run: ({ args }) => writeReport(args[0] as string),
};

const pageOf = (exp: string): string => join(exp, "report.html");

/** Throws, with the remedy in the message, if a file that moproc did not write has the page's name. */
export const requireReport = (exp: string): void => requireFile(pageOf(exp), marks.html);

async function writeReport(exp: string): Promise<void> {
  requireReport(exp);
  const file = pageOf(exp);
  writeWhole(file, [Buffer.from(await trainPage(exp))], marks.html);
  process.stdout.write(`${file}: a page about the run\n`);
}

/** Makes the page after a run, if the run has written metrics. */
export async function reportAfter(exp: string | undefined): Promise<void> {
  if (exp !== undefined && isFirstRank() && existsSync(join(exp, "metrics.jsonl"))) await writeReport(exp);
}
