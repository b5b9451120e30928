// The images of a folder on which an exported model is calibrated and compared. moproc-data finds and decodes them, as
// `moproc evaluate` does: shorter side scaled, centre crop.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nativeFile } from "../../compiler/emit/native.js";

/** Images under the test transform. */
export interface Pictures {
  readonly count: number;
  readonly size: number; // pixels of a side
  readonly planes: Uint8Array; // [count, 3, size, size]
  readonly labels: readonly (number | undefined)[]; // classes by the names of folders; undefined: of no class
}

/** The images of a folder for two purposes. */
export interface Drawn {
  readonly folder: string;
  readonly found: number; // images in the folder
  readonly calibration: Pictures;
  readonly check: Pictures;
  readonly separate: boolean; // whether `check` has none of `calibration`
  readonly unreadable: readonly string[]; // of those that were drawn: name and reason
}

/** How many images are drawn, if the folder has as many. */
export interface Counts {
  readonly calibration: number | undefined; // undefined: the usual number, but at most half of the folder
  readonly check: number;
}

/** How many images a calibration has if the folder has twice as many. */
export const USUAL_CALIBRATION = 128;

/**
 * Draws images evenly over the folder's sorted paths, always the same ones. Those of the comparison are others than
 * those of the calibration if the folder has more that can be read. `classes`: their names; a folder of such a name
 * holds images of the class. Throws, naming the folder, if it is missing or has no image that can be read.
 */
export function drawImages(folder: string, size: number, counts: Counts, classes: readonly string[]): Drawn {
  const names = imagesOf(folder);
  const calibration = counts.calibration ?? Math.min(USUAL_CALIBRATION, Math.ceil(names.length / 2));
  const first = evenly(names, calibration);
  const used = new Set(first);
  const others = names.filter((n) => !used.has(n));
  const second = evenly(others, counts.check);
  const all = [...first, ...second];
  const { planes, reasons } = decoded(folder, all, size);
  const numbers = new Map(classes.map((c, i) => [latin1(c), i]));
  const each = 3 * size * size;
  const places = new Map(all.filter((n) => !reasons.has(n)).map((n, i) => [n, i]));
  const pictures = (wanted: readonly string[]): Pictures => {
    const good = wanted.filter((n) => places.has(n));
    const bytes = new Uint8Array(good.length * each);
    good.forEach((n, i) => {
      const at = (places.get(n) as number) * each;
      bytes.set(planes.subarray(at, at + each), i * each);
    });
    const labels = good.map((n) => (n.includes("/") ? numbers.get(n.slice(0, n.indexOf("/"))) : undefined));
    return { count: good.length, size, planes: bytes, labels };
  };
  const unreadable = [...reasons].map(([n, why]) => `${Buffer.from(n, "latin1").toString()}: ${why}`);
  const calibrated = pictures(first);
  const unused = pictures(second);
  const check = unused.count > 0 ? unused : pictures(evenly(first, counts.check));
  if (check.count === 0 || (calibration > 0 && calibrated.count === 0))
    throw new Error(`--images ${folder}: none of the images drawn can be read, such as ${unreadable[0]}`);
  const separate = calibration > 0 && unused.count > 0;
  return { folder, found: names.length, calibration: calibrated, check, separate, unreadable };
}

const latin1 = (text: string): string => Buffer.from(text).toString("latin1");

/** `count` of the names, or all, at equal distances. */
function evenly(names: readonly string[], count: number): readonly string[] {
  if (count >= names.length) return names;
  return Array.from({ length: count }, (_, i) => names[Math.floor(((i + 0.5) * names.length) / count)] as string);
}

/** Runs moproc-data. Names of files are bytes, which are kept as latin1. */
function tool(folder: string, args: readonly string[], input = ""): string {
  const r = spawnSync(nativeFile("moproc-data"), args, {
    input: Buffer.from(input, "latin1"),
    maxBuffer: 2 ** 31 - 1,
  });
  if (r.status === 0) return r.stdout.toString("latin1");
  const why =
    r.error?.message ??
    r.stderr
      .toString()
      .trim()
      .replace(/^moproc data \w+: /, "");
  throw new Error(`--images ${why.startsWith(folder) ? why : `${folder}: ${why}`}`);
}

/** The paths of all images in a folder, relative to it. Throws if there is none. */
function imagesOf(folder: string): readonly string[] {
  const names = tool(folder, ["images", "--data", folder]).split("\0").slice(0, -1);
  if (names.length === 0) throw new Error(`--images ${folder}: has no image in it or in its folders`);
  return names;
}

/** The images as bytes [N, 3, size, size], without those that cannot be read, which have a reason instead. */
function decoded(
  folder: string,
  names: readonly string[],
  size: number,
): { readonly planes: Uint8Array; readonly reasons: ReadonlyMap<string, string> } {
  const dir = mkdtempSync(join(tmpdir(), "moproc-images-"));
  try {
    const out = join(dir, "pixels");
    const flags = ["--null", "--skip", "--size", String(size), "--out", out];
    const said = tool(folder, ["pixels", "--data", folder, ...flags], names.map((n) => `${n}\0`).join(""));
    const reasons = new Map<string, string>();
    for (const line of said.split("\n").slice(0, -1)) {
      const [, i, why] = /^(\d+) (.*)$/.exec(line) ?? [];
      reasons.set(names[Number(i)] as string, why as string);
    }
    return { planes: planesOf(readFileSync(out), size), reasons };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Rows of RGB, [N, size, size, 3], as [N, 3, size, size]. */
function planesOf(pixels: Uint8Array, size: number): Uint8Array {
  const area = size * size;
  const planes = new Uint8Array(pixels.length);
  for (let image = 0; image < pixels.length; image += 3 * area)
    for (let c = 0; c < 3; c++)
      for (let i = 0; i < area; i++) planes[image + c * area + i] = pixels[image + 3 * i + c] as number;
  return planes;
}
