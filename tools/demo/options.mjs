// The demo's command line. Bad input is found here, before the demo runs for minutes.

import { accessSync, constants, existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { takeLock } from "../../compiler/util/lock.mjs";
import { marks, readMark, requireFile, requireFolder } from "../../compiler/util/own.mjs";
import { root, SetupError } from "../setup/steps.mjs";
import { defaultEpochs, network, sample } from "./settings.mjs";

const about = `${sample.images} of ${sample.classes} classes`;
const noise = `${100 * sample.noise} % of the labels wrong, ${100 * sample.ood} % of no class`;

export const help = `Usage: npm run demo -- [flags]

Trains one small network twice on images with wrong labels, with plain cross-entropy and with MoPro, and prints a
table: the accuracy of both on clean validation images, and how MoPro handled the wrong labels. Builds what it needs
first.

  --data DIR    Trains on this WebVision V1 folder. If it has a truth.json, with the true class of each training image,
                the table shows how many wrong labels were corrected. (default: sample images: ${about}, ${noise})
  --out DIR     The folder for data, compiled network, logs and models; it is made if it is missing.
                Only what an earlier demo has made there is replaced. (default: out/demo)
  --images N    Number of training images of the sample. (${network["batch-size"]} or more; default: ${sample.images})
  --seed N      Seed of the sample images, initial values and augmentation. (0 or more; default: 1)
  --epochs N    Passes of each method over the training images. (2 or more; default: ${defaultEpochs})
  --json FILE   Writes the numbers of the table to this file:
                  cross_entropy_top1, mopro_top1   percent of the validation images
                  wrong_labels_corrected           share, 0 to 1, or null if the truth is unknown
                  out_of_class_dropped             share, 0 to 1, or null
                  counts                           images behind the shares: wrong_labels, wrong_labels_made_right,
                                                   out_of_class, out_of_class_dropped; or null
                  seconds                          setup, data (sample only), compile; cross_entropy, mopro (training);
                                                   cross_entropy_evaluation, mopro_evaluation; total (all except setup)
  --no-setup    Builds nothing: everything that the demo needs has been built.
  -h, --help    Prints this text.

The exit code is 0 on success, 1 if a part failed, 2 for bad input and 130 if the demo was interrupted.
`;

/** The folders of --out that each run replaces; `data` only if the run draws its own images. */
export const parts = { data: "data", model: "model", cross_entropy: "cross_entropy", mopro: "mopro" };

/** The kind of the folders that a demo makes in --out (compiler/util/own.mjs), and the format of its JSON file. */
export const KIND = "demo";
export const FORMAT = "moproc-demo-1";
export const jsonMark = marks.json(FORMAT);

/** The file with the process number of the demo that uses the folder. */
const lock = ".moproc-demo-lock";

const fail = (text) => {
  throw new SetupError(text);
};

function wholeNumber(flag, text, low) {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) fail(`${flag} ${text}: not a whole number`);
  if (value < low) fail(`${flag} ${text}: must be at least ${low}`);
  return value;
}

/** Parses argv to options with absolute paths. Throws SetupError if a flag does not exist or its value is not valid. */
export function parseOptions(argv) {
  const options = { out: join(root, "out", "demo"), seed: 1, epochs: defaultEpochs, setup: true };
  const here = (process.env.npm_lifecycle_event && process.env.INIT_CWD) || ""; // npm changes to the project's folder
  const set = {
    "--data": (v) => (options.data = resolve(here, v)),
    "--out": (v) => (options.out = resolve(here, v)),
    "--json": (v) => (options.json = resolve(here, v)),
    "--images": (v) => (options.images = wholeNumber("--images", v, network["batch-size"])),
    "--seed": (v) => (options.seed = wholeNumber("--seed", v, 0)),
    "--epochs": (v) => (options.epochs = wholeNumber("--epochs", v, 2)),
  };
  for (let i = 0; i < argv.length; i++) {
    if (argv[i] === "-h" || argv[i] === "--help") return { help: true };
    if (argv[i] === "--no-setup") {
      options.setup = false;
      continue;
    }
    const [, flag, joined] = /^(--[^=]+)=(.*)$/s.exec(argv[i]) ?? [undefined, argv[i], undefined];
    if (!Object.hasOwn(set, flag)) fail(`unknown argument '${argv[i]}'; --help lists the flags`);
    const value = joined ?? argv[++i];
    if (value === undefined || value === "") fail(`${flag}: the value is missing`);
    set[flag](value);
  }
  if (options.data !== undefined && options.images !== undefined)
    fail("--images is for the sample images and cannot be given with --data");
  return options;
}

function writableFolder(flag, folder) {
  let at = folder;
  while (!existsSync(at)) at = dirname(at);
  if (!statSync(at).isDirectory()) fail(`${flag}: ${at} is not a folder`);
  try {
    accessSync(at, constants.W_OK | constants.X_OK);
  } catch {
    fail(`${flag}: cannot write in ${at}`);
  }
}

/** Reserves --out for this process until it ends. Throws SetupError if another demo uses the folder. */
export function lockOut(out) {
  const { heldBy } = takeLock(join(out, lock));
  if (heldBy !== undefined)
    fail(
      `--out ${out}: the demo of process ${heldBy} uses it; name another folder (or, if that process is not a demo, ` +
        `remove ${join(out, lock)})`,
    );
}

/** Checks the paths in the options. Throws SetupError if one of them cannot be used. */
export function checkPlaces({ out, json, data }) {
  writableFolder("--out", out);
  if (existsSync(out) && readdirSync(out).length > 0 && readMark(out)?.kind !== KIND)
    fail(`--out ${out}: holds files that are not from an earlier demo; name another folder or empty this one`);
  for (const part of Object.values(parts))
    if (part !== parts.data || data === undefined)
      requireFolder(join(out, part), part === parts.model ? "artefact" : KIND);
  if (json !== undefined) requireFile(json, jsonMark);
  if (json !== undefined) {
    if (existsSync(json) && statSync(json).isDirectory()) fail(`--json ${json}: is a folder`);
    if (!existsSync(dirname(json))) fail(`--json ${json}: there is no folder ${dirname(json)}`);
    writableFolder("--json", dirname(json));
  }
  if (data === undefined) return;
  if (!existsSync(data) || !statSync(data).isDirectory()) fail(`--data ${data}: no such folder`);
  const inside = (folder) => existsSync(folder) && `${realpathSync(data)}/`.startsWith(`${realpathSync(folder)}/`);
  for (const part of [parts.model, parts.cross_entropy, parts.mopro])
    if (inside(join(out, part))) fail(`--data ${data}: lies in ${join(out, part)}, which this demo replaces`);
}
