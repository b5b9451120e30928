// The page of a training run: its numbers are those of the log, and a browser opens it.

import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { classData } from "../../tools/report/class_data.js";
import { trainData } from "../../tools/report/train.js";
import { closeBrowser, fits, haveBrowser, openPage } from "../support/browser.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("report");
test.after.always(async () => {
  await closeBrowser();
  shell.remove();
});

const model = "-a resnet10 --width 0.125 -b 16 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 64".split(" ");
const run = [
  "train",
  ...model,
  "--data",
  "data",
  "--exp-dir",
  "exp",
  "--epochs",
  "4",
  "--start_clean_epoch",
  "2",
  "--lr",
  "0.02",
  "-p",
  "5",
  "--quiet",
];
let begun = "";
test.before(() => {
  shell.done("data", "sample", "--out", "data", "--classes", "4", "--images", "320", "--val", "40", "--size", "40");
  begun = shell.done(...run, "--steps", "30"); // stops within epoch 1
  shell.done(...run, "--resume", "auto");
});

const last = <T>(xs: readonly T[]): T => xs.at(-1) as T;

test("the page's numbers are those of metrics.jsonl, each step and epoch once", (t) => {
  const lines = shell.metrics("exp");
  const data = trainData("exp", lines);
  const named = (
    of: readonly { readonly name: string; readonly points: readonly (readonly [number, number])[] }[],
    name: string,
  ) => of.find((c) => c.name === name)?.points ?? [];
  const evaluated = lines.filter((l) => l.event === "evaluate");
  t.deepEqual(
    named(data.accuracy, "WebVision, top-1"),
    evaluated.map((l) => [l.epoch, l.top1] as [number, number]),
  );
  t.is(named(data.accuracy, "WebVision, top-5").length, 4);
  const loss = named(data.stepLoss, "loss");
  t.is(last(loss)[0], 4 * 320);
  t.is(last(loss)[1], last(lines.filter((l) => l.event === "train")).loss as number);
  t.deepEqual(
    named(data.loss, "loss"),
    lines.filter((l) => l.event === "epoch").map((l) => [l.epoch, l.loss_avg] as [number, number]),
  );
  t.true(
    loss.every(([x], i) => i === 0 || x > (loss[i - 1] as readonly [number, number])[0]),
    "images seen rise, across the stop",
  );
  t.deepEqual(data.noise.epochs, [2, 3]);
  const clean = lines.filter((l) => l.event === "epoch" && l.phase === "clean");
  clean.forEach((l, i) => {
    t.is(data.noise.dropped[i], (100 * (l.dropped as number)) / 320);
    const sum = [data.noise.kept, data.noise.corrected, data.noise.dropped].reduce((s, v) => s + (v[i] as number), 0);
    t.true(Math.abs(sum - 100) < 1e-9);
  });
  t.is(data.settings.arch, "resnet10");
  t.is(data.settings.lr, 0.02);
  t.regex(String(data.environment.started), /^\d{4}-\d\d-\d\dT/);
});

test("phases, classes, confusion and machine are those of the run", (t) => {
  const lines = shell.metrics("exp");
  const data = trainData("exp", lines, classData(shell.at("exp", "evaluation.json"), t.fail));
  t.deepEqual(
    data.phases.map((p) => [p.name, p.samples, p.epoch]),
    [
      ["warmup", 0, 0],
      ["proto", 320, 1],
      ["clean", 640, 2],
    ],
  );
  const sum = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0);
  const evaluated = lines.filter((l) => l.event === "evaluate");
  const best = evaluated.reduce((a, b) => ((b.top1 as number) > (a.top1 as number) ? b : a));
  t.is(last(data.classes).epoch, last(evaluated).epoch as number);
  t.is(data.classes[0]?.epoch, best.epoch as number);
  for (const c of data.classes) {
    const line = evaluated.find((l) => l.epoch === c.epoch) as Record<string, number>;
    t.is(sum(c.images), 40);
    t.deepEqual([sum(c.right1), sum(c.right5)], [line.correct1, line.correct5]);
    c.images.forEach((n, own) => {
      const wrong = sum(c.confused.filter(([of]) => of === own).map(([, , times]) => times));
      t.is(wrong, n - (c.right1[own] as number), "every image is right, or seen as another class");
    });
    t.true(c.confused.every(([of, seen]) => of !== seen));
  }
  t.is(data.names?.length, 4);
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  t.is(data.environment.moproc, version);
  t.is(data.environment.command, ["moproc", ...run, "--resume", "auto"].join(" "));
  t.is(data.dataset, "data");
  const model_name = /^model name\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1];
  if (model_name !== undefined) t.is(data.environment.cpu, model_name);
  t.true((data.environment.cores as number) >= 1);
});

