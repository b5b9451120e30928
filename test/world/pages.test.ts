// Pages of made-up results in a browser: names of classes that look like markup, and more classes than a matrix shows.

import { mkdirSync, writeFileSync } from "node:fs";
import test from "ava";
import type { Page } from "playwright-core";
import { cleanPage } from "../../tools/report/clean.js";
import { trainPage } from "../../tools/report/train.js";
import { closeBrowser, fits, haveBrowser, openPage } from "../support/browser.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("pages");
test.after.always(async () => {
  await closeBrowser();
  shell.remove();
});
const look = haveBrowser ? test.serial : test.serial.skip; // no Chromium is installed

const hostile = ["<img src=x onerror=alert(1)>", "a&b &lt;i&gt;", "{b|bold} {a}", "<b>four</b>"];

/** The page of a run whose evaluation has these classes. Each of them is seen as the next one twice. */
async function runPage(name: string, names: readonly string[]): Promise<string> {
  mkdirSync(shell.at(name));
  const set = names[0] as string; // a set is named after its folder
  const records = [
    { event: "start", from_samples: 0, from_epoch: 0, data_name: set },
    { event: "train", phase: "warmup", epoch: 0, step: 1, steps: 2, samples: 8, loss: 1, acc_cls: 1, images_per_s: 9 },
    { event: "train", phase: set, epoch: 0, step: 2, steps: 2, samples: 16, loss: 2, acc_cls: 2, images_per_s: 9 },
    { event: "epoch", epoch: 0, seconds: 1, loss_avg: 1, acc_cls_avg: 3 },
    { event: "evaluate", set, epoch: 0, top1: 50, top5: 60 },
    { event: "evaluate", set, epoch: 1, top1: 50, top5: 60 },
  ];
  writeFileSync(shell.at(name, "metrics.jsonl"), records.map((r) => `${JSON.stringify(r)}\n`).join(""));
  const all = (n: number): number[] => names.map(() => n);
  const confused = names.map((_, c) => [c, (c + 1) % names.length, 2]);
  const evaluation = { epoch: 1, top1: 50, of_class: all(10), right1: all(8), right5: all(9), confused };
  const sets = [{ set, evaluations: [evaluation] }];
  writeFileSync(shell.at(name, "evaluation.json"), JSON.stringify({ format: "moproc-evaluation-1", names, sets }));
  const file = shell.at(name, "report.html");
  writeFileSync(file, await trainPage(shell.at(name), () => {}));
  return file;
}

/** The page of a cleaning that moves every image to the next class. The path of an image is its class's name. */
async function cleaningPage(name: string, names: readonly string[]): Promise<string> {
  const line = (c: number) => ({
    ...{ image: `${names[c]}.jpg`, given: c, pseudo: (c + 1) % names.length, best: (c + 1) % names.length },
    ...{ cls: [0.1, 0.9], proto: [0.1, 0.9], score: [0.1, 0.9], margin: 0.8, verdict: "relabelled" },
  });
  const source = { report: shell.at(`${name}.jsonl`), summary: shell.at(`${name}.json`), perVerdict: 9 };
  writeFileSync(source.report, names.map((_, c) => `${JSON.stringify(line(c))}\n`).join(""));
  const summary = {
    ...{ settings: { classes: names.length, alpha: 0.5, pseudo_th: 0.8 }, names, sha256: { report: name } },
    images: { kept: 0, relabelled: names.length, dropped: 0, unreadable: 0 },
  };
  writeFileSync(source.summary, JSON.stringify(summary));
  const file = shell.at(`${name}.html`);
  writeFileSync(file, await cleanPage(source, (images) => images.map(() => "data:,")));
  return file;
}

