// Runs that go wrong say so: on the console, in metrics.jsonl and on the run's page, each kind once; runs that go well
// say nothing. --stop-on-collapse ends a run with an exit code of its own, which is not tried again.

import test from "ava";
import { trainData } from "../../tools/report/train.js";
import { Shell } from "../support/cli.js";
import { exitCodes } from "../support/launch_docs.js";

const shell = new Shell("collapse");
test.after.always(() => shell.remove());
const codes = exitCodes();

// One artefact for one rank and for two: compiling takes longer than any of these runs.
const network = "-a resnet10 --width 0.125 -b 32 --image-size 24 --low-dim 16 --moco_queue 256".split(" ");
const model = [...network, "--bn-groups", "2", "--ranks", "1,2"];
const on = (data: string, exp: string, ...more: readonly string[]): readonly string[] => [
  ...["train", ...model, "--data", data, "--exp-dir", exp, "--num-workers", "1", ...more],
];
const args = (exp: string, ...more: readonly string[]): readonly string[] => on("data", exp, ...more);
/** Corrects every label from epoch 1 on, when the network knows nothing yet. */
const hasty = ["--epochs", "4", "--start_clean_epoch", "1", "--pseudo_th", "0.2", "--proto_m", "0.999"];
/** Follows what is known to work on little data. */
const schedule = ["--epochs", "12", "--lr", "0.03", "--cos", "--crop-min", "0.5"];
const careful = [...schedule, ..."--start_clean_epoch 6 --pseudo_th 0.5 --proto_m 0.95 --moco_m 0.99".split(" ")];
const easy = "--noise 0.2 --ood 0 --variation 0.1".split(" ");
test.before(() => {
  shell.done("data", "sample", "--out", "data", ..."--classes 4 --images 480 --val 120 --size 32".split(" "));
  shell.done("data", "sample", "--out", "easy", ..."--classes 4 --images 960 --val 120 --size 32".split(" "), ...easy);
  hastily = shell.done(...args("hasty", ...hasty));
});
let hastily = ""; // what the run `hasty` prints

type Row = ReturnType<Shell["metrics"]>[number];
const warnings = (out: string): string[] => out.split("\n").filter((l) => l.startsWith("warning: "));
const events = (exp: string): Row[] => shell.metrics(exp).filter((r) => r.event === "health");
/** The flags that a warning says to change, with their values. */
const advice = (warning: string): string[] => [...warning.matchAll(/(--\w+) [\d.]+/g)].map((m) => m[1] as string);

test("labels that become one class: one line says it, with what to change; the log and the page have it, too", (t) => {
  const said = warnings(hastily);
  t.regex(said.join("\n"), /warning: epoch \d+: the labels become one class: [\d.]+ % of the corrected labels/);
  const records = events("hasty");
  t.deepEqual(
    records.map((e) => `warning: epoch ${e.epoch}: ${e.text}`),
    said,
  );
  const one = records.find((e) => e.kind === "one_class") as Row;
  for (const key of ["epoch", "class", "corrected_to_class", "given_share", "taken_share"])
    t.is(typeof one[key], "number", key);
  t.true(Number.isInteger(one.class));
  t.true((one.corrected_to_class as number) > 2 * (one.given_share as number));
  t.deepEqual(advice(String(one.text)).slice(-1), ["--start_clean_epoch"]);
  t.true(advice(String(one.text)).includes("--proto_m"));
  const epoch = shell.metrics("hasty").find((e) => e.event === "epoch" && e.epoch === one.epoch) as Row;
  const taken = (one.corrected_to_class as number) * (epoch.corrected as number);
  const others = (1 - (one.given_share as number)) * (epoch.labels as number);
  t.true(Math.abs((one.taken_share as number) - taken / others) < 1e-9);
  t.deepEqual(
    trainData("run", shell.metrics("hasty")).warnings,
    records.map((e) => ({ epoch: e.epoch, text: e.text })) as never,
  );
  for (const e of records) t.true(shell.text("hasty", "report.html").includes(JSON.stringify(e.text).slice(1, -1)));
});

test("a run that goes well, and one of plain cross-entropy, say nothing", (t) => {
  const runs = [2].map((seed) => [`careful ${seed}`, [...careful, "--seed", `${seed}`]] as const);
  for (const [exp, flags] of [...runs, ["plain", ["--task", "classifier", ...schedule]] as const]) {
    const out = shell.done(...on("easy", exp, "--stop-on-collapse", ...flags));
    t.deepEqual(warnings(out), [], exp);
    t.deepEqual(events(exp), []);
    t.deepEqual(trainData("run", shell.metrics(exp)).warnings, []);
  }
});

