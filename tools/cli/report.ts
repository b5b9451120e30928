// moproc report: the page of a training run. The verbs that train make it as well when they end.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { writeWhole } from "../../compiler/util/whole_file.js";
import { trainPage } from "../report/train.js";
import { isFirstRank } from "./ranks.js";
import type { Verb } from "./record.js";

export const report: Verb = {
  name: "report",
  usage: "EXP",
  purpose: "Makes EXP/report.html, a page with the curves, settings and environment of a training run.",
  more: "The run may still be going on; the verbs that train make the page themselves when they end.",
  arguments: [{ name: "EXP", help: "The run's --exp-dir, which holds metrics.jsonl." }],
  examples: ["moproc report run"],
  run: ({ args }) => writeReport(args[0] as string),
};

async function writeReport(exp: string): Promise<void> {
  const file = join(exp, "report.html");
  writeWhole(file, [Buffer.from(await trainPage(exp))]);
  process.stdout.write(`${file}: a page about the run\n`);
}

/** The same after a run, if it left numbers. */
export async function reportAfter(exp: string | undefined): Promise<void> {
  if (exp !== undefined && isFirstRank() && existsSync(join(exp, "metrics.jsonl"))) await writeReport(exp);
}
