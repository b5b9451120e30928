// npm run demo as a user runs it, but with 128 images, two epochs and no set-up: its table, its JSON, any folder with
// --data, a folder that is in use, and bad input.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";

const dir = join(root, "build", "test");
mkdirSync(dir, { recursive: true });
const scratch = mkdtempSync(join(dir, "demo with space-"));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));

const at = (...parts: readonly string[]): string => join(scratch, ...parts);
const demoArgs = (args: readonly string[]): string[] => [join(root, "tools", "demo.mjs"), "--no-setup", ...args];
/** npm runs scripts in the project's folder and says where it was called. */
const env = { ...process.env, npm_lifecycle_event: "demo", INIT_CWD: scratch };
const options = { cwd: root, env, encoding: "utf8" } as const;

function demo(...args: readonly string[]): {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
} {
  const r = spawnSync(process.execPath, demoArgs(args), { ...options, timeout: 300_000 });
  return { status: r.status, out: r.stdout, err: r.stderr };
}

interface Result {
  readonly cross_entropy_top1: number;
  readonly mopro_top1: number;
  readonly wrong_labels_corrected: number | null;
  readonly out_of_class_dropped: number | null;
  readonly counts: Readonly<Record<string, number | null>>;
  readonly seconds: Readonly<Record<string, number>>;
  readonly epochs: number;
  readonly images: number;
}
const resultOf = (file: string): Result => JSON.parse(readFileSync(file, "utf8")) as Result;
const isShare = (x: number | null): boolean => x !== null && x >= 0 && x <= 1;

test.serial("the demo draws, compiles, trains twice and prints the table and the JSON", (t) => {
  mkdirSync(at("first"));
  writeFileSync(at("first", ".moproc"), `${JSON.stringify({ format: "moproc-folder-1", kind: "demo" })}\n`);
  const gone = spawnSync(process.execPath, ["--version"]).pid;
  writeFileSync(at("first", ".moproc-demo-lock"), `moproc ${gone}\n`); // left by a demo that was killed
  const r = demo("--out", "first", "--images", "128", "--epochs", "2", "--seed", "3", "--json", "first.json");
  t.is(r.status, 0, r.err);
  const json = resultOf(at("first.json"));
  const percent = (x: number): string => `${x.toFixed(1)} %`;
  t.regex(r.out, /128 training images, 10 classes; 1000 validation images/);
  const top1 = new RegExp(
    `top-1 on 1000 validation images +${percent(json.cross_entropy_top1)} +${percent(json.mopro_top1)}`,
  );
  t.regex(r.out, top1);
  const { wrong_labels, wrong_labels_made_right, out_of_class, out_of_class_dropped } = json.counts;
  t.regex(
    r.out,
    new RegExp(`wrong labels corrected +- +[\\d.]+ %  ${wrong_labels_made_right} of ${wrong_labels} made right`),
  );
  t.regex(r.out, new RegExp(`out-of-class images dropped +- +[\\d.]+ %  ${out_of_class_dropped} of ${out_of_class}`));
  t.true(json.cross_entropy_top1 >= 0 && json.mopro_top1 <= 100);
  t.true(isShare(json.wrong_labels_corrected) && isShare(json.out_of_class_dropped));
  t.deepEqual([json.epochs, json.images], [2, 128]);
  const parts = [
    "setup",
    "data",
    "compile",
    "cross_entropy",
    "mopro",
    "cross_entropy_evaluation",
    "mopro_evaluation",
    "total",
  ];
  t.deepEqual(Object.keys(json.seconds).toSorted(), parts.toSorted());
  const trained = (json.seconds.cross_entropy ?? 0) + (json.seconds.mopro ?? 0) + (json.seconds.compile ?? 0);
  t.true(trained > 0 && trained < (json.seconds.total ?? 0));
  for (const method of ["cross_entropy", "mopro"])
    t.deepEqual(
      readdirSync(at("first", method)).filter((f) => f.startsWith("checkpoint")),
      ["checkpoint_0001.safetensors"],
    );
});

test.serial("--data trains on a folder of one's own, without a truth the noise is unknown", (t) => {
  t.true(existsSync(at("first", "data", "info")), "the first run left its images");
  rmSync(at("first", "data", "truth.json"));
  const r = demo("--data", join("first", "data"), "--out", "second", "--epochs=2", "--json", "second.json");
  t.is(r.status, 0, r.err);
  t.regex(r.out, /wrong labels corrected +- +unknown/);
  const json = resultOf(at("second.json"));
  t.deepEqual([json.wrong_labels_corrected, json.out_of_class_dropped], [null, null]);
  t.false("data" in json.seconds);
  t.false(existsSync(at("second", "data")));
});

test.serial("two demos do not share a folder: the second is refused until the first has ended", async (t) => {
  const args = ["--out", "shared", "--images", "64", "--epochs", "1000"];
  const first = spawn(process.execPath, demoArgs(args), { ...options, stdio: ["ignore", "pipe", "ignore"] });
  const ended = new Promise<number | null>((resolve) => first.on("close", resolve));
  await new Promise<void>((resolve) => first.stdout.on("data", (d) => String(d).includes("training:") && resolve()));
  const second = demo("--out", "shared", "--images", "64", "--epochs", "2");
  t.is(second.status, 2);
  t.regex(second.err, new RegExp(`--out .*shared: the demo of process ${first.pid} uses it`));
  first.kill("SIGTERM");
  t.is(await ended, 130);
  t.false(existsSync(at("shared", ".moproc-demo-lock")));
});

/** [arguments, what the message must say] */
const refused: readonly (readonly [readonly string[], RegExp])[] = [
  [["--frob"], /unknown argument '--frob'/],
  [["frob"], /unknown argument 'frob'/],
  [["--epochs", "1"], /--epochs 1: must be at least 2/],
  [["--epochs", "many"], /--epochs many: not a whole number/],
  [["--images", "63"], /--images 63: must be at least 64/],
  [["--seed"], /--seed: the value is missing/],
  [["--data", "nowhere"], /--data .*nowhere: no such folder/],
  [["--data", "bare"], /bare: has no folder info\//],
  [["--data", "bare", "--images", "128"], /--images is for the sample images and cannot be given with --data/],
  [["--out", "taken"], /--out .*taken: holds files that are not from an earlier demo/],
  [["--json", "no/such/file.json"], /--json .*: there is no folder/],
];
for (const [args, message] of refused)
  test(`refused: npm run demo -- ${args.join(" ")}`, (t) => {
    mkdirSync(at("bare"), { recursive: true });
    mkdirSync(at("taken"), { recursive: true });
    writeFileSync(at("taken", "mine"), "");
    const r = demo(...(args.includes("--out") ? [] : ["--out", "refused"]), ...args);
    t.is(r.status, 2, r.err);
    t.regex(r.err, message);
    t.false(existsSync(at("refused")), "nothing was written");
  });
