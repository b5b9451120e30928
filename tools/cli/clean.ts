// moproc clean: finds or builds the binary for the checkpoint's network, runs its verb `clean`, and makes a page of its
// report.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nativeFile } from "../../compiler/emit/native.js";
import { marks, requireFile } from "../../compiler/util/own.js";
import { writeWhole } from "../../compiler/util/whole_file.js";
import { cleanPage } from "../report/clean.js";
import { binaryVerb, textOf } from "./binary_verb.js";
import { type Given, sections, type Verb } from "./record.js";
import { trainedCheckpoint } from "./sample_run.js";

export const clean: Verb = binaryVerb({
  name: "clean",
  command: "clean",
  usage: "--data DIR --resume FILE [flags]",
  purpose: "A trained MoPro checkpoint judges the label of every training image: keeps it, replaces it or drops it.",
  more:
    "It writes pseudo_label.json, the list that `moproc retrain` takes, and beside it a report and a table (CSV) " +
    "with a line per image, and a page. On the page, images can be kept, dropped or relabelled by hand; it saves " +
    "these decisions as a file for --decisions. A run that was stopped goes on. The checkpoint says which network it " +
    "holds, so the flags need not repeat it.",
  flags: [{ names: ["--no-html"], section: sections.run, help: "Does not make the page NAME.html about the result." }],
  examples: [`moproc clean --data sample --resume ${trainedCheckpoint} --pseudo_th 0.5 -b 64`],
  check({ options }) {
    if (options.resume === undefined) throw new Error("--resume FILE is needed: the checkpoint that judges the labels");
  },
  artefact: async (given) =>
    (await import("./of_checkpoint.js")).artefactOf(String(given.options.resume), "mopro", given),
  targets(given) {
    if (makesPage(given)) requireFile(`${baseOf(given)}.html`, marks.html);
  },
  async after(given, status) {
    if (status === 0 && makesPage(given)) await writePage(baseOf(given), String(given.options.data));
  },
});

const makesPage = ({ options }: Given): boolean => Boolean(options.html) && options.data !== undefined;

/** The common beginning of the paths of all files that a run writes. */
const baseOf = (given: Given): string => (textOf(given, "annotation", "--annotation") as string).replace(/\.json$/, "");

const PER_VERDICT = 60; // pictures on the page per verdict

/** Makes the page about the cleaning whose files begin with `base`. */
async function writePage(base: string, data: string): Promise<void> {
  const source = { report: `${base}.report.jsonl`, summary: `${base}.summary.json`, perVerdict: PER_VERDICT };
  const html = await cleanPage(source, (images) => thumbnails(data, images));
  writeWhole(`${base}.html`, [Buffer.from(html)], marks.html);
  process.stdout.write(`${base}.html: a page about the verdicts\n`);
}

/** The bytes of a file's name in JSON of ours, in which bytes that are not UTF-8 are the surrogates DC80 to DCFF. */
const nameBytes = (name: string): Buffer =>
  Buffer.concat(
    name
      .split(/([\udc80-\udcff])/u)
      .map((part) =>
        /^[\udc80-\udcff]$/u.test(part) ? Buffer.from([part.charCodeAt(0) - 0xdc00]) : Buffer.from(part),
      ),
  );

/** Small pictures of images of the folder, as data URIs. */
function thumbnails(data: string, images: readonly string[]): (string | undefined)[] {
  const dir = mkdtempSync(join(tmpdir(), "moproc-thumbnails-"));
  try {
    const r = spawnSync(nativeFile("moproc-data"), ["thumbnails", "--data", data, "--out", dir], {
      input: Buffer.concat(images.flatMap((i) => [nameBytes(i), Buffer.of(0)])), // a name may contain line feeds
    });
    if (r.status !== 0) throw new Error(`thumbnails: ${r.error?.message ?? r.stderr.toString()}`);
    return images.map((_, i) => {
      const file = join(dir, `${i}.jpg`);
      return existsSync(file) ? `data:image/jpeg;base64,${readFileSync(file, "base64")}` : undefined;
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
