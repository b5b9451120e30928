// moproc report: makes the page of a training run. The verbs that train also make it when they end.

import { statSync } from "node:fs";
import { join } from "node:path";
import { marks, requireFile } from "../../compiler/util/own.js";
import { writeWhole } from "../../compiler/util/whole_file.js";
import { logOf, trainPage } from "../report/train.js";
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

/** Size and time of a run's log; "" if there is none. */
function stateOf(exp: string): string {
  const found = statSync(logOf(exp), { throwIfNoEntry: false });
  return found === undefined || found.size === 0 ? "" : `${found.size} ${found.mtimeMs}`;
}
let before = "";

/**
 * Called before a run. Throws, with the remedy in the message, if a file that moproc did not write has the page's name.
 */
export function requireReport(exp: string): void {
  requireFile(pageOf(exp), marks.html);
  before = stateOf(exp);
}

async function writeReport(exp: string): Promise<void> {
  const file = pageOf(exp);
  requireFile(file, marks.html);
  const note = (text: string): void => void process.stderr.write(`note: ${text}\n`);
  writeWhole(file, [Buffer.from(await trainPage(exp, note))], marks.html);
  process.stdout.write(`${file}: a page about the run\n`);
}

/**
 * Makes the page after a run. A run that failed before its first record changes and mentions no page. A page that
 * cannot be made does not change how the run ended.
 */
export async function reportAfter(exp: string | undefined): Promise<void> {
  if (exp === undefined || !isFirstRank() || stateOf(exp) === before) return;
  try {
    await writeReport(exp);
  } catch (e) {
    process.stderr.write(`note: ${pageOf(exp)} is not made: ${(e as Error).message}\n`);
  }
}
