// Pictures as they come: every format of the web under any name, formats that are not read, files that are no pictures,
// extreme sizes.

import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import test from "ava";
import { nativeFile } from "../../compiler/emit/native.js";
import { root } from "../../compiler/util/root.js";
import { type Ran, Shell } from "../support/cli.js";
import { png } from "../support/png.js";

const shell = new Shell("pictures");
test.after.always(() => shell.remove());

const model =
  "-a resnet10 --width 0.125 -b 8 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 16 --precision f32".split(" ");
const checkpoint = "exp/checkpoint_0000.safetensors";
const train = (exp: string, ...flags: readonly string[]): Ran =>
  shell.moproc("train", ...model, "--exp-dir", exp, "--epochs", "1", "--lr", "0.05", "--quiet", ...flags);

/** A data folder of its own, with the sample's images. */
function copy(name: string): (...path: readonly string[]) => string {
  cpSync(shell.at("data"), shell.at(name), { recursive: true });
  return (...path) => shell.at(name, ...path);
}
const filesOf = (folder: string): string[] =>
  readdirSync(folder)
    .sort()
    .map((f) => join(folder, f));

/** A native tool with a limit on its address space, in MB. */
function tool(megabytes: number, input: string, ...args: readonly string[]): Ran {
  const command = `ulimit -v ${megabytes * 1000}; exec "$@"`;
  const r = spawnSync("bash", ["-c", command, "bash", nativeFile("moproc-data"), ...args], {
    cwd: shell.dir,
    encoding: "utf8",
    input,
  });
  return { status: r.status, out: r.stdout, err: r.stderr };
}

const tiff = Buffer.from("II*\0\x08\0\0\0", "latin1");
const heic = Buffer.from("\0\0\0\x18ftypheic\0\0\0\0mif1heic", "latin1");

test.before(() => {
  const sizes = "--classes 4 --images 64 --val 20 --size 40".split(" ");
  shell.done("data", "sample", "--layout", "imagenet", "--out", "data", ...sizes);
  const r = train("exp", "--data", "data");
  if (r.status !== 0) throw new Error(r.err);
  const archive = join(root, "test", "fixtures", "pictures", "pictures.tar.gz");
  spawnSync("tar", ["xzf", archive, "-C", shell.dir]);
});

interface Case {
  readonly in: string;
  readonly out: string;
}
const cases = (): Case[] => (JSON.parse(shell.text("pictures", "cases.json")) as { cases: Case[] }).cases;

test("every format of the web under any name has the pixels that Pillow reads", (t) => {
  const pixels = (folder: string, names: string[], out: string): Buffer => {
    const r = tool(2000, `${names.join("\n")}\n`, "pixels", "--data", folder, "--size", "24", "--out", out);
    t.is(r.status, 0, r.err);
    return readFileSync(shell.at(out));
  };
  const all = cases();
  t.true(all.length > 80);
  const [got, wanted] = [
    pixels(
      "pictures/in",
      all.map((c) => c.in),
      "got.bin",
    ),
    pixels(
      "pictures/out",
      all.map((c) => c.out),
      "wanted.bin",
    ),
  ];
  const size = 24 * 24 * 3;
  t.is(got.length, size * all.length);
  const differ = all.filter((_, i) => got.compare(wanted, i * size, (i + 1) * size, i * size, (i + 1) * size) !== 0);
  t.deepEqual(
    differ.map((c) => c.in),
    [],
  );
});

test("predict, check, pack, training and the thumbnails of pages take every format", (t) => {
  const at = copy("web");
  const sorts = cases()
    .map((c) => c.in)
    .filter((f) => /^(lossy|animated|interlaced|transparent|offset|ycck|webp)\b.*/.test(f));
  t.true(sorts.length >= 8, sorts.join());
  for (const f of sorts) cpSync(shell.at("pictures", "in", f), at("train", "n00000001", f));
  const predicted = shell.done("predict", "-b", "8", "--resume", checkpoint, "web/train/n00000001", "--csv", "web.csv");
  t.regex(predicted, /predictions\n/);
  t.notRegex(predicted, /could not be read/);
  for (const f of sorts) t.true(shell.text("web.csv").includes(`web/train/n00000001/${f},`), f);
  const checked = shell.done("data", "check", "web");
  t.regex(checked, /all listed files can be used/);
  shell.done("data", "pack", "web", "--out", "packed", "--short-side", "0");
  const members = spawnSync("tar", ["tf", shell.at("packed", "shards", "train-00000.tar")], {
    encoding: "utf8",
  }).stdout;
  for (const ending of [".webp", ".gif", ".png", ".jpg"]) t.true(members.includes(ending), ending);
  const runs = ["web", "packed"].map((data) => train(`exp-${data}`, "--data", data));
  for (const r of runs) t.is(r.status, 0, r.err);
  const losses = ["web", "packed"].map((d) =>
    shell
      .metrics(`exp-${d}`)
      .filter((m) => m.event === "epoch")
      .map((m) => m.loss),
  );
  t.deepEqual(losses[0], losses[1]);
  const names = sorts.map((f) => `train/n00000001/${f}`);
  const r = tool(2000, names.map((n) => `${n}\0`).join(""), "thumbnails", "--data", "packed", "--out", "thumbs");
  t.is(r.status, 0, r.err);
  t.is(r.err, "");
  t.is(readdirSync(shell.at("thumbs")).length, names.length);
});

