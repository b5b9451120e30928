// moproc clean with decisions of a person, its table as other programs read it, and its page in a browser.

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import test from "ava";
import { closeBrowser, haveBrowser, openPage } from "../support/browser.js";
import { type Ran, Shell } from "../support/cli.js";

const shell = new Shell("clean by hand");
test.after.always(async () => {
  await closeBrowser();
  shell.remove();
});

const odd = ["plain", 'comma, and "quotes"', "Grüße"]; // names of classes; folders, too
const model = `-a resnet10 --width 0.125 -b 8 --image-size 32 --num-class ${odd.length} --low-dim 8 --moco_queue 16`;
const checkpoint = "run/checkpoint_0000_000011.safetensors";
test.before(() => {
  const layout = "--layout imagenet --classes 3 --images 96 --val 6 --size 40".split(" ");
  shell.done("data", "sample", "--out", "data", ...layout);
  for (const split of ["train", "val"])
    odd.forEach((name, i) => renameSync(shell.at("data", split, `n0000000${i + 1}`), shell.at("data", split, name)));
  shell.done("train", ...`${model} --data data --exp-dir run --epochs 1 --steps 11 --quiet`.split(" "));
  clean("rule");
});

const cleaning = (name: string, ...more: readonly string[]): readonly string[] => [
  ...["clean", "-b", "8", "--data", "data", "--resume", checkpoint, "--pseudo_th", "0.4"],
  ...["--annotation", `${name}.json`, ...more],
];
const clean = (name: string, ...more: readonly string[]): string => shell.done(...cleaning(name, ...more));

interface Line {
  readonly image: string;
  readonly given: number;
  readonly pseudo: number | null;
  readonly best: number;
  readonly score: readonly [number, number];
  readonly verdict: string;
  readonly decision?: string;
}
const report = (name: string): Line[] =>
  shell
    .text(`${name}.report.jsonl`)
    .trimEnd()
    .split("\n")
    .map((l) => JSON.parse(l) as Line);

interface Entry {
  readonly image?: unknown;
  readonly decision?: unknown;
  readonly class?: unknown;
  readonly name?: unknown;
}
const save = (file: string, decisions: readonly unknown[], format = "moproc-decisions-1"): string => {
  writeFileSync(shell.at(file), JSON.stringify({ format, decisions }));
  return file;
};

test("decisions override the rule, by path; they are counted, and what the rule says elsewhere stays", (t) => {
  const rule = report("rule");
  const away = rule.find((l) => l.verdict === "relabelled") as Line;
  const same = rule.findLast((l) => l.verdict === "dropped" || l.verdict === "kept") as Line; // as the rule has it
  const others = rule.filter((l) => l !== away && l !== same);
  const [a, b, c] = [others[0], others[20], others[40]] as [Line, Line, Line];
  const decisions: readonly Entry[] = [
    { image: away.image, decision: "keep" },
    { image: a.image, decision: "drop" },
    { image: b.image, decision: "relabel", class: 2 },
    { image: c.image, decision: "relabel", name: odd[1] },
    { image: same.image, decision: same.verdict === "kept" ? "keep" : "drop" },
  ];
  const out = clean("hand", "--decisions", save("d.json", decisions));
  const hand = report("hand");
  const labels = new Map<string, number | null>([
    [away.image, away.given],
    [a.image, null],
    [b.image, 2],
    [c.image, 1],
    [same.image, same.pseudo],
  ]);
  hand.forEach((l, i) => {
    const was = rule[i] as Line;
    if (!labels.has(l.image)) return t.deepEqual(l, was);
    const label = labels.get(l.image) as number | null;
    t.is(l.pseudo, label);
    t.is(l.verdict, label === null ? "dropped" : label === l.given ? "kept" : "relabelled");
    t.is(l.decision, decisions.find((d) => d.image === l.image)?.decision as string);
    return t.deepEqual([l.best, l.score], [was.best, was.score]);
  });
  const [keeps, drops] = same.verdict === "kept" ? [2, 1] : [1, 2];
  const changed = rule.filter((l) => labels.has(l.image) && labels.get(l.image) !== l.pseudo).length;
  t.true(
    out.includes(
      `d.json: 5 decisions applied: ${keeps} keep, ${drops} drop, 2 relabel; ${changed} of them differ from`,
    ),
    out,
  );
  for (const verdict of ["kept", "relabelled", "dropped"])
    t.regex(out, new RegExp(`${verdict} +${hand.filter((l) => l.verdict === verdict).length} `));
  const annotation = JSON.parse(shell.text("hand.json")) as { images: string[]; labels: number[] };
  const classes = ["Grüße", 'comma, and "quotes"', "plain"];
  const stay = hand.filter((l) => l.pseudo !== null);
  t.deepEqual(annotation, { images: stay.map((l) => l.image), labels: stay.map((l) => l.pseudo as number), classes });
  const { decisions: counts } = JSON.parse(shell.text("hand.summary.json")) as { decisions: object };
  t.deepEqual(counts, { keep: keeps, drop: drops, relabel: 2, changed, unreadable: 0 });
});

