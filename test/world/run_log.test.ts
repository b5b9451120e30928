// metrics.jsonl as other programs read it, and after processes that were killed while they wrote it.

import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import test from "ava";
import { trainData } from "../../tools/report/train.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("run log");
const python = "python3";
test.after.always(() => shell.remove());

const sizes = "-b 16 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 64".split(" ");
const model = ["-a", "resnet10", "--width", "0.125", "--precision", "f32", ...sizes];
const args = (exp: string, ...more: readonly string[]): readonly string[] => [
  ...["train", ...model, "--data", "data", "--exp-dir", exp, "--epochs", "3", "--start_clean_epoch", "2", "-p", "1"],
  ...["--quiet", ...more],
];
test.before(() => {
  shell.done("data", "sample", "--out", "data", ..."--classes 4 --images 64 --val 20 --size 40".split(" "));
  shell.done(...args("exp", "--lr", "0.02", "--truth", "data/truth.json"));
});

/**
 * Reads logs with Python's json, which must find no constant that JSON does not have, and returns the types of each
 * member of each kind of record as Python names them.
 */
function pythonTypes(...files: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const program = `
import json, sys
def refuse(constant): raise ValueError(constant)
types = {}
for name in sys.argv[1:]:
    for line in open(name, encoding="utf-8", newline="\\n"):
        record = json.loads(line, parse_constant=refuse)
        for key, value in record.items():
            types.setdefault(record.get("event", "") + "." + key, set()).add(type(value).__name__)
print(json.dumps({key: sorted(t) for key, t in types.items()}))`;
  const r = spawnSync(python, ["-c", program, ...files.map((f) => shell.at(f))], { encoding: "utf8" });
  if (r.status !== 0) throw new Error(r.stderr);
  return JSON.parse(r.stdout) as Record<string, string[]>;
}

test("numbers are numbers: every member of every kind of record has one type, in every run", (t) => {
  // whole numbers where others have fractions, another task, a warm-up, no truth
  shell.done(...args("round", "--lr", "1", "--momentum", "0", "--wd", "0", "--temperature", "1", "--cos"));
  shell.done(...args("plain", "--task", "classifier", "--lr", "0.5", "--warmup-epochs", "1", "--seed", "7"));
  const logs = ["exp", "round", "plain"].map((exp) => `${exp}/metrics.jsonl`);
  const types = pythonTypes(...logs);
  for (const [member, found] of Object.entries(types)) t.is(found.length, 1, `${member}: ${found.join(" and ")}`);
  const of = (type: string, ...members: readonly string[]): void => {
    for (const m of members) t.deepEqual(types[m], [type], m);
  };
  of(
    "int",
    ...["num_class", "batch", "groups", "image_size", "queue", "seed", "steps", "epochs"].map((k) => `start.${k}`),
  );
  of("int", "start.from_samples", "start.cores", "start.from_run_step", "start.start_clean_epoch");
  of("float", "start.lr", "start.width", "start.momentum", "start.weight_decay", "start.temperature");
  of("float", "train.lr", "train.loss", "train.images_per_s", "train.acc_cls_avg", "epoch.loss_avg", "evaluate.top1");
  of("int", "train.not_finite", "train.run_step", "epoch.labels", "epoch.corrected", "epoch.dropped");
  of("int", "epoch.right_labels", "epoch.wrong_labels", "epoch.out_of_class", "evaluate.correct1");
  of("str", "start.arch", "start.data", "start.data_name", "start.moproc", "start.command", "start.cpu", "train.phase");
  for (const log of logs)
    for (const line of shell.text(log).trim().split("\n")) t.is(typeof JSON.parse(line), "object");
});

