// moproc weights fetch: downloads the published pre-trained ResNet-50s.

import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { requireFile } from "../../compiler/util/own.js";
import { writeWhole } from "../../compiler/util/whole_file.js";
import { download } from "./download.js";
import { positive } from "./kinds.js";
import type { Verb } from "./record.js";

const base = "https://storage.googleapis.com/sfr-pcl-data-research/MoPro_checkpoint";
/** The published files, and the network in each. */
const published = {
  v1: { url: `${base}/MoPro_V1_epoch90.tar`, arch: "resnet50", classes: 1000 },
  v2: { url: `${base}/MoPro_V2_epoch90.tar`, arch: "resnet50", classes: 5000 },
} as const;

interface FetchFlags {
  readonly out?: string;
  readonly url?: string;
  readonly timeout: number;
}

const examples = ["moproc weights fetch v1"];
const section = "download";

const fetch: Verb = {
  name: "fetch",
  usage: "[VERSION] [flags]",
  purpose: "Downloads a published checkpoint: ResNet-50 trained on WebVision V1 or V2, as every verb takes it.",
  more:
    "A download that was broken off goes on where it ended. The file is checked, and its SHA-256 is recorded in " +
    "FILE.sha256.",
  arguments: [{ name: "[VERSION]", help: "v1 or v2; may be left out with --url." }],
  flags: [
    {
      names: ["-o", "--out"],
      unit: "FILE",
      shown: "the published name",
      section,
      help: "Where the file is written. A file that is there is checked, never replaced.",
    },
    {
      names: ["--url"],
      unit: "URL",
      section,
      help: "Downloads from there instead: from a mirror, or another checkpoint of MoPro.",
    },
    {
      names: ["--timeout"],
      unit: "SECONDS",
      kind: positive,
      default: 30,
      section,
      help: "A connection is given up after this time without a byte.",
    },
  ],
  examples,
  run: ({ args, options }) => fetchWeights(args[0], options as unknown as FetchFlags),
};

export const weights: Verb = {
  name: "weights",
  usage: "fetch [VERSION] [flags]",
  purpose: "Fetches pre-trained weights.",
  verbs: [fetch],
  examples,
};

async function fetchWeights(version: string | undefined, flags: FetchFlags): Promise<void> {
  if (version !== undefined && !(version in published)) throw new Error(`version ${version}: known are v1 and v2`);
  const wanted = version === undefined ? undefined : published[version as keyof typeof published];
  const url = flags.url ?? wanted?.url;
  if (url === undefined) throw new Error("v1, v2 or --url URL is needed");
  const file = flags.out ?? basename(new URL(url).pathname);
  const record = `${file}.sha256`;
  requireRecord(record, file);
  if (existsSync(file)) {
    const digest = await sha256(file);
    compare(record, digest, file);
    await check(file, wanted);
    note(record, digest, file);
    process.stdout.write(`${file}: exists already, sha256 ${digest}\n`);
    return;
  }
  const meter = new Meter(basename(file));
  await download(url, file, {
    attempts: 5,
    stalled: 1000 * flags.timeout,
    progress: meter.update,
    say: meter.say,
  }).finally(meter.end);
  try {
    await check(file, wanted);
  } catch (e) {
    rmSync(file);
    throw new Error(`${url}: ${(e as Error).message}; the file was removed`);
  }
  const digest = await sha256(file);
  compare(record, digest, file);
  note(record, digest, file);
  process.stdout.write(`${file}: sha256 ${digest}, recorded in ${record}\n`);
}

/** Rejects unless the file is a checkpoint of MoPro with the expected network. */
async function check(file: string, wanted: (typeof published)["v1" | "v2"] | undefined): Promise<void> {
  const { openCheckpoint } = await import("./checkpoint.js"); // only here: it loads the networks
  const { file: open, network } = await openCheckpoint(file, {}, "query");
  open.close();
  if (network.task !== "mopro") throw new Error(`${file} is a checkpoint, but not one of MoPro`);
  if (wanted && (network.arch !== wanted.arch || network.num_class !== wanted.classes))
    throw new Error(
      `${file} holds a ${network.arch} for ${network.num_class} classes, not a ${wanted.arch} for ${wanted.classes}`,
    );
}

/** Whether a file whose first bytes are `head` consists of one line of sha256sum about `file`. */
const isRecord =
  (file: string) =>
  (head: string): boolean =>
    /^[0-9a-f]{64} {2}(.*)\n$/.exec(Buffer.from(head, "latin1").toString())?.[1] === basename(file);

const requireRecord = (record: string, file: string): void => requireFile(record, isRecord(file));

const note = (record: string, digest: string, file: string): void =>
  writeWhole(record, [Buffer.from(`${digest}  ${basename(file)}\n`)], isRecord(file));

function compare(record: string, digest: string, file: string): void {
  const known = existsSync(record) ? readFileSync(record, "utf8") : "";
  if (known !== "" && !known.startsWith(digest))
    throw new Error(`${file}: exists, but does not have the digest in ${record}: remove one of them`);
}

async function sha256(file: string): Promise<string> {
  const sum = createHash("sha256");
  for await (const chunk of createReadStream(file)) sum.update(chunk as Buffer);
  return sum.digest("hex");
}

/**
 * Prints bytes so far, speed and time left: one line that is rewritten on a terminal, elsewhere one line per tenth of
 * the file.
 */
class Meter {
  private readonly start = performance.now();
  private first = -1;
  private tenth = 0;
  constructor(private readonly name: string) {}

  readonly update = (done: number, total: number | undefined): void => {
    if (this.first < 0) this.first = done;
    const seconds = (performance.now() - this.start) / 1000;
    const speed = (done - this.first) / Math.max(seconds, 1e-3);
    const mb = (n: number): string => (n / 1e6).toFixed(1);
    const rest = total === undefined ? "" : `/${mb(total)}`;
    const left = total === undefined || speed === 0 ? "" : `, ${Math.ceil((total - done) / speed)} s left`;
    const text = `${this.name}: ${mb(done)}${rest} MB, ${mb(speed)} MB/s${left}`;
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
    else if (total !== undefined && done >= ((this.tenth + 1) * total) / 10) {
      this.tenth = Math.floor((10 * done) / total);
      process.stderr.write(`${text}\n`);
    }
  };
  readonly say = (line: string): void =>
    void process.stderr.write(`${process.stderr.isTTY ? "\r\x1b[K" : ""}${this.name}: ${line}\n`);
  readonly end = (): void => void (process.stderr.isTTY && process.stderr.write("\r\x1b[K"));
}
