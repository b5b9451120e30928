// Labels mean the same everywhere: a run has one table of classes, and every set of images is mapped to it by name.

import { appendFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import test from "ava";
import { decodeModel } from "../../compiler/onnx/proto.js";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("labels");
test.after.always(() => shell.remove());

const model = "-a resnet10 --width 0.125 -b 8 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 16".split(" ");
const classes = [1, 2, 3, 4].map((n) => `n0000000${n}`);
const checkpoint = "exp/checkpoint_0000.safetensors";

test.before(() => {
  const sizes = "--classes 4 --images 32 --val 16 --size 40".split(" ");
  shell.done("data", "sample", "--layout", "imagenet", "--out", "data", ...sizes);
  shell.done("train", ...model, "--data", "data", "--exp-dir", "exp", "--epochs", "1", "--quiet");
});

/** A copy of the data folder, changed. */
function changed(name: string, change: (path: (...parts: readonly string[]) => string) => void): string {
  cpSync(shell.at("data"), shell.at(name), { recursive: true });
  change((...parts) => shell.at(name, ...parts));
  return name;
}

/** The number of right answers on the validation images, and what is printed. */
function evaluated(data: string, ...args: readonly string[]): { right: number; images: number; out: string } {
  const out = shell.done("train", ...model, "--data", data, "--evaluate", "--resume", checkpoint, ...args);
  const [, top1, images] = /validation: top-1 ([\d.]+) .* of (\d+) images/.exec(out) ?? [];
  return { right: Math.round((Number(top1) * Number(images)) / 100), images: Number(images), out };
}

const recorded = (file: string, key: string): unknown => {
  const f = SafetensorsFile.open(shell.at(file));
  try {
    return JSON.parse(f.metadata.get(key) as string);
  } finally {
    f.close();
  }
};

test("a class that is missing among the validation images does not shift the labels of the others", (t) => {
  const all = evaluated("data");
  t.is(all.images, 16);
  const alone = classes.map((own) =>
    evaluated(
      changed(`only ${own}`, (at) => {
        for (const c of classes) if (c !== own) rmSync(at("val", c), { recursive: true });
      }),
    ),
  );
  t.deepEqual(
    alone.map((a) => a.images),
    [4, 4, 4, 4],
  );
  t.is(
    alone.reduce((sum, a) => sum + a.right, 0),
    all.right,
  );
  t.regex(alone[1]?.out as string, /warning: .*val: 3 of 4 classes have no image: n00000001, n00000003, n00000004/);
  // without the training folder, the checkpoint still knows the names
  const val = changed("val alone", (at) => rmSync(at("train"), { recursive: true }));
  t.is(evaluated(val).right, all.right);
});

test("the table is in checkpoints of both formats and in exported models, and a run continues with it", (t) => {
  t.deepEqual(recorded(checkpoint, "label_names"), classes);
  const data = changed("fewer", (at) => {
    rmSync(at("train", "n00000001"), { recursive: true });
    rmSync(at("val", "n00000001"), { recursive: true });
  });
  const more = [
    "--data",
    data,
    "--resume",
    checkpoint,
    "--epochs",
    "2",
    "--checkpoint-format",
    "pth.tar",
    "--accept-changes",
  ];
  const out = shell.done("train", ...model, ...more, "--exp-dir", "more");
  t.regex(out, /warning: .*train: 1 of 4 classes have no image: n00000001/);
  shell.done("convert", "more/checkpoint_0001.pth.tar", "more.safetensors");
  t.deepEqual(recorded("more.safetensors", "label_names"), classes);
  shell.done("export", "--resume", "more/checkpoint_0001.pth.tar", "-o", "m.onnx", "--no-check");
  const { metadata } = decodeModel(readFileSync(shell.at("m.onnx")));
  t.deepEqual(JSON.parse(metadata.get("class_names") as string), classes);
});

test("a set with a class that the run does not have is refused, by every verb that reads one", (t) => {
  const renamed = changed("renamed", (at) => {
    for (const split of ["train", "val"]) {
      cpSync(at(split, "n00000003"), at(split, "zebra"), { recursive: true });
      rmSync(at(split, "n00000003"), { recursive: true });
    }
  });
  const refused = (...args: readonly string[]): void => {
    const r = shell.moproc(...args);
    t.is(r.status, 2, args.join(" "));
    t.regex(r.err, /zebra: the run has no class of this name; it has 4, the first is n00000001/);
  };
  refused("train", ...model, "--data", renamed, "--resume", checkpoint, "--exp-dir", "no", "--epochs", "2");
  refused("train", ...model, "--data", renamed, "--resume", checkpoint, "--evaluate");
  refused("clean", "-b", "8", "--data", renamed, "--resume", checkpoint, "--annotation", "a.json");
  const strange = changed("strange", (at) => cpSync(at("val", "n00000003"), at("val", "zebra"), { recursive: true }));
  refused("train", ...model, "--data", strange, "--exp-dir", "no", "--epochs", "1");
  refused("data", "check", strange);
  refused("data", "pack", strange, "--out", "packed strange");
});

test("an empty class folder keeps its index, packed too; hidden files are counted and not used", (t) => {
  const data = changed("empty", (at) => {
    for (const f of readdirSync(at("train", "n00000002"))) rmSync(at("train", "n00000002", f));
    mkdirSync(at("train", ".ipynb_checkpoints"));
    cpSync(at("val", "n00000001"), at("train", ".ipynb_checkpoints", "copies"), { recursive: true });
    writeFileSync(at("val", "n00000001", "._photo.jpg"), "x");
  });
  shell.done("data", "pack", data, "--out", "packed", "--short-side", "0");
  for (const dir of [data, "packed"]) {
    const page = shell.done("data", "check", dir, "--json", `${dir}.json`);
    const [train] = (JSON.parse(shell.text(`${dir}.json`)) as { sets: { images_a_class: number[] }[] }).sets;
    t.deepEqual(train?.images_a_class, [8, 0, 8, 8], dir);
    t.regex(page, /1 of 4 classes have no image: n00000002/);
    if (dir === data) t.regex(page, /hidden files and folders are not used: 1, such as \.ipynb_checkpoints/);
  }
  const out = shell.done("train", ...model, "--data", "packed", "--exp-dir", "of packed", "--epochs", "1");
  t.deepEqual(recorded("of packed/checkpoint_0000.safetensors", "label_names"), classes);
  t.regex(out, /warning: .*1 of 4 classes have no image: n00000002/);
});

test("numbers that begin with 1 are refused with their line, and read with --first-label 1", (t) => {
  const list = (split: string): string =>
    classes
      .flatMap((c, i) => readdirSync(shell.at("data", split, c)).map((f) => `${split}/${c}/${f},${i + 1}\n`))
      .join("");
  const data = changed("lists", (at) => {
    for (const split of ["train", "val"]) writeFileSync(at(`${split}.csv`), `\ufeffpath,label\r\n${list(split)}`);
  });
  const train = ["train", ...model, "--data", data, "--exp-dir", "of lists", "--epochs", "1"];
  const r = shell.moproc(...train);
  t.is(r.status, 2);
  t.regex(
    r.err,
    /lists\/train\.csv:26: label '4' is class 4, but the network has 4 classes \(--num-class\); .* --first-label 1/,
  );
  t.regex(shell.done("data", "check", data), /no label is 0; if the first class is 1, use --first-label 1/);
  shell.done(...train, "--first-label", "1");
  // the same paths with the same labels as the folders give them
  const [a, b] = ["exp", "of lists"].map((exp) => shell.metrics(exp).find((l) => l.event === "start")?.data_digest);
  t.is(b, a);
  t.regex(String(a), /^[0-9a-f]{16}$/);
  const check = (dir: string, ...more: readonly string[]): number[][] => {
    shell.done("data", "check", dir, "--json", `${dir}.check.json`, ...more);
    const report = JSON.parse(shell.text(`${dir}.check.json`)) as { sets: { images_a_class: number[] }[] };
    return report.sets.map((s) => s.images_a_class);
  };
  t.deepEqual(check(data, "--first-label", "1"), check("data"));
});

test("classes that only the validation images have, and a truth that does not fit, are said", (t) => {
  const list = (split: string, kept: readonly number[]): string =>
    classes
      .flatMap((c, i) => readdirSync(shell.at("data", split, c)).map((f) => `${split}/${c}/${f},${i}\n`))
      .filter((l) => kept.some((c) => l.endsWith(`,${c}\n`)))
      .join("");
  const data = changed("uneven", (at) => {
    writeFileSync(at("train.csv"), `path,label\n${list("train", [0, 2])}`);
    writeFileSync(at("val.csv"), `path,label\n${list("val", [0, 1, 2, 3])}`);
  });
  const train = (exp: string, ...more: readonly string[]) =>
    shell.moproc("train", ...model, "--data", data, "--exp-dir", exp, "--epochs", "1", ...more);
  const r = train("of uneven");
  t.is(r.status, 0, r.err);
  const said =
    /warning: .*uneven: 2 of 4 classes \(1, 3\) have validation images, but no training image, so they cannot be/;
  t.regex(r.out, said);
  t.notRegex(shell.done("train", ...model, "--data", "data", "--exp-dir", "even", "--epochs", "1"), said);

  const paths = list("train", [0, 2])
    .trim()
    .split("\n")
    .map((l) => l.split(",") as [string, string]);
  const truth = (shift: number): string => {
    const of = Object.fromEntries(paths.map(([path, label]) => [path, Number(label) + shift]));
    writeFileSync(shell.at("truth.json"), JSON.stringify({ train: of }));
    return "truth.json";
  };
  const above = train("no", "--truth", truth(2));
  t.is(above.status, 2);
  t.regex(above.err, /truth\.json: image train\/n00000003\/.*: its class 4 is not one of the run's, 0 to 3/);
  t.regex(train("one off", "--truth", truth(1)).out, /warning: truth\.json: no image has class 0, although some are/);
  t.notRegex(train("fits", "--truth", truth(0)).out, /truth\.json/);
});

test("two layouts in one folder are refused, not mixed", (t) => {
  const data = changed("two", (at) => {
    appendFileSync(at("train.csv"), `path,label\n${"train/n00000001/x.jpg,0\n".repeat(8)}`);
  });
  const r = shell.moproc("train", ...model, "--data", data, "--exp-dir", "no", "--epochs", "1");
  t.is(r.status, 2);
  t.regex(r.err, /two: has a list of the training images, but none of the validation images; write one/);
  t.is(shell.moproc("data", "check", data).status, 2);
});

test("too many broken images: a run would not start, or may not if it looks at a part of them", (t) => {
  const [file] = readdirSync(shell.at("data", "train", "n00000001"));
  const share = (images: number): string => {
    const line = (i: number): string => `${i % 50 === 0 ? `gone/${i}` : `train/n00000001/${file}`},0\n`;
    const data = changed(`share ${images}`, (at) => {
      for (const [split, n] of [
        ["train", images],
        ["val", 1],
      ] as const)
        writeFileSync(at(`${split}.csv`), `path,label\n${Array.from({ length: n }, (_, i) => line(i + 1)).join("")}`);
    });
    return shell.moproc("data", "check", data).out;
  };
  t.regex(share(10_000), /train: 200 of 10000 images \(2 %\) cannot be read, more than 1 %: a run would not start/);
  t.regex(share(10_050), /\(2 %\) cannot be read, more than 1 %: a run looks at 10000 of them, and may not start/);
});

test("lists may have absolute paths; a path with backslashes is named as one", (t) => {
  const list = (split: string, slash: string): string =>
    classes
      .flatMap((c, i) => readdirSync(shell.at("data", split, c)).map((f) => [shell.at("data", split, c, f), i]))
      .map(([path, i]) => `"${String(path).replaceAll("/", slash)}",${i}\n`)
      .join("");
  for (const [name, slash] of [
    ["absolute", "/"],
    ["windows", "\\"],
  ] as const) {
    mkdirSync(shell.at(name));
    for (const split of ["train", "val"])
      writeFileSync(shell.at(name, `${split}.csv`), `path,label\n${list(split, slash)}`);
  }
  t.regex(shell.done("data", "check", "absolute"), /all listed files can be used/);
  shell.done("train", ...model, "--data", "absolute", "--exp-dir", "of paths", "--epochs", "1", "--steps", "2");
  const r = shell.moproc("train", ...model, "--data", "windows", "--exp-dir", "of backslashes", "--epochs", "1");
  t.is(r.status, 2);
  t.regex(r.err, /folders are separated by \/ in a list, this path has a backslash/);
});
