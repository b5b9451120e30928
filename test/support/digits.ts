// Digits written by hand (test/fixtures/digits) as a folder of class folders, with wrong labels: real images on which
// it shows whether training copes with labels that are wrong. As a program:
//   node build/js/test/support/digits.js OUT [SHARE OF WRONG LABELS] [SEED]

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";
import { root } from "../../compiler/util/root.js";
import { png } from "./png.js";
import { uniform } from "./random.js";

const ROW = 65;
const SIDE = 8;
const SCALE = 5; // of the picture's side
/** How many of the 1,797 images train; the others, with their right labels, are for validation. */
export const TRAINED = 1397;

/**
 * Writes OUT/train/DIGIT/*.png and OUT/val/DIGIT/*.png: gray pictures of 40 x 40 pixels, black on white. A share
 * `wrong` of the training images, drawn by `seed`, lies in the folder of another digit.
 */
export function writeDigits(out: string, wrong: number, seed: number): void {
  const bytes = gunzipSync(readFileSync(join(root, "test", "fixtures", "digits", "digits.u8.gz")));
  const draw = uniform(seed);
  for (const set of ["train", "val"])
    for (let digit = 0; digit < 10; digit++) mkdirSync(join(out, set, `${digit}`), { recursive: true });
  for (let i = 0; i < bytes.length / ROW; i++) {
    const row = bytes.subarray(i * ROW, (i + 1) * ROW);
    const digit = row[ROW - 1] as number;
    const trains = i < TRAINED;
    const label = trains && draw() < wrong ? (digit + 1 + Math.floor(draw() * 9)) % 10 : digit;
    const name = `${String(i).padStart(4, "0")}.png`;
    writeFileSync(join(out, trains ? "train" : "val", `${label}`, name), picture(row));
  }
}

/** The picture of a row, enlarged bilinearly. */
function picture(row: Uint8Array): Buffer {
  const at = (x: number, y: number): number => row[clamp(y) * SIDE + clamp(x)] as number;
  return png(SIDE * SCALE, SIDE * SCALE, (px, py) => {
    const [x, y] = [(px + 0.5) / SCALE - 0.5, (py + 0.5) / SCALE - 0.5];
    const [x0, y0] = [Math.floor(x), Math.floor(y)];
    const mix = (a: number, b: number, t: number): number => a + (b - a) * t;
    const ink = mix(mix(at(x0, y0), at(x0 + 1, y0), x - x0), mix(at(x0, y0 + 1), at(x0 + 1, y0 + 1), x - x0), y - y0);
    return Array(3).fill(Math.round(255 - (ink * 255) / 16));
  });
}
const clamp = (i: number): number => Math.min(SIDE - 1, Math.max(0, i));

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [out, wrong, seed] = process.argv.slice(2);
  if (out === undefined) throw new Error("where to write the folder is missing");
  writeDigits(out, Number(wrong ?? 0.4), Number(seed ?? 1));
}
