// Reads what the demo must know about a WebVision folder before it compiles: the numbers of classes and images, and
// whether the true classes are known. The training binary reads the lists itself, and checks each line again.

import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { SetupError } from "../setup/steps.mjs";

/** The number of classes, one per line of info/synsets.txt; Infinity without the file, which permits every label. */
function namedClasses(info) {
  const file = join(info, "synsets.txt");
  return existsSync(file)
    ? readFileSync(file, "utf8")
        .split("\n")
        .filter((l) => l.trim() !== "").length
    : Infinity;
}

/** The largest label and number of entries of a list of "PATH LABEL" lines. Throws SetupError with file and line. */
function readList(file, named) {
  if (!existsSync(file) || !statSync(file).isFile()) throw new SetupError(`${file}: no such file`);
  let largest = -1;
  let images = 0;
  for (const [i, line] of readFileSync(file, "utf8").split("\n").entries()) {
    if (line.trim() === "") continue;
    const label = /^\s*\S.*\s(\d+)\s*$/.exec(line)?.[1];
    if (label === undefined)
      throw new SetupError(`${file}:${i + 1}: expected 'PATH LABEL', got '${line.slice(0, 80)}'`);
    if (Number(label) >= named)
      throw new SetupError(`${file}:${i + 1}: label ${label} is out of range; synsets.txt names ${named} classes`);
    largest = Math.max(largest, Number(label));
    images++;
  }
  return { largest, images };
}

/**
 * Reads a folder of WebVision V1's layout. Returns the number of classes (the largest label of its three lists + 1),
 * the numbers of training and validation images, and the path of truth.json if there is one. Throws SetupError if it is
 * not such a folder.
 */
export function readFolder(folder, batch) {
  const info = join(folder, "info");
  if (!existsSync(info))
    throw new SetupError(`${folder}: has no folder info/, where a WebVision folder keeps its lists`);
  if (!existsSync(join(folder, "val_images_256")) && !existsSync(join(folder, "shards", "index.txt")))
    throw new SetupError(`${folder}: has no folder val_images_256/, where the validation images belong`);
  const named = namedClasses(info);
  const lists = ["train_filelist_google.txt", "train_filelist_flickr.txt", "val_filelist.txt"];
  const [google, flickr, val] = lists.map((name) => readList(join(info, name), named));
  const classes = Math.max(google.largest, flickr.largest, val.largest) + 1;
  const images = google.images + flickr.images;
  if (images < batch) throw new SetupError(`${info}: ${images} training images; a batch of this demo has ${batch}`);
  if (val.images === 0) throw new SetupError(`${join(info, "val_filelist.txt")}: lists no image`);
  if (classes < 2) throw new SetupError(`${info}: the lists name only class 0; training needs 2 classes`);
  const truth = join(folder, "truth.json");
  return { folder, classes, images, val: val.images, truth: existsSync(truth) ? truth : undefined };
}
