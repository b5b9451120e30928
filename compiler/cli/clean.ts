// moproc clean: finds or builds the binary for the network that the checkpoint holds, hands over to its verb `clean`, and makes
// a page of its report.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { cleanPage } from "../report/clean.js";
import { marks, requireFile } from "../util/own.js";
import { writeWhole } from "../util/whole_file.js";
import { binaryVerb, requireTargets } from "./binary_verb.js";
import { nativeToolFile, spawnTool } from "./data.js";
import { artefactOf } from "./of_checkpoint.js";
import { passedOn } from "./train.js";

export function cleanCommand(): Command {
  const c = new Command("clean")
    .description(
      "A trained MoPro checkpoint judges the label of every training image: writes pseudo_label.json, the list that retraining " +
        "takes, and a report with a line an image. The network is the checkpoint's; flags below need not repeat it.",
    )
    .option("--resume <file>", "the checkpoint: .safetensors of a training run, or a PyTorch .pth.tar or .pth")
    .option("--data <dir>", "WebVision folder")
    .option("--annotation <file>", "what is written; the report, its sums and a page to look through lie beside it; only older ones of moproc are replaced", "pseudo_label.json")
    .option("--no-html", "do not make the page, NAME.html");
  return binaryVerb(c, async (options, argv) => {
    if (options["resume"] === undefined) throw new Error("--resume FILE is needed: the checkpoint that judges");
    const annotation = String(options["annotation"]);
    const html = Boolean(options["html"]) && options["data"] !== undefined;
    const args = ["clean", ...passedOn(argv).filter((a) => a !== "--no-html")];
    requireTargets(args);
    if (html) requireFile(`${baseOf(annotation)}.html`, marks.html);
    const dir = (options["artefact"] as string | undefined) ?? (await artefactOf(String(options["resume"]), "mopro", c));
    process.exitCode = await spawnTool(join(dir, "train"), args);
    if (process.exitCode === 0 && html) await writePage(annotation, String(options["data"]));
  });
}

/** What the names of the files beside the annotation begin with. */
const baseOf = (annotation: string): string => annotation.replace(/\.json$/, "");

const PER_VERDICT = 60; // pictures on the page

/** The page about the cleaning that wrote `annotation`. */
async function writePage(annotation: string, data: string): Promise<void> {
  const base = baseOf(annotation);
  const source = { report: `${base}.report.jsonl`, summary: `${base}.summary.json`, data, perVerdict: PER_VERDICT };
  const html = await cleanPage(source, (images) => thumbnails(data, images));
  writeWhole(`${base}.html`, [Buffer.from(html)], marks.html);
  process.stdout.write(`${base}.html: a page to look through\n`);
}

/** Small pictures of images of the folder, as data URIs. */
function thumbnails(data: string, images: readonly string[]): (string | undefined)[] {
  const dir = mkdtempSync(join(tmpdir(), "moproc-thumbnails-"));
  try {
    const r = spawnSync(nativeToolFile("moproc-data"), ["thumbnails", "--data", data, "--out", dir], { input: images.map((i) => `${i}\n`).join("") });
    if (r.status !== 0) throw new Error(`thumbnails: ${r.error?.message ?? r.stderr.toString()}`);
    return images.map((_, i) => {
      const file = join(dir, `${i}.jpg`);
      return existsSync(file) ? `data:image/jpeg;base64,${readFileSync(file, "base64")}` : undefined;
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