test("steps that are not finite: their loss is a number or is missing, never null", (t) => {
  const r = shell.moproc(...args("bad", "--lr", "1e30", "--max-skips", "3"));
  t.not(r.status, 0);
  const types = pythonTypes("bad/not_finite.jsonl", "bad/metrics.jsonl");
  t.deepEqual(types[".not_finite"], ["str"]);
  for (const [member, found] of Object.entries(types)) t.false(found.includes("NoneType"), member);
  const kinds = shell
    .text("bad", "not_finite.jsonl")
    .trim()
    .split("\n")
    .map((l) => JSON.parse(l) as object);
  for (const k of kinds as { not_finite: string; loss?: number }[])
    t.is("loss" in k, k.not_finite === "gradients", JSON.stringify(k));
});

test("names that are not UTF-8 are valid JSON, from which Python gets the bytes back", (t) => {
  shell.done("compile", ...model, "-o", "art");
  // Node cannot pass such a name on
  const script = `cp -r data $'da\\xe9ta' && exec "$1" --data $'da\\xe9ta' --exp-dir latin --steps 1 --quiet`;
  const r = spawnSync("bash", ["-c", script, "bash", shell.at("art", "train")], { cwd: shell.dir, encoding: "utf8" });
  t.is(r.status, 0, r.stderr);
  const program = `import json, os, sys
print(os.fsencode(json.loads(open(sys.argv[1], encoding="utf-8").readline())["data"]))`;
  const read = spawnSync(python, ["-c", program, shell.at("latin", "metrics.jsonl")], { encoding: "utf8" });
  t.is(read.stdout, "b'da\\xe9ta'\n", read.stderr);
});

/** What a process may leave at the end of its log when it is killed, or the machine is switched off. */
test("torn lines within the log, of a machine that failed, are counted and left out", (t) => {
  shell.done(...args("amid", "--steps", "3"));
  const log = shell.at("amid", "metrics.jsonl");
  const lines = readFileSync(log, "utf8").split("\n");
  const page = (): string => readFileSync(shell.at("amid", "report.html"), "utf8");
  t.is(shell.moproc("report", "amid").err, "");
  const whole = page();
  writeFileSync(log, [lines[0], '{"event": "tra', "\0\0\0", ...lines.slice(1, -1), "[1]", '"text"', ""].join("\n"));
  const r = shell.moproc("report", "amid");
  t.is(r.status, 0, r.err);
  t.regex(r.err, /metrics\.jsonl: 4 of its lines are no records, .* \(the first is line 2\); they are left out/);
  t.is(page(), whole);
  const resumed = shell.moproc(...args("amid", "--steps", "1", "--resume", "auto"));
  t.is(resumed.status, 0, resumed.err);
});

const torn: readonly (readonly [what: string, left: string, removed: number])[] = [
  ["half a record", '{"event": "train", "epoch": 1, "lo', 34],
  ["one byte", "{", 1],
  ["a record up to its last brace", '{"event": "train", "epoch": 1', 29],
  ["zeros, as a file system may leave them", "\0\0\0\0", 4],
];
for (const [what, left, removed] of torn)
  test(`the last line is torn: ${what}`, (t) => {
    const exp = `torn ${removed}`;
    shell.done(...args(exp, "--steps", "3"));
    const log = shell.at(exp, "metrics.jsonl");
    const whole = readFileSync(log, "utf8");
    appendFileSync(log, left);
    const page = shell.moproc("report", exp);
    t.is(page.status, 0, page.err);
    const lines = whole.split("\n").length;
    t.is(page.err.trim().split("\n").length, 1, "one line says so");
    t.regex(page.err, new RegExp(`note: .*metrics\\.jsonl: its last line \\(${lines}\\) is incomplete`));
    const resumed = shell.moproc(...args(exp, "--steps", "1", "--resume", "auto"));
    t.is(resumed.status, 0, resumed.err);
    t.regex(
      resumed.err,
      new RegExp(`warning: .*metrics\\.jsonl: its last line was incomplete; these ${removed} bytes`),
    );
    const now = readFileSync(log, "utf8");
    t.true(now.startsWith(whole), "what was whole is still there, and the torn line is not");
    t.deepEqual(Object.keys(pythonTypes(`${exp}/metrics.jsonl`)).includes("start.event"), true);
    t.is(shell.moproc("report", exp).err, "");
  });