test("an image that cannot be read stays out whatever is decided, and that is said", (t) => {
  const [first, second] = report("rule") as [Line, Line];
  const path = shell.at("data", first.image);
  const bytes = readFileSync(path);
  writeFileSync(path, "no picture");
  const decisions = [
    { image: first.image, decision: "keep" },
    { image: second.image, decision: "drop" },
  ];
  const out = clean("hurt", "--max-broken", "2", "--decisions", save("hurt-d.json", decisions));
  writeFileSync(path, bytes);
  t.regex(out, /warning: 1 decisions have no effect, because their images cannot be read/);
  t.deepEqual(
    report("hurt")
      .slice(0, 2)
      .map((l) => [l.verdict, l.pseudo]),
    [
      ["unreadable", null],
      ["dropped", null],
    ],
  );
});

test("the table is the report, as Python's csv reads it, with the names of the classes", (t) => {
  const program =
    "import csv,json,sys;print(json.dumps(list(csv.reader(open(sys.argv[1],encoding='utf-8',newline='')))))";
  const python = "python3";
  const r = spawnSync(python, ["-c", program, shell.at("rule.csv")], { encoding: "utf8" });
  const [head, ...rows] = JSON.parse(r.stdout) as string[][];
  t.is(head?.join(), "path,given,given_name,given_score,best,best_name,best_score,verdict,label,decision");
  t.deepEqual(
    rows.map(([path, given, name, score, best, bestName, bestScore, verdict, label, decision]) => [
      ...[path, Number(given), name, Number(score), Number(best), bestName, Number(bestScore), verdict],
      ...[label === "" ? null : Number(label), decision],
    ]),
    report("rule").map((l) => [
      ...[l.image, l.given, odd.toSorted()[l.given], l.score[0], l.best, odd.toSorted()[l.best], l.score[1], l.verdict],
      ...[l.pseudo, ""],
    ]),
  );
});

/** The pictures on a page, by image. */
function thumbnailsOf(page: string): Map<string, string> {
  const [, json] = / id="data">([\s\S]*?)<\/script>/.exec(shell.text(page)) as unknown as [string, string];
  const { thumbnails } = JSON.parse(json) as { thumbnails: { image: string; jpeg: string }[] };
  return new Map(thumbnails.map((p) => [p.image, p.jpeg]));
}

test.serial(
  "a list that has an image twice, and names with line ends: decisions and pictures are those of the image",
  (t) => {
    const known = thumbnailsOf("rule.html");
    const [a, b, c, d] = [...known.keys()] as [string, string, string, string];
    const names = ["first\nimage.jpg", "paragraph\u2028.jpg", "carriage\rreturn.jpg", "last.jpg"];
    mkdirSync(shell.at("twice"));
    [a, b, c, d].forEach(
      (image, i) => void copyFileSync(shell.at("data", image), shell.at("twice", names[i] as string)),
    );
    const [first, second, third, last] = names as [string, string, string, string];
    const entries = [
      ...[[first, 0] as const, [second, 1] as const, [third, 2] as const, [last, 0] as const],
      ...[[first, 1] as const, [first, 0] as const, [last, 2] as const],
    ];
    const classes = odd.toSorted();
    writeFileSync(shell.at("twice", "classes.txt"), `${classes.join("\n")}\n`);
    for (const split of ["train", "val"]) {
      const lines = entries.map(([path, label]) => JSON.stringify({ path, label: classes[label] }));
      writeFileSync(shell.at("twice", `${split}.jsonl`), `${lines.join("\n")}\n`);
    }
    const decisions = [
      { image: first, decision: "keep" },
      { image: last, decision: "relabel", class: 1 },
      { image: second, decision: "drop" },
    ];
    const words = cleaning("copies", "--decisions", save("twice-d.json", decisions));
    const out = shell.done(...words.map((w) => (w === "data" ? "twice" : w)));
    t.deepEqual(
      report("copies")
        .filter((l) => l.image !== third)
        .map((l) => [l.image, l.pseudo, l.decision]),
      [
        [first, 0, "keep"],
        [second, null, "drop"],
        [last, 1, "relabel"],
        [first, 1, "keep"],
        [first, 0, "keep"],
        [last, 1, "relabel"],
      ],
    );
    t.regex(out, /twice-d\.json: 3 decisions applied to 6 entries of the list: 3 keep, 1 drop, 2 relabel;/);
    const shown = thumbnailsOf("copies.html");
    [a, b, c, d].forEach((image, i) => {
      t.truthy(known.get(image));
      t.is(shown.get(names[i] as string), known.get(image));
    });
  },
);

