// moproc report: the page of a training run. The verbs that train make it as well when they end.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { writeWhole } from "../../compiler/util/whole_file.js";
import { trainPage } from "../report/train.js";
import { isFirstRank } from "./ranks.js";

export function reportCommand(): Command {
  return new Command("report")
    .description(
      "Makes EXP/report.html of a run's EXP/metrics.jsonl: curves, settings, environment; while it runs, too.",
    )
    .argument("<exp>", "the run's --exp-dir")
    .action((exp: string) => writeReport(exp));
}

async function writeReport(exp: string): Promise<void> {
  const file = join(exp, "report.html");
  writeWhole(file, [Buffer.from(await trainPage(exp))]);
  process.stdout.write(`${file}: a page to look at\n`);
}

/** The same after a run, where it left numbers. */
export async function reportAfter(exp: string | undefined): Promise<void> {
  if (exp !== undefined && isFirstRank() && existsSync(join(exp, "metrics.jsonl"))) await writeReport(exp);
}
