// What the demo must know about a WebVision folder before it compiles: how many classes, images, and whether somebody
// knows the truth. The training binary reads the lists itself, and checks them line by line once more.

import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { SetupError } from "../setup/steps.mjs";

/** Number of classes that info/synsets.txt names, one a line; without the file any label will do. */
function namedClasses(info) {
  const file = join(info, "synsets.txt");
  return existsSync(file)
    ? readFileSync(file, "utf8")
        .split("\n")
        .filter((l) => l.trim() !== "").length
    : Infinity;
}

/** Largest label and number of entries of a list of "PATH LABEL" lines. Throws SetupError naming file and line. */
function readList(file, named) {
  if (!existsSync(file) || !statSync(file).isFile()) throw new SetupError(`${file}: no such list`);
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
 * A folder of WebVision V1's layout -> classes (largest label of its three lists + 1), number of training and
 * validation images, and the path of truth.json where it has one. Throws SetupError when it is not such a folder.
 */
export function readFolder(folder, batch) {
  const info = join(folder, "info");
  if (!existsSync(info))
    throw new SetupError(`${folder}: has no folder info/, where a WebVision folder keeps its lists`);
  if (!existsSync(join(folder, "val_images_256")) && !existsSync(join(folder, "shards", "index.txt")))
    throw new SetupError(`${folder}: has no folder val_images_256/, where the validation images lie`);
  const named = namedClasses(info);
  const lists = ["train_filelist_google.txt", "train_filelist_flickr.txt", "val_filelist.txt"];
  const [google, flickr, val] = lists.map((name) => readList(join(info, name), named));
  const classes = Math.max(google.largest, flickr.largest, val.largest) + 1;
  const images = google.images + flickr.images;
  if (images < batch) throw new SetupError(`${info}: ${images} training images; a batch of this demo has ${batch}`);
  if (val.images === 0) throw new SetupError(`${join(info, "val_filelist.txt")}: no image in it`);
  if (classes < 2) throw new SetupError(`${info}: the lists name only class 0; training needs 2 classes`);
  const truth = join(folder, "truth.json");
  return { folder, classes, images, val: val.images, truth: existsSync(truth) ? truth : undefined };
}
