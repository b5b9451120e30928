// moproc clean on a folder of images: the rule applied to the report's own scores, the annotation's bytes, and stopped
// runs.

import { spawn } from "node:child_process";
import { existsSync, renameSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import { closeBrowser, fits, haveBrowser, openPage } from "../support/browser.js";
import { type Ran, Shell } from "../support/cli.js";

const shell = new Shell("clean");
const at = (...path: readonly string[]): string => shell.at(...path);
const text = (...path: readonly string[]): string => shell.text(...path);
const done = (...args: readonly string[]): string => shell.done(...args);
const moproc = (...args: readonly string[]): Ran => shell.moproc(...args);
test.after.always(async () => {
  await closeBrowser();
  shell.remove();
});

const classes = 4;
const images = 1200;
const model = `-a resnet10 --width 0.125 -b 8 --image-size 32 --num-class ${classes} --low-dim 8 --moco_queue 16`.split(
  " ",
);

const checkpoint = "run/checkpoint_0000_000040.safetensors";
test.before(() => {
  done(
    "data",
    "sample",
    "--out",
    "some data",
    "--classes",
    `${classes}`,
    "--images",
    `${images}`,
    "--val",
    "8",
    "--size",
    "40",
  );
  done(
    "train",
    ...model,
    "--data",
    "some data",
    "--exp-dir",
    "run",
    "--epochs",
    "1",
    "--steps",
    "40",
    "--lr",
    "0.02",
    "--quiet",
  );
});

const clean = (...flags: readonly string[]): readonly string[] => [
  "clean",
  "-b",
  "8",
  "--data",
  "some data",
  "--resume",
  checkpoint,
  ...flags,
];

interface Line {
  readonly image: string;
  readonly given: number;
  readonly pseudo: number | null;
  readonly best: number;
  readonly cls: readonly [number, number];
  readonly proto: readonly [number, number];
  readonly score: readonly [number, number];
  readonly margin: number;
  readonly verdict: string;
}
const lines = (name: string): Line[] =>
  text(`${name}.report.jsonl`)
    .trimEnd()
    .split("\n")
    .map((l) => JSON.parse(l) as Line);

/** Python's json.dump of the images that stay, from the report alone. */
function annotationOf(report: readonly Line[]): string {
  const stay = report.filter((l) => l.pseudo !== null);
  return (
    `{"images": [${stay.map((l) => JSON.stringify(l.image)).join(", ")}], "labels": ` +
    `[${stay.map((l) => l.pseudo).join(", ")}], "classes": ${classNames()}}`
  );
}

/** The names of the classes, as Python's json.dump writes them. */
const classNames = (): string =>
  `[${text("some data", "info", "synsets.txt")
    .trimEnd()
    .split("\n")
    .map((name) => JSON.stringify(name))
    .join(", ")}]`;

test.serial("verdicts follow from scores, scores from both heads; the annotation is what json.dump writes", (t) => {
  const [alpha, threshold] = [0.3, 0.4];
  const out = done(...clean("--alpha", `${alpha}`, "--pseudo_th", `${threshold}`, "--annotation", "a.json"));
  const report = lines("a");
  t.is(report.length, images);
  const listed = ["google", "flickr"].flatMap((s) =>
    text("some data", "info", `train_filelist_${s}.txt`).trimEnd().split("\n"),
  );
  t.deepEqual(
    report.map((l) => `${l.image} ${l.given}`),
    listed,
  );
  for (const l of report) {
    const score = (i: 0 | 1): number => alpha * l.cls[i] + (1 - alpha) * l.proto[i];
    for (const i of [0, 1] as const) t.true(Math.abs(l.score[i] - score(i)) < 2e-6, JSON.stringify(l));
    const label = l.score[1] > threshold ? l.best : l.score[0] > 1 / classes ? l.given : null;
    t.is(l.pseudo, label, JSON.stringify(l));
    t.is(l.verdict, label === null ? "dropped" : label === l.given ? "kept" : "relabelled");
    t.true(l.margin >= 0 && l.margin <= l.score[1] && l.score[1] >= l.score[0]);
  }
  for (const v of ["kept", "relabelled", "dropped"]) {
    const count = report.filter((l) => l.verdict === v).length;
    t.regex(out, new RegExp(`${v} +${count} `));
    t.true(count > 0, `${v}: ${out}`);
  }
  t.is(text("a.json"), annotationOf(report));
  t.false(existsSync(at("a.json.partial")));
});

const look = haveBrowser ? test.serial : test.serial.skip; // no Chromium is installed
for (const screen of ["desktop", "phone"] as const)
  look(
    `the page in a browser, ${screen}: counts, charts with their thresholds, images and tables that sort`,
    async (t) => {
      const report = lines("a");
      const { page, complaints } = await openPage(at("a.html"), screen);
      for (const v of ["kept", "relabelled", "dropped"]) {
        const tile = await page.locator(`.tile[data-verdict=${v}] b`).innerText();
        t.is(Number(tile.replaceAll(",", "")), report.filter((l) => l.verdict === v).length, v);
      }
      await page.locator(".chart svg").nth(2).waitFor();
      const charts = await page.locator(".chart").allInnerTexts();
      for (const [i, what] of ["--pseudo_th 0.4", "1/4"].entries()) t.true(charts[i]?.includes(what), charts[i]);
      t.true((await page.locator(".chart svg path[fill='#2f8f83']").count()) > 2, "bars");
      t.true(await fits(page));

      const cards = async (): Promise<{ readonly verdict: string; readonly margin: number; readonly line: Line }[]> => {
        const all = await page.locator(".card").all();
        return Promise.all(
          all.map(async (c) => {
            const image = (await c.getAttribute("data-image")) as string;
            const margin = Number(/margin ([\d.]+)/.exec(await c.innerText())?.[1]);
            return {
              verdict: (await c.getAttribute("data-verdict")) as string,
              margin,
              line: report.find((l) => l.image === image) as Line,
            };
          }),
        );
      };
      await page.locator("button[data-only=relabelled]").click();
      const rising = await cards();
      t.true(rising.length >= 5 && rising.every((c) => c.verdict === "relabelled" && c.line.verdict === "relabelled"));
      t.deepEqual(
        rising.map((c) => c.margin),
        rising.map((c) => Number(c.line.margin.toFixed(3))).toSorted((a, b) => a - b),
      );
      await page.getByLabel("sort by").selectOption("largest margin");
      t.is((await cards())[0]?.margin, rising.at(-1)?.margin);
      const width = await page
        .locator(".card img")
        .first()
        .evaluate(async (e) => {
          const img = e as unknown as { decode(): Promise<void>; readonly naturalWidth: number };
          await img.decode();
          return img.naturalWidth;
        });
      t.true(width > 20, "pictures can be seen");

      const table = page.locator("table").first();
      const given = async (): Promise<number[]> =>
        (await table.locator("tbody tr td:nth-child(2)").allInnerTexts()).map(Number);
      const counts = Array.from({ length: classes }, (_, c) => report.filter((l) => l.given === c).length);
      t.deepEqual(
        await given(),
        counts.toSorted((a, b) => b - a),
      );
      await table.locator("th").nth(1).click();
      t.deepEqual(
        await given(),
        counts.toSorted((a, b) => a - b),
      );
      t.deepEqual(complaints, []);
      await page.close();
    },
  );

test.serial("a run that was stopped, politely or not, goes on to the same bytes", async (t) => {
  done(...clean("--annotation", "whole.json"));
  for (const [signal, status] of [
    ["SIGTERM", 143],
    ["SIGKILL", null],
  ] as const) {
    const name = signal.toLowerCase();
    const binary = done("compile", ...model, "-o", "art") && at("art", "train");
    const child = spawn(binary, [...clean("--annotation", `${name}.json`)], { cwd: shell.dir, stdio: "ignore" });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    while (!existsSync(at(`${name}.json.partial`)) || text(`${name}.json.partial`).split("\n").length < 20)
      await sleep(1);
    child.kill(signal);
    t.is(await ended, status);
    t.false(existsSync(at(`${name}.json`)));
    const begun = text(`${name}.json.partial`);
    writeFileSync(at(`${name}.json.partial`), begun.slice(0, -7)); // as a crash in the middle of a line leaves it
    const other = moproc(...clean("--annotation", `${name}.json`, "--alpha", "0.1"));
    t.is(other.status, 2);
    t.regex(other.err, /\.partial: was begun with other settings/);
    t.regex(done(...clean("--annotation", `${name}.json`)), /\d+ of 1200 images are done/);
    for (const file of ["json", "report.jsonl"]) t.is(text(`${name}.${file}`), text(`whole.${file}`), file);
  }
});

test.serial(
  "--compat released takes alpha 0.5, as the published code; an unreadable image is left out and said",
  (t) => {
    done(...clean("--annotation", "half.json"));
    t.regex(
      done(...clean("--annotation", "released.json", "--alpha", "0.9", "--compat", "released")),
      /note: --compat released.*alpha 0\.5/,
    );
    t.is(text("released.json"), text("half.json"));
    const victim = lines("half")[11]?.image as string;
    renameSync(at("some data", victim), at("away.jpg"));
    writeFileSync(at("some data", victim), "no image");
    const out = done(...clean("--annotation", "hurt.json"));
    renameSync(at("away.jpg"), at("some data", victim));
    t.regex(out, /unreadable +1 /);
    t.is(text("hurt.json"), annotationOf(lines("half").filter((l) => l.image !== victim)));
    t.deepEqual(
      lines("hurt")
        .filter((l) => l.verdict === "unreadable")
        .map((l) => [l.image, l.pseudo]),
      [[victim, null]],
    );
  },
);

const refused: readonly (readonly [readonly string[], RegExp])[] = [
  [["clean", "--data", "some data"], /--resume FILE is needed/],
  [["clean", "--data", "some data", "--resume", "nothing.safetensors"], /nothing\.safetensors: no such file/i],
  [clean("-a", "resnet18"), /-a resnet18: .*resnet10/],
  [clean("--num-class", "5"), /--num-class 5: .* 4/],
  [clean("--compat", "frob"), /--compat frob: must be paper or released/],
  [clean("--annotation", "nowhere/a.json"), /nowhere\/a\.json: there is no folder/],
  [["clean", "-b", "8", "--data", "nowhere", "--resume", checkpoint], /nowhere: no such folder/],
];
for (const [args, message] of refused)
  test.serial(`refused: moproc ${args.join(" ")}`, (t) => {
    const r = moproc(...args);
    t.is(r.status, 2, r.err);
    t.regex(r.err, message);
  });

test.serial("help lists the flags with units and defaults, in both spellings", (t) => {
  t.regex(done("clean", "--help"), /--pseudo_th X .*\(.*default: 0\.8\)/);
  t.is(moproc(...clean("--pseudo-th", "0.8", "--annotation", "spelled.json")).status, 0);
});
