// A mistake in a command is told before anything is compiled: flags that contradict each other, files that are not
// there or are something else. The cache of this test is empty, and stays so.

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import test from "ava";
import { Shell } from "../support/cli.js";

const shell = new Shell("fail_first");
test.after.always(() => shell.remove());

const net = "-a resnet10 --width 0.125 --image-size 32 --low-dim 8 --moco_queue 24".split(" ");
const from = "run/last.safetensors";

test.before(() => {
  const sizes = "--classes 4 --images 32 --val 8 --size 40".split(" ");
  shell.done("data", "sample", "--layout", "imagenet", "--out", "data", ...sizes);
  shell.done("train", ...net, "-b", "8", "--data", "data", "--exp-dir", "run", "--steps", "1");
  shell.done("data", "sample", "--out", "webvision", ...sizes);
  mkdirSync(shell.at("folder"));
  writeFileSync(shell.at("file"), "\n");
  other("splits", (at) => {
    renameSync(at("train"), at("training"));
    renameSync(at("val"), at("Validation"));
  });
  mkdirSync(shell.at("above"));
  cpSync(shell.at("data"), shell.at("above", "photos"), { recursive: true });
  other("spelled", (at) => renameSync(at("val", "n00000003"), at("val", "N00000003")));
  other("pipe", (at) => execFileSync("mkfifo", [at("train.csv"), at("val.csv")]));
  other("numbers", (at) => {
    for (const split of ["train", "val"]) {
      const row = (c: number): string => `${split}/n0000000${c}/n0000000${c}_0.JPEG,${c - 1}\n`;
      writeFileSync(at(`${split}.csv`), `path,label\n${[1, 2, 3, 4].map(row).join("")}`);
    }
    writeFileSync(at("classes.txt"), "1\n2\n3\n4\n");
  });
  other("circle", (at) => symlinkSync("..", at("train", "n00000002", "more")));
  other("circular", (at) => symlinkSync("..", at("val", "n00000002", "again")));
  other("rows", (at) => {
    const names = readdirSync(at("train"), { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".JPEG"));
    const row = (f: string): string => `train/${f},${Number(f[8]) - 1}\n`;
    for (const split of ["train", "val"]) writeFileSync(at(`${split}.csv`), `path,label\n${names.map(row).join("")}`);
    const some = names.slice(1).map((f) => `train/${f}`);
    writeFileSync(shell.at("some.txt"), some.map((f) => `${f} 1\n`).join(""));
    writeFileSync(shell.at("far.json"), JSON.stringify({ train: { [some[0] as string]: 7 } }));
  });
  other("second", (at) => {
    const row = (f: string): string => `${f},0\n${f},1\n`;
    const [image] = readdirSync(at("train", "n00000001"));
    writeFileSync(at("train.csv"), `path,label\n${row(`train/n00000001/${image}`)}`);
    writeFileSync(at("val.csv"), `path,label\n${row(`train/n00000001/${image}`)}x.JPEG\n`);
  });
  execFileSync("mkfifo", [shell.at("pipe.json")]);
  writeFileSync(shell.at("weights.txt"), "train/n00000001/a.JPEG 0.5\ntrain/n00000001/b.JPEG much\n");
  writeFileSync(shell.at("torn.json"), '{"train": {"a.JPEG": 1');
  writeFileSync(shell.at("odd.json"), '{"train": {"a.JPEG": [1]}}');
  writeFileSync(shell.at("zebra.json"), '{"train": {"a.JPEG": "zebra"}}');
  writeFileSync(shell.at("list.json"), "[]\n");
  writeFileSync(shell.at("object.json"), "{}\n");
  process.env.MOPROC_CACHE = shell.at("cache");
});

/** A copy of the data folder with other names, made by `change`. */
function other(name: string, change: (at: (...path: readonly string[]) => string) => void): void {
  cpSync(shell.at("data"), shell.at(name), { recursive: true });
  change((...path) => shell.at(name, ...path));
}

const training = (flags: string): string => `train ${net.join(" ")} -b 4 --data data --exp-dir new ${flags}`;
const onData = (data: string, flags = ""): string =>
  `train ${net.join(" ")} -b 4 --data ${data} --exp-dir new ${flags}`.trim();