test("a last record without its line feed is whole: it counts, and the next one begins its own line", (t) => {
  shell.done(...args("bare", "--steps", "3"));
  const log = shell.at("bare", "metrics.jsonl");
  const size = readFileSync(log).length;
  truncateSync(log, size - 1);
  t.is(shell.moproc("report", "bare").err, "");
  const r = shell.moproc(...args("bare", "--steps", "1", "--resume", "auto"));
  t.is(r.err, "");
  t.is(readFileSync(log, "utf8")[size - 1], "\n");
  t.notThrows(() => shell.metrics("bare"));
});

test("a line that cannot be written whole, because the disk is full, leaves no half of it", (t) => {
  const r = shell.limited(
    ...([8, "train", ...model, "--synthetic", "--steps", "60", "--json-log", "full.jsonl"] as const),
  );
  t.regex(r.err, /full\.jsonl: File too large; lines of the log are lost/);
  const text = shell.text("full.jsonl");
  t.true(text.endsWith("\n") && text.length > 4096, `${text.length} bytes`);
  t.notThrows(() => pythonTypes("full.jsonl"));
});

test("a run that fails before its first record makes and mentions no page", (t) => {
  const failing = [
    args("fresh", "--resume", "nowhere.safetensors"),
    args("fresh", "--truth", "nowhere.json"),
    args("fresh").map((a) => (a === "data" ? "no data" : a)),
  ];
  for (const command of failing) {
    const r = shell.moproc(...command);
    t.is(r.status, 2);
    t.notRegex(r.out + r.err, /report\.html/, command.join(" "));
    t.false(existsSync(shell.at("fresh", "report.html")));
  }
  mkdirSync(shell.at("again"));
  copyFileSync(shell.at("exp", "metrics.jsonl"), shell.at("again", "metrics.jsonl"));
  const r = shell.moproc(...args("again", "--truth", "nowhere.json"));
  t.is(r.status, 2);
  t.notRegex(r.out, /report\.html/, "the log of an earlier run is no reason to speak of a page");
  t.false(existsSync(shell.at("again", "report.html")));
  mkdirSync(shell.at("empty"));
  writeFileSync(shell.at("empty", "metrics.jsonl"), "");
  t.regex(shell.moproc("report", "empty").err, /empty\/metrics\.jsonl: has no records yet/);
});

test("what a later process computed again counts once, wherever the process before it had printed", (t) => {
  const start = (samples: number, epoch: number) => ({ event: "start", from_samples: samples, from_epoch: epoch });
  const step = (samples: number, loss: number) => ({
    ...{ event: "train", phase: samples > 400 ? "proto" : "warmup", epoch: samples > 400 ? 1 : 0 },
    ...{ step: ((samples / 100 - 1) % 4) + 1, steps: 4, samples, loss, images_per_s: 1 },
  });
  const epoch = (n: number, loss: number) => ({ event: "epoch", epoch: n, loss_avg: loss, seconds: 1 });
  const lines = [
    ...[start(0, 0), step(100, 9), step(200, 8), step(300, 7), step(400, 6), epoch(0, 7), step(500, 99)],
    ...[start(200, 0), step(400, 3), epoch(0, 4), step(600, 77)], // prints every second step
    ...[start(400, 1), step(500, 2), step(700, 1)], // killed before step 600 was printed again
  ];
  const data = trainData("run", lines);
  const expected = [
    [100, 9],
    [200, 8],
    [400, 3],
    [500, 2],
    [700, 1],
  ] as const;
  t.deepEqual(data.stepLoss, [{ name: "loss", points: expected }]);
  t.deepEqual(data.loss, [{ name: "loss", points: [[0, 4]] }]);
  t.deepEqual(data.phases, [
    { name: "warmup", samples: 0, epoch: 0 },
    { name: "proto", samples: 400, epoch: 1 },
  ]);
});
