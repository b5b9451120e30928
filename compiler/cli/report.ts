// moproc report: the page of a training run. The verbs that train make it as well when they end.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { trainPage } from "../report/train.js";
import { isFirstRank } from "./ranks.js";
import { marks, requireFile } from "../util/own.js";
import { writeWhole } from "../util/whole_file.js";

export function reportCommand(): Command {
  return new Command("report")
    .description("Makes EXP/report.html of a run's EXP/metrics.jsonl: curves, settings, environment; while it runs, too. Only an older page is replaced.")
    .argument("<exp>", "the run's --exp-dir")
    .action((exp: string) => writeReport(exp));
}

const pageOf = (exp: string): string => join(exp, "report.html");

/** Throws, with the remedy, where the page's name is taken by a file that is none of moproc's. */
export const requireReport = (exp: string): void => requireFile(pageOf(exp), marks.html);

async function writeReport(exp: string): Promise<void> {
  requireReport(exp);
  const file = pageOf(exp);
  writeWhole(file, [Buffer.from(await trainPage(exp))], marks.html);
  process.stdout.write(`${file}: a page to look at\n`);
}

/** The same after a run, where it left numbers. */
export async function reportAfter(exp: string | undefined): Promise<void> {
  if (exp !== undefined && isFirstRank() && existsSync(join(exp, "metrics.jsonl"))) await writeReport(exp);
}
