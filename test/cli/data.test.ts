// moproc data check and pack on sample folders, and training on packed data.

import { spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import test from "ava";
import { nativeFile } from "../../compiler/emit/native.js";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("data");
test.after.always(() => shell.remove());

interface Checked {
  readonly layout: string;
  readonly unusable: number;
  readonly sets: readonly {
    name: string;
    images: number;
    images_a_class: number[];
    shorter_side_quantiles: Record<string, number>;
  }[];
  readonly findings: readonly { name: string; count: number; images: string[] }[];
}

const google = (): string[] => shell.text("data", "info", "train_filelist_google.txt").trim().split("\n");
const pathOf = (line: string): string => line.split(" ")[0] as string;

test.before(() => {
  shell.done("data", "sample", "--out", "data", "--classes", "4", "--images", "200", "--val", "24", "--size", "40");
});

const shards = (dir: string): Buffer[] =>
  readdirSync(shell.at(dir, "shards"))
    .sort()
    .map((f) => Buffer.concat([Buffer.from(f), readFileSync(shell.at(dir, "shards", f))]));

test.serial("pack: threads and stops do not show; any tar reads the shards; lists come along", async (t) => {
  const pack = ["data", "pack", "data", "--per-shard", "30", "--short-side", "32"];
  t.regex(
    shell.done(...pack, "--out", "packed", "--threads", "1"),
    /packed: 224 images \(webvision\) in 8 shards; in this run 224 shrunk/,
  );
  shell.done(...pack, "--out", "threads", "--threads", "4");
  t.deepEqual(shards("threads"), shards("packed"));

  const run = spawn(nativeFile("moproc-data"), [...pack.slice(1), "--out", "cut", "--threads", "1"], {
    cwd: shell.dir,
    stdio: "ignore",
  });
  const started = shell.at("cut", "shards", "train-00000.tar");
  while (!existsSync(started)) await new Promise((r) => setTimeout(r, 1));
  run.kill("SIGKILL");
  await new Promise((resolve) => run.on("close", resolve));
  t.false(existsSync(shell.at("cut", "shards", "index.txt")));
  t.regex(shell.done(...pack, "--out", "cut"), /224 images/);
  t.deepEqual(shards("cut"), shards("packed"));

  const listed = spawnSync("tar", ["tf", shell.at("packed", "shards", "val-00000.tar")], { encoding: "utf8" });
  t.is(listed.status, 0, listed.stderr);
  t.deepEqual(listed.stdout.trim().split("\n").slice(0, 4), [
    "000000000.jpg",
    "000000000.cls",
    "000000000.json",
    "000000001.jpg",
  ]);
  const json = spawnSync("tar", ["xOf", shell.at("packed", "shards", "train-00000.tar"), "000000000.json"], {
    encoding: "utf8",
  }).stdout;
  const [path, label] = (google()[0] as string).split(" ");
  t.deepEqual(JSON.parse(json), { path, label: Number(label) });
  for (const list of readdirSync(shell.at("data", "info")))
    t.is(shell.text("packed", "info", list), shell.text("data", "info", list));

  const again = shell.moproc(...pack, "--out", "packed");
  t.is(again.status, 0, again.err);
  t.regex(again.out, /packed: is packed already, so nothing is left to do/);
  const other = shell.moproc("data", "pack", "data", "--short-side", "31", "--out", "packed");
  t.is(other.status, 2);
  t.regex(other.err, /settings\.json: was packed of other lists or in another way/);
});

test.serial("pack on a disk that is full: said, and gone on with", (t) => {
  const pack = ["data", "pack", "data", "--per-shard", "30", "--short-side", "32", "--out", "full"];
  const full = shell.limited(40, ...pack);
  t.is(full.status, 2, full.out);
  t.regex(full.err, /\.tar.*: .*[Ff]ile too large/);
  shell.done(...pack);
  t.deepEqual(shards("full"), shards("packed"));
});

test.serial("the settings of a pack that was begun are kept", (t) => {
  shell.done("data", "pack", "data", "--out", "begun", "--per-shard", "50");
  rmSync(shell.at("begun", "shards", "index.txt"));
  const r = shell.moproc("data", "pack", "data", "--out", "begun", "--per-shard", "60");
  t.is(r.status, 2);
  t.regex(r.err, /settings\.json: was packed of other lists or in another way; remove .*shards to begin anew/);
});

test.serial("training, cleaning and fine-tuning read shards like folders: the same bits", (t) => {
  const broken = pathOf(google()[3] as string);
  // a damaged file is damaged in the shard, too
  truncateSync(shell.at("data", broken), Math.floor(statSync(shell.at("data", broken)).size * 0.8));
  shell.done("data", "pack", "data", "--out", "asis", "--short-side", "0", "--per-shard", "64");
  const model = "-a resnet10 --width 0.125 -b 16 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 64".split(" ");
  const weights = (exp: string): Float32Array => {
    const f = SafetensorsFile.open(shell.at(exp, "checkpoint_0001.safetensors"));
    const all = [...f.tensors.keys()].filter((n) => f.tensors.get(n)?.dtype === "F32").flatMap((n) => [...f.floats(n)]);
    f.close();
    return Float32Array.from(all);
  };
  for (const dir of ["data", "asis"]) {
    const r = shell.moproc("train", ...model, "--data", dir, "--exp-dir", `of ${dir}`, "--epochs", "2", "--quiet");
    t.is(r.status, 0, r.err);
    t.true(r.err.includes(`${broken}: the picture's data end early (truncated file)`), r.err);
    shell.done(
      "clean",
      "-b",
      "16",
      "--data",
      dir,
      "--resume",
      "of data/checkpoint_0001.safetensors",
      "--annotation",
      `${dir}.json`,
      "--no-html",
    );
    shell.done(
      "retrain",
      "-b",
      "16",
      "--data",
      dir,
      "--annotation",
      "data.json",
      "--resume",
      "of data/checkpoint_0001.safetensors",
      "--epochs",
      "1",
      "--exp-dir",
      `retrained ${dir}`,
      "--quiet",
    );
  }
  t.deepEqual(weights("of asis"), weights("of data"));
  t.is(shell.text("asis.json"), shell.text("data.json"));
  const top1 = (exp: string): unknown[] =>
    shell
      .metrics(exp)
      .filter((m) => m.event === "evaluate")
      .map((m) => [m.set, m.top1, m.balanced5]);
  t.deepEqual(top1("retrained asis"), top1("retrained data"));

  shell.done(
    "data",
    "sample",
    "--out",
    "imagenet",
    "--layout",
    "imagenet",
    "--classes",
    "4",
    "--images",
    "64",
    "--val",
    "16",
    "--size",
    "40",
  );
  shell.done("data", "pack", "imagenet", "--out", "imagenet packed", "--short-side", "0");
  for (const dir of ["imagenet", "imagenet packed"])
    shell.done(
      "finetune",
      "-b",
      "16",
      "--data",
      dir,
      "--model-path",
      "of data/checkpoint_0001.safetensors",
      "--low-resource",
      "0.5",
      "--epochs",
      "2",
      "--exp-dir",
      `tuned ${dir}`,
      "--quiet",
    );
  t.deepEqual(weights("tuned imagenet packed"), weights("tuned imagenet"));
  t.is(shell.text("tuned imagenet packed", "subset.txt"), shell.text("tuned imagenet", "subset.txt"));
});

test.serial("check finds what is wrong, says what it means, and writes it all as JSON", (t) => {
  const lines = google();
  const at = (i: number): string => pathOf(lines[i] as string);
  rmSync(shell.at("data", at(0)));
  writeFileSync(shell.at("data", at(1)), "<html>404</html>");
  const cmyk = `${process.cwd()}/build/native/test/native/data/fixtures/image-golden`;
  const inks = (readdirSync(cmyk, { recursive: true, encoding: "utf8" }) as string[]).find((f) =>
    /cmyk.*\.jpe?g$/i.test(f),
  ) as string;
  copyFileSync(`${cmyk}/${inks}`, shell.at("data", at(2)));
  copyFileSync(shell.at("data", at(5)), shell.at("data", "val_images_256", "val000001.jpg"));
  writeFileSync(shell.at("data", "google", "extra image.jpg"), "");
  mkdirSync(shell.at("data", "google", "__MACOSX"));
  writeFileSync(shell.at("data", "google", "__MACOSX", "1.jpg"), "");
  writeFileSync(shell.at("data", "google", "._1.jpg"), "");
  const twice = lines[6] as string;
  const otherwise = `./${twice.replace("/", "//")}`; // the same path, written in another way
  appendFileSync(
    shell.at("data", "info", "train_filelist_google.txt"),
    `${otherwise}\n${pathOf(lines[7] as string)} ${(Number(lines[7]?.split(" ")[1]) + 1) % 4}\n`,
  );
  const r = shell.moproc("data", "check", "data", "--json", "check.json", "--threads", "3");
  t.is(r.status, 1, r.err);
  t.regex(r.out, /3 listed files cannot be used/);
  t.regex(r.out, /two labels +1 +the same path twice in one list with different labels: one of them is wrong/);
  const checked = JSON.parse(shell.text("check.json")) as Checked;
  t.is(checked.layout, "webvision");
  t.is(checked.unusable, 3);
  const found = Object.fromEntries(checked.findings.map((f) => [f.name, f.images]));
  t.deepEqual(found.missing, [`${at(0)}: there is no such file`]);
  t.deepEqual(found.unreadable, [`${at(1)}: not a JPEG, PNG, WebP or GIF file, it looks like HTML`]);
  t.deepEqual(found.truncated, [`${at(3)}: the picture's data end early (truncated file)`]);
  t.deepEqual(found.cmyk, [at(2)]);
  t.deepEqual(found["listed twice"], [`${pathOf(otherwise)} is ${pathOf(twice)}`]);
  t.deepEqual(found["two labels"], [at(7)]);
  t.deepEqual(found["same bytes"], [`val_images_256/val000001.jpg is ${at(5)}`]);
  t.deepEqual(found["not listed"], ["google/extra image.jpg"]);
  t.deepEqual(found["in two lists"], []);
  const [train, val] = checked.sets;
  t.is(train?.images, 202);
  t.is(
    train?.images_a_class.reduce((a, n) => a + n),
    202,
  );
  t.deepEqual(val?.images_a_class, [6, 6, 6, 6]);
  t.is(val?.shorter_side_quantiles["0.5"], 40);
  const none = shell.moproc("data", "check", "nowhere");
  t.is(none.status, 2);
  t.regex(none.err, /nowhere: no such folder/);
});