test("--stop-on-collapse ends the run after that epoch, with one rank or two; launchers do not start it again", (t) => {
  const r = shell.moproc(...args("stopped", ...hasty, "--stop-on-collapse"));
  t.is(r.status, codes.kCollapsed as number, r.err);
  const epoch = events("stopped")[0]?.epoch as number;
  t.true(epoch < 3);
  t.is(shell.metrics("stopped").filter((e) => e.event === "epoch").length, epoch + 1);
  t.regex(r.out, new RegExp(`newest checkpoint: stopped/checkpoint_000${epoch}\\.safetensors`));
  t.regex(r.out, /--stop-on-collapse: the run ends after epoch \d+, with exit code 4/);
  t.regex(r.out, /stopped\/report\.html: a page/);

  const supervised = shell.moproc(...args("again", ...hasty, "--stop-on-collapse", "--max-restarts", "2"));
  t.is(supervised.status, codes.kCollapsed as number, supervised.err);
  t.notRegex(supervised.err, /restart/);
  t.is(shell.metrics("again").filter((e) => e.event === "start").length, 1);

  // two ranks decide as one process does, and end together
  const flags = ["--stop-on-collapse", "--nproc-per-node", "2", "--max-restarts", "1"];
  const two = shell.moproc(...args("two", ...hasty, ...flags));
  t.is(two.status, codes.kCollapsed as number, two.err);
  t.deepEqual(
    events("two").map((e) => [e.kind, e.epoch]),
    events("stopped").map((e) => [e.kind, e.epoch]),
  );
  t.is(warnings(two.out).length, events("two").length);
  t.notRegex(two.err, /restart|rank \d ended/);
});

test("a run that is resumed does not repeat a warning, unless it computes that epoch again", (t) => {
  shell.done(...args("cut", ...hasty, "--steps", "35"));
  const before = events("cut").length;
  const rest = shell.done(...args("cut", ...hasty, "--resume", "auto"));
  t.true(before > 0);
  t.is(before + warnings(rest).length, warnings(hastily).length);
  const start = (samples: number, epoch: number) => ({ event: "start", from_samples: samples, from_epoch: epoch });
  const health = (epoch: number) => ({ event: "health", kind: "dropped", epoch, text: `of ${epoch}` });
  const data = trainData("run", [start(0, 0), health(1), health(2), start(64, 2), health(2)]);
  t.deepEqual(
    data.warnings.map((w) => w.epoch),
    [1, 2],
  );
});

test("--recipe auto sets what is not given, says so in one line, and records it; a resumed run keeps it", (t) => {
  const recipe = ["--recipe", "auto", "--steps", "20"];
  const four = [...recipe, "--epochs", "4"];
  const line = (out: string): string => out.split("\n").find((l) => l.startsWith("--recipe auto:")) ?? "";
  const settings = (exp: string) => shell.metrics(exp).findLast((r) => r.event === "start") as Row;
  // 60 steps of 32 images in 4 epochs, about 120 images per class
  const all = shell.done(...args("recipe", ...four));
  t.regex(line(all), /^--recipe auto: --lr 0\.0354 --moco_m 0\.9 --proto_m 0\.98\d+ --start_clean_epoch 2$/);
  const { lr, moco_m, proto_m, start_clean_epoch } = settings("recipe");
  t.deepEqual([lr, moco_m, start_clean_epoch], [0.0354, 0.9, 2]);
  t.true(line(all).includes(`--proto_m ${proto_m} `));
  const given = shell.done(...args("given", ...four, "--proto_m", "0.5", "--lr", "0.02"));
  t.is(line(given), "--recipe auto: --moco_m 0.9 --start_clean_epoch 2");
  t.deepEqual([settings("given").lr, settings("given").proto_m], [0.02, 0.5]);
  const plain = shell.done(...args("of a classifier", ...four, "--task", "classifier"));
  t.is(line(plain), "--recipe auto: --lr 0.0354");
  const longer = shell.done(...args("recipe", ...recipe, "--resume", "auto", "--epochs", "40"));
  t.is(line(longer), `${line(all)} (as the run began)`);
  t.regex(shell.done(...args("hint", "--steps", "1")), /note: for a run of 1350 steps --recipe auto would use --lr /);
});