const image = "train/plain/none.jpg";
/** [what is wrong with the file, its content, what the message says] */
const refused: readonly (readonly [what: string, content: (real: string) => string, message: RegExp])[] = [
  ["no JSON", () => "{", /bad\.json: bad JSON at byte/],
  [
    "another file",
    () => '{"images": [], "labels": []}',
    /is not a file of decisions; expected \{"format": "moproc-decisions-1"/,
  ],
  ...(
    [
      [
        "an image that is not in the set",
        () => [{ image, decision: "keep" }],
        /entry 1 \(train\/plain\/none\.jpg\): this image is not among/,
      ],
      [
        "a class above the last",
        (i) => [{ image: i, decision: "relabel", class: 3 }],
        /entry 1 .*whole number from 0 to 2/,
      ],
      ["a negative class", (i) => [{ image: i, decision: "relabel", class: -1 }], /whole number from 0 to 2/],
      ["half a class", (i) => [{ image: i, decision: "relabel", class: 0.5 }], /whole number from 0 to 2/],
      ["a class as text", (i) => [{ image: i, decision: "relabel", class: "1" }], /whole number from 0 to 2/],
      ["an unknown name", (i) => [{ image: i, decision: "relabel", name: "dog" }], /there is no class "dog"/],
      [
        "a name of another number",
        (i) => [{ image: i, decision: "relabel", class: 0, name: odd[0] }],
        /its class 0 is not "plain"/,
      ],
      ["no class", (i) => [{ image: i, decision: "relabel" }], /neither "class" nor "name"/],
      [
        "an unknown decision",
        (i) => [{ image: i, decision: "burn" }],
        /its decision is "burn", not keep, drop or relabel/,
      ],
      ["no decision", (i) => [{ image: i }], /has no text "decision"/],
      ["an unknown member", (i) => [{ image: i, decision: "keep", why: "" }], /unknown member "why"/],
      ["no object", (i) => [i], /entry 1: is not an object/],
      [
        "two decisions",
        (i) => [
          { image: i, decision: "keep" },
          { image: i, decision: "drop" },
        ],
        /entry 2 .*same image as entry 1/,
      ],
    ] as readonly (readonly [string, (real: string) => readonly unknown[], RegExp])[]
  ).map(
    ([what, entries, message]) =>
      [
        what,
        (real: string) => JSON.stringify({ format: "moproc-decisions-1", decisions: entries(real) }),
        message,
      ] as const,
  ),
];
for (const [what, content, message] of refused)
  test.serial(`refused decisions: ${what}`, (t) => {
    const name = "bad.json";
    writeFileSync(shell.at(name), content((report("rule")[0] as Line).image));
    const r: Ran = shell.moproc(...cleaning("bad-out", "--decisions", name));
    t.is(r.status, 2, r.err);
    t.regex(r.err, message);
    t.regex(r.err, /--decisions bad\.json/);
  });

const look = haveBrowser ? test.serial : test.serial.skip; // no Chromium is installed
look(
  "the page: both classes on every card, filters in the address, decisions by hand that the command applies",
  async (t) => {
    const { page, complaints } = await openPage(shell.at("rule.html"), "desktop");
    const lines = new Map(report("rule").map((l) => [l.image, l]));
    const names = odd.toSorted();
    const label = (c: number | null): string => (c === null ? "none (dropped)" : `${c} ${names[c]}`);
    const imagesOf = async (): Promise<string[]> =>
      page
        .locator(".card")
        .evaluateAll((all) => all.map((c) => (c as unknown as { dataset: { image: string } }).dataset.image));
    for (const card of await page.locator(".card").all()) {
      const line = lines.get((await card.getAttribute("data-image")) as string) as Line;
      t.is(await card.locator("[data-given] b").textContent(), label(line.given));
      t.is(await card.locator("[data-assigned] b").textContent(), label(line.pseudo));
    }
    const most = Math.max(
      ...[0, 1, 2].flatMap((g) =>
        [0, 1, 2]
          .filter((p) => p !== g)
          .map((p) => [...lines.values()].filter((l) => l.given === g && l.pseudo === p).length),
      ),
    );
    const numbers = await page.locator(".scale .numbers span").allInnerTexts();
    t.deepEqual([numbers[0], numbers.at(-1)], ["1", `${most}`], "the scale of the heat map has its numbers");

    await page.locator("button[data-only=relabelled]").click();
    await page.getByLabel("given class", { exact: true }).selectOption("1");
    await page.getByLabel("sort by").selectOption("largest margin");
    await page.getByLabel("path", { exact: true }).fill("train/");
    const shown = await imagesOf();
    t.true(shown.length > 0 && shown.every((i) => lines.get(i)?.verdict === "relabelled" && lines.get(i)?.given === 1));
    const url = page.url();
    t.regex(url, /#.*verdict=relabelled/);
    await page.reload();
    t.deepEqual(await imagesOf(), shown, "a reload shows the same");
    await page.goto("about:blank");
    await page.goto(url);
    t.deepEqual(await imagesOf(), shown, "and so does the copied link");
    t.is(await page.getByLabel("sort by").inputValue(), "largest margin");
    await page.goto(url.replace("verdict=relabelled", "verdict=dropped&given=").replace(/&given=1/, ""));
    t.true(
      (await imagesOf()).every((i) => lines.get(i)?.verdict === "dropped"),
      "an address that is changed by hand, too",
    );
    await page.goto(url.split("#")[0] as string);

    const all = await imagesOf();
    const [kept, dropped, moved, undone] = all as [string, string, string, string];
    await page.locator(".card").nth(0).focus();
    await page.keyboard.press("k");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("d");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("r");
    await page.keyboard.type("nonsense");
    await page.keyboard.press("Enter");
    t.is(
      await page.locator(".card").nth(2).getAttribute("data-decision"),
      "",
      "a class that does not exist is not taken",
    );
    await page.locator(".card").nth(2).locator("input").fill("2");
    await page.keyboard.press("Enter");
    await page.locator(".card").nth(3).locator("[data-decide=drop]").click();
    t.is(await page.locator("[data-save]").innerText(), "Save 4 decisions");
    await page.locator(".card").nth(3).focus();
    await page.keyboard.press("u");
    const saved = page.waitForEvent("download");
    await page.locator("[data-save]").click();
    const file = await saved;
    t.is(file.suggestedFilename(), "decisions.json");
    mkdirSync(shell.at("saved"));
    await file.saveAs(shell.at("saved", "decisions.json"));
    await page.getByLabel("decision", { exact: true }).selectOption("relabel");
    t.deepEqual(await imagesOf(), [moved]);
    t.deepEqual(complaints, []);
    await page.close();

    t.regex(clean("applied", "--decisions", "saved/decisions.json"), /3 decisions applied: 1 keep, 1 drop, 1 relabel/);
    const applied = new Map(report("applied").map((l) => [l.image, l]));
    t.is(applied.get(kept)?.pseudo, applied.get(kept)?.given);
    t.is(applied.get(dropped)?.pseudo, null);
    t.is(applied.get(moved)?.pseudo, 2);
    t.deepEqual(applied.get(undone), lines.get(undone));
    const again = await openPage(shell.at("applied.html"), "desktop");
    t.is(await again.page.locator("[data-save]").innerText(), "Save 3 decisions", "the page of the result has them");
    await again.page.close();
  },
);

look(
  "a decision that has no class, since its image cannot be read, is not saved; copies show one decision",
  async (t) => {
    const [first, second] = report("rule") as [Line, Line];
    const bytes = readFileSync(shell.at("data", first.image));
    writeFileSync(shell.at("data", first.image), "no picture");
    const decisions = [
      { image: first.image, decision: "relabel", class: 1 },
      { image: second.image, decision: "drop" },
    ];
    clean("blind", "--max-broken", "2", "--decisions", save("blind-d.json", decisions));
    writeFileSync(shell.at("data", first.image), bytes);
    const { page } = await openPage(shell.at("blind.html"), "desktop");
    t.is(await page.locator("[data-save]").innerText(), "Save 1 decision");
    const saved = page.waitForEvent("download");
    await page.locator("[data-save]").click();
    await (await saved).saveAs(shell.at("blind-saved.json"));
    await page.close();
    const copies = (await openPage(shell.at("copies.html"), "desktop")).page;
    const cards = copies.locator(".card").filter({ has: copies.locator('img[alt="last.jpg"]') });
    t.is(await cards.count(), 2);
    await cards.first().locator("[data-decide=drop]").click();
    for (const card of await cards.all()) t.is(await card.getAttribute("data-decision"), "drop");
    await copies.close();
    t.regex(clean("blind again", "--decisions", "blind-saved.json"), /1 decisions applied: 0 keep, 1 drop, 0 relabel/);
    t.deepEqual(
      report("blind again")
        .filter((l) => l.decision !== undefined)
        .map((l) => l.image),
      [second.image],
    );
  },
);