const cases: readonly (readonly [string, RegExp])[] = [
  [training("--sample-weights none"), /--sample-weights none: no such file/],
  [training("--sample-weights folder"), /--sample-weights folder: is a folder; a file is needed/],
  [training("--truth none"), /--truth none: no such file/],
  [training("--sample-weights weights.txt"), /weights\.txt:2: expected 'PATH WEIGHT' with a weight of 0 or more/],
  [training("--truth torn.json"), /torn\.json: bad JSON at byte/],
  [training("--truth list.json"), /list\.json: has no object "train"/],
  [training("--truth odd.json"), /odd\.json: image a\.JPEG: neither a class nor null/],
  [training("--truth zebra.json"), /zebra\.json: image a\.JPEG: the run has no class 'zebra'/],
  [onData("rows", "--sample-weights some.txt"), /some\.txt: has no weight for train\/n0/],
  [onData("rows", "--truth far.json"), /far\.json: image train\/.*: its class 7 is not one of the run's, 0 to 3/],
  [onData("rows", "--truth object.json"), /object\.json: has no object "train"/],
  [onData("circle"), /circle\/train\/n00000002\/more: is a link to a folder above it; remove it/],
  [onData("circular"), /circular\/val\/n00000002\/again: is a link to a folder above it; remove it/],
  [`evaluate -b 4 --resume ${from} --data circular`, /circular\/val\/n00000002\/again: is a link to a folder above it/],
  [training("--save-every 1ms"), /--save-every 1ms: must be a number of steps, 1 or more, or a time between 0\.01s/],
  [training("--val-split 0.2"), /--val-split 0\.2: data has validation images of its own/],
  [training("--dump-step 4"), /--dump-step N and --dump DIR need each other/],
  [training("--rank 3 --world-size 2"), /--rank 3: nodes are counted from 0 to 1/],
  [training("--start-epoch 90"), /--start-epoch 90 leaves no epochs of --epochs 90/],
  [training("--resume auto --overwrite"), /--overwrite has no effect with --resume auto/],
  [training("--reset-optimizer"), /--reset-optimizer needs --resume FILE/],
  [training("--gpu 0"), /--gpu 0: the kernels are compiled for the CPU/],
  [training("--preset mini-webvision --num-class 20"), /--preset has 50 classes, --num-class says 20/],
  [training("--num-class 20 --preset mini-webvision"), /--preset has 50 classes, --num-class says 20/],
  [training("--json-log none/log.jsonl"), /none\/log\.jsonl: there is no folder/],

  [training("--artefact none"), /--artefact none: no such folder/],
  [`train ${net.join(" ")} -b 4 --data data --exp-dir file/sub`, /file\/sub: .*file is not a folder/],
  [`train ${net.join(" ")} -b 256 --data data --exp-dir new`, /data: 32 training images are fewer than a batch of 256/],
  [`train ${net.join(" ")} -b 4 --data splits --exp-dir new`, /would be classes, but are called Validation, training/],
  [`train ${net.join(" ")} -b 4 --data above --exp-dir new`, /above: has one class, and a network is trained on two/],
  [`train ${net.join(" ")} -b 4 --data spelled --exp-dir new`, /no class of this name.*did you mean 'n00000003'\?/],
  [
    `train ${net.join(" ")} -b 4 --data pipe --exp-dir new`,
    /pipe\/train\.csv: cannot read this list: not a regular file/,
  ],
  [onData("data", "--num-class 3"), /--num-class says 3/],
  // of WebVision's images, those of the first classes may be used
  [onData("webvision", "--num-class 3").replace("-b 4", "-b 256"), /training images are fewer than a batch of 256/],
  [onData("second"), /second\/val\.csv:4: 1 fields, the first line has 2/],
  [
    `retrain -b 4 --resume ${from} --data data --exp-dir new --annotation pipe.json`,
    /--annotation pipe\.json: is not a regular file/,
  ],
  [
    `train ${net.join(" ")} -b 4 --data numbers --exp-dir new`,
    /csv:3: label '1' is a name in classes\.txt \(class 0\)/,
  ],
  [
    `train --task classifier ${net.join(" ")} -b 4 --data data --exp-dir run --resume auto`,
    /is of a run of --task mopro/,
  ],
  [`retrain -b 4 --resume ${from} --data data --exp-dir new --annotation file`, /--annotation file: bad JSON at byte/],
  [`clean -b 4 --resume ${from} --data data --decisions list.json`, /--decisions list\.json: is not a JSON object/],
  [`clean -b 4 --resume ${from} --data data --annotation none/a.json`, /none\/a\.json: there is no folder/],
  [`evaluate -b 4 --resume ${from} --data data --csv none/a.csv`, /none\/a\.csv: there is no folder/],
  [`train ${net.join(" ")} -b 4 --replay none --trace t`, /--replay none: no such file/],
  [`retrain -b 4 --resume ${from} --data data --exp-dir new --annotation none`, /--annotation none: no such file/],
  [
    `retrain -b 4 --resume ${from} --data data --exp-dir new --annotation object.json --imagenet folder`,
    /--imagenet folder\/val: no such folder/,
  ],
  [`clean -b 4 --resume ${from} --data data --decisions none`, /--decisions none: no such file/],
  [`evaluate -b 4 --resume ${from} --data data --val-split 0.5`, /--val-split 0\.5: data has validation images/],
  [`predict -b 4 --resume ${from} none`, /predict: none: no such file or folder/],
  [`predict -b 4 --resume ${from} data --classes none`, /--classes none: no such file/],
  [`lowshot -b 4 --model-path ${from}`, /--voc-path DIR is needed/],
  [`lowshot -b 4 --model-path ${from} --voc-path none`, /--voc-path none: no such folder/],
  [`lowshot -b 4 --model-path ${from} --dataset places --places-path file`, /--places-path file: is no folder/],
];

for (const [command, says] of cases)
  test(`moproc ${command.replace(net.join(" "), "...")}`, (t) => {
    const r = shell.moproc(...command.split(" "));
    t.is(r.status, 2, r.err);
    t.regex(r.err, says);
    t.false(existsSync(shell.at("cache")) && readdirSync(shell.at("cache")).length > 0);
  });