/** Moves the mouse over a chart; returns the texts of its tooltips. */
async function tooltips(page: Page, caption: string): Promise<readonly string[]> {
  const at = page.locator("figure").filter({ hasText: caption }).locator(".chart");
  await at.scrollIntoViewIfNeeded();
  const box = (await at.boundingBox()) as { x: number; y: number; width: number; height: number };
  const texts = new Set<string>();
  for (const y of [0.1, 0.3, 0.5, 0.7])
    for (const x of [0.2, 0.4, 0.6, 0.9]) {
      await page.mouse.move(box.x + box.width * x, box.y + box.height * y);
      for (const text of await at.locator(":scope > div:not(:has(svg))").allInnerTexts()) texts.add(text.trim());
    }
  return [...texts].filter((s) => s !== "");
}

const pages = [
  ["a run", runPage, ["Accuracy, of each epoch", "Validation images by their class"]],
  ["a cleaning", cleaningPage, ["Labels that were changed"]],
] as const;
for (const [what, make, charts] of pages)
  look(`names that look like markup are text on the page of ${what}, in tooltips and labels, too`, async (t) => {
    const { page, complaints } = await openPage(await make(`${what}, hostile`, hostile), "desktop");
    const dialogs: string[] = [];
    page.on("dialog", (d) => {
      dialogs.push(d.message());
      void d.dismiss();
    });
    await page.locator(".chart svg").last().waitFor();
    let all = "";
    for (const caption of charts) all += (await tooltips(page, caption)).join("\n");
    for (const [c, name] of hostile.entries()) t.true(all.includes(`${c} ${name}`), `${name} in ${all}`);
    const labels = (await page.locator(".chart.tall svg text").allTextContents()).join("\n");
    for (const c of hostile.keys()) t.true(labels.includes(`${c} ${hostile[c]?.slice(0, 5)}`), labels);
    t.is(await page.locator(".chart b, .chart i, .chart img, td b, td i, td img, img[src=x]").count(), 0);
    t.deepEqual([...complaints, ...dialogs], []);
    await page.close();
  });

look("40 classes on a phone: the labels of the matrix do not lie on each other", async (t) => {
  const names = Array.from({ length: 40 }, (_, c) => `kind of number ${c}`);
  const { page } = await openPage(await runPage("matrix", names), "phone");
  const labels = page.locator(".chart.tall svg text").filter({ hasText: /^\d+ kind/ });
  await labels.first().waitFor();
  const boxes = await Promise.all((await labels.all()).map((l) => l.boundingBox()));
  const left = Math.min(...boxes.map((b) => b?.x ?? 0));
  const down = boxes.filter((b) => b && b.x < left + 40).map((b) => b?.y ?? 0); // those of the vertical axis
  t.true(down.length >= 10, `${down.length} labels`);
  down.slice(1).forEach((y, i) => void t.true(y - (down[i] as number) >= 10, `labels at ${down[i]} and ${y}`));
  await page.close();
});

const many = Array.from({ length: 60 }, (_, c) => `kind of number ${c * 7}`);
for (const screen of ["desktop", "phone"] as const)
  for (const [what, make] of pages)
    look(`60 classes on the page of ${what}, ${screen}: a field finds one of them in each table`, async (t) => {
      const { page, complaints } = await openPage(await make(`${what}, many, ${screen}`, many), screen);
      const tables = page.locator("div:has(> .controls input[type=search]):has(> .scroll)");
      t.is(await tables.count(), 2);
      for (const table of await tables.all()) {
        const cells = (column: number) => table.locator(`tbody tr td:nth-child(${column})`).allInnerTexts();
        t.is((await cells(1)).length, 60);
        await table.getByLabel("find").fill("NUMBER 91");
        const shown = (await cells(1)).toSorted();
        t.true(shown.includes("13 kind of number 91") && shown.length <= 2, shown.join());
        await table.locator("th").first().click();
        t.deepEqual((await cells(1)).toSorted(), shown, "sorting keeps to what was found");
        await table.getByLabel("find").fill("no such class");
        t.deepEqual(await cells(1), []);
        await table.getByLabel("find").fill("");
        t.is((await cells(1)).length, 60);
      }
      t.true(await fits(page));
      t.deepEqual(complaints, []);
      await page.close();
    });