test("prototypes that stay their first images are warned of", (t) => {
  const counts = Array.from({ length: 4 }, () => 0);
  for (const source of ["google", "flickr"])
    for (const l of shell.text("data", "info", `train_filelist_${source}.txt`).trim().split("\n")) {
      const c = Number(l.split(" ").at(-1));
      counts[c] = (counts[c] as number) + 1;
    }
  const median = counts.sort((a, b) => a - b)[2] as number;
  const share = (100 * 0.999 ** (median - 1)).toFixed(0);
  t.true(
    begun.includes(
      `--proto_m 0.999: after epoch 0 the prototype of a class of ${median} images (the median here) is still ` +
        `${share} %`,
    ),
    begun,
  );
});

const look = haveBrowser ? test : test.skip; // no Chromium is installed
for (const screen of ["desktop", "phone"] as const)
  look(`the page in a browser, ${screen}`, async (t) => {
    t.true(existsSync(shell.at("exp", "report.html")), "train makes it");
    const { page, complaints } = await openPage(shell.at("exp", "report.html"), screen);
    await page.locator(".chart svg").nth(7).waitFor();
    const captions = await page.locator("figcaption").allInnerTexts();
    t.deepEqual(captions, [
      "Losses of single steps",
      "Losses, mean of each epoch",
      "Training accuracy of single steps",
      "Accuracy, of each epoch",
      "Labels in each epoch of the clean phase",
      "Learning rate",
      "Speed",
      "Validation images by their class (down) and the class seen (across)",
    ]);
    for (const svg of await page.locator(".chart svg").all())
      t.true((await svg.locator("path").count()) > 3, "something is drawn");
    const best = Math.max(
      ...shell
        .metrics("exp")
        .filter((l) => l.event === "evaluate")
        .map((l) => l.top1 as number),
    );
    t.is(await page.locator(".tile[data-what^='WebVision, best'] b").innerText(), `${best.toFixed(2)} %`);
    t.true((await page.locator("dl").first().innerText()).includes("resnet10"));
    t.true(await fits(page));
    t.deepEqual(complaints, []);
    await page.close();
  });

test("a damaged evaluation.json is left out with one line, and the page is made", (t) => {
  const whole = shell.text("exp", "evaluation.json");
  const first = JSON.parse(whole) as { sets: { evaluations: { of_class: unknown; confused: unknown }[] }[] };
  const changed = (change: (e: { of_class: unknown; confused: unknown }) => void): string => {
    const copy = structuredClone(first);
    change(copy.sets[0]?.evaluations[0] as { of_class: unknown; confused: unknown });
    return JSON.stringify(copy);
  };
  const damaged = {
    torn: whole.slice(0, whole.length / 2),
    empty: "",
    null: "null",
    "no sets": '{"format": "moproc-evaluation-1"}',
    "another format": whole.replace("moproc-evaluation-1", "moproc-evaluation-9"),
    "a list that is none": changed((e) => (e.of_class = 4)),
    "a list that is too short": changed((e) => (e.of_class as number[]).pop()),
    "pairs that are none": changed((e) => (e.confused = [1, 2])),
  };
  for (const [what, text] of Object.entries(damaged)) {
    mkdirSync(shell.at(what));
    copyFileSync(shell.at("exp", "metrics.jsonl"), shell.at(what, "metrics.jsonl"));
    writeFileSync(shell.at(what, "evaluation.json"), text);
    const r = shell.moproc("report", what);
    t.is(r.status, 0, what);
    t.is(r.err.trim().split("\n").length, 1, r.err);
    t.regex(r.err, /note: .*evaluation\.json: .*; the page has no accuracies of single classes/, what);
    t.true(existsSync(shell.at(what, "report.html")), what);
  }
});

test("moproc report: of a run under way, of another machine's log, and of what is no run", (t) => {
  mkdirSync(shell.at("half"));
  const lines = shell.text("exp", "metrics.jsonl").split("\n");
  writeFileSync(shell.at("half", "metrics.jsonl"), lines.slice(0, 3).join("\n"));
  t.regex(shell.done("report", "half"), /report\.html/);
  t.regex(readFileSync(shell.at("half", "report.html"), "utf8"), /<main>/);
  mkdirSync(shell.at("old")); // a log from before runs said what they are
  writeFileSync(shell.at("old", "metrics.jsonl"), lines.filter((l) => !l.includes('"start"')).join("\n"));
  shell.done("report", "old");
  mkdirSync(shell.at("none"));
  t.regex(shell.moproc("report", "none").err, /none\/metrics\.jsonl: no such file/);
  copyFileSync(shell.at("data", "truth.json"), shell.at("none", "metrics.jsonl"));
  t.regex(shell.moproc("report", "none").err, /metrics\.jsonl line 1: is not a record of a run, and no other line/);
});