test("formats that are not read are named once, with their numbers", (t) => {
  mkdirSync(shell.at("scans", "deeper"), { recursive: true });
  for (let i = 0; i < 12; i++) writeFileSync(shell.at("scans", "deeper", `${i}.${i % 2 ? "tif" : "jpg"}`), tiff);
  for (let i = 0; i < 3; i++) writeFileSync(shell.at("scans", `${i}.HEIC`), heic);
  writeFileSync(shell.at("scans", "logo.svg"), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  const sentence = "12 TIFF files, 3 HEIC files and 1 SVG file are not read: convert them to JPEG or PNG";
  const from = ["predict", "-b", "8", "--resume", checkpoint];
  const none = shell.moproc(...from, "scans");
  t.is(none.status, 2);
  t.true(none.err.includes(`no image could be read: ${sentence}`), none.err);
  t.is(none.err.match(/TIFF/g)?.length, 1, none.err);
  cpSync(filesOf(shell.at("data", "val", "n00000001"))[0] as string, shell.at("scans", "photo.heic"));
  const one = shell.moproc(...from, "scans");
  t.is(one.status, 0, one.err);
  t.regex(one.out, /1 prediction, 16 could not be read/);
  t.is(one.err.trim(), `warning: ${sentence}`);

  const at = copy("mixed");
  for (const f of filesOf(shell.at("scans", "deeper"))) cpSync(f, at("train", "n00000002", basename(f)));
  const stopped = train("exp-mixed", "--data", "mixed");
  t.is(stopped.status, 2);
  t.true(stopped.err.includes("mixed: 12 of 76 training images (15.8 %) cannot be read"), stopped.err);
  t.true(stopped.err.includes("12 TIFF files are not read: convert them"), stopped.err);
  const goes_on = train("exp-mixed", "--data", "mixed", "--max-broken", "20");
  t.is(goes_on.status, 0, goes_on.err);
  t.true(goes_on.out.includes("warning: mixed: 12 TIFF files are not read: convert them to JPEG or PNG"), goes_on.out);
  t.is(goes_on.err, "");
  const checked = shell.moproc("data", "check", "mixed");
  t.is(checked.status, 1);
  t.regex(checked.out, /other format +12 /);
  t.regex(checked.out, /train: 12 TIFF files are not read/);
});

test("a run stops before its first step if a class, or over 1 % of a set, cannot be read", (t) => {
  const at = copy("torn");
  const dogs = filesOf(at("train", "n00000003"));
  for (const [i, f] of dogs.entries()) truncateSync(f, i % 2 ? 0 : 300);
  const numbers = `${dogs.length} of 64 training images`;
  const stops = (message: string, ...args: readonly string[]): void => {
    const r = shell.moproc(...args);
    t.is(r.status, 2, `${args}: ${r.out}${r.err}`);
    t.true(r.err.includes(message), r.err);
    t.true(r.err.includes("`moproc data check torn`"), r.err);
  };
  const begin = ["train", ...model, "--data", "torn", "--exp-dir", "exp-torn", "--epochs", "1"];
  stops(numbers, ...begin);
  stops(`no image can be read of class n00000003 (${dogs.length} images)`, ...begin);
  stops(`no image can be read of class n00000003 (${dogs.length} images)`, ...begin, "--max-broken", "50");
  t.false(existsSync(shell.at("exp-torn", "metrics.jsonl")));
  stops(numbers, "clean", ...model, "--data", "torn", "--resume", checkpoint, "--annotation", "torn.json");
  t.false(existsSync(shell.at("torn.json")));
  const few = "-b 8 --data torn --exp-dir exp-fine --epochs 1 --low-resource 0.9".split(" ");
  stops("no image can be read of class n00000003", "finetune", ...few, "--model-path", checkpoint);
  const anyway = train("exp-torn", "--data", "torn", "--max-broken", "100");
  t.is(anyway.status, 0, anyway.err);

  // Evaluation reads only the validation images, which are whole; then one of 20 is not.
  const evaluate = ["train", ...model, "--data", "torn", "--evaluate", "--resume", checkpoint];
  t.is(shell.moproc(...evaluate).status, 0);
  writeFileSync(filesOf(at("val", "n00000001"))[0] as string, "<html>404</html>");
  stops("1 of 20 validation images (5 %) cannot be read, more than --max-broken 1 %", ...evaluate);
  t.is(shell.moproc(...evaluate, "--max-broken", "5").status, 0);
  const checked = shell.moproc("data", "check", "torn");
  t.is(checked.status, 1);
  t.regex(checked.out, /class +1 /);
  t.true(checked.out.includes("train: n00000003: none of its"), checked.out);
  t.regex(checked.out, /share +2 /);
});

test("one broken file of 100 is allowed: it is named, and another image takes its place", (t) => {
  const at = copy("almost");
  for (const [i, f] of filesOf(at("train", "n00000001")).entries())
    for (let n = 0; n < 3; n++) cpSync(f, at("train", "n00000001", `again${n}-${i}.jpg`));
  const broken = filesOf(at("train", "n00000002"))[0] as string;
  writeFileSync(broken, "");
  const r = train("exp-almost", "--data", "almost");
  t.is(r.status, 0, r.err);
  t.true(r.err.includes(`${basename(broken)}: the file is empty`), r.err);
});

test("ranks share the work and stop together", (t) => {
  const at = copy("ranks");
  for (const f of filesOf(at("train", "n00000004"))) writeFileSync(f, "");
  const r = shell.moproc(
    "train",
    ...model,
    "--bn-groups",
    "2",
    "--ranks",
    "2",
    "--data",
    "ranks",
    "--exp-dir",
    "exp-ranks",
    "--epochs",
    "1",
  );
  t.is(r.status, 2, r.out + r.err);
  t.regex(r.err, /no image can be read of class n00000004/);
});

test("pictures of extreme sizes need no more memory than others", (t) => {
  const strip = (w: number, h: number): Buffer =>
    png(w, h, (x, y) => [(x + y) & 255, ((x + y) >> 8) & 255, (x * 7 + y * 3) & 255]);
  mkdirSync(shell.at("strips"));
  const names: string[] = [];
  for (const [w, h] of [
    [1, 60000],
    [60000, 1],
    [65535, 1],
    [1, 65535],
    [1, 1],
    [2, 30000],
  ] as const) {
    names.push(`${w}x${h}.png`);
    writeFileSync(shell.at("strips", names.at(-1) as string), strip(w, h));
  }
  const input = `${names.join("\n")}\n`;
  const pixels = tool(300, input, "pixels", "--data", "strips", "--size", "224", "--out", "strips.bin");
  t.is(pixels.status, 0, pixels.err);
  const thumbs = tool(
    300,
    names.map((n) => `${n}\0`).join(""),
    "thumbnails",
    "--data",
    "strips",
    "--out",
    "strip-thumbs",
  );
  t.is(thumbs.status, 0, thumbs.err);
  t.is(readdirSync(shell.at("strip-thumbs")).length, names.length);
  // The view of the network is that of the middle: a strip of its own, whose resized picture is small.
  writeFileSync(
    shell.at("strips", "middle.png"),
    png(1, 64, (x, y) => [(x + y + 29968) & 255, ((x + y + 29968) >> 8) & 255, (x * 7 + (y + 29968) * 3) & 255]),
  );
  tool(300, "middle.png\n", "pixels", "--data", "strips", "--size", "224", "--out", "middle.bin");
  const view = 224 * 224 * 3;
  t.true(
    readFileSync(shell.at("strips.bin"))
      .subarray(0, view)
      .equals(readFileSync(shell.at("middle.bin"))),
  );

  const at = copy("extreme");
  for (const f of names) for (const part of ["train", "val"]) cpSync(shell.at("strips", f), at(part, "n00000001", f));
  const r = train("exp-extreme", "--data", "extreme");
  t.is(r.status, 0, r.err);
  t.is(r.err, "");
  const small = ["-a", "resnet10", "--width", "0.125", "--num-class", "4", "--low-dim", "8", "--moco_queue", "16"];
  const large = [
    "train",
    ...small,
    "-b",
    "8",
    "--image-size",
    "224",
    "--data",
    "extreme",
    "--epochs",
    "1",
    "--lr",
    "0.01",
  ];
  const seen = shell.moproc(...large, "--exp-dir", "exp-large", "--quiet");
  t.is(seen.status, 0, seen.err);
  const evaluated = shell.metrics("exp-large").filter((m) => m.event === "validation" || m.event === "evaluate");
  t.is(evaluated[0]?.images, 20 + names.length, shell.text("exp-large", "metrics.jsonl"));
});

test("a file of another format under an image's name is read by its content in training, too", (t) => {
  const at = copy("renamed");
  for (const f of filesOf(at("train", "n00000002"))) renameSync(f, f.replace(/\.jpg$/i, ".webp"));
  const r = train("exp-renamed", "--data", "renamed");
  t.is(r.status, 0, r.err);
  t.is(r.err, "");
});

test("validation images of which none can be read have no accuracy, and no best epoch", (t) => {
  const at = copy("unread");
  for (const c of readdirSync(at("val")))
    for (const file of filesOf(at("val", c))) writeFileSync(file, "<html></html>");
  const r = train("unread_run", "--data", "unread", "--max-broken", "100", "--steps", "200");
  t.is(r.status, 0, r.err);
  t.regex(r.out, /warning: no validation image of .* can be read, so there is no accuracy/);
  t.notRegex(r.out, /top-1|best epoch/);
  t.deepEqual(
    shell.metrics("unread_run").filter((m) => m.event === "evaluate"),
    [],
  );
});
