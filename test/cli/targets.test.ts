// Nothing that moproc did not make is removed or replaced. Every verb that writes finds a user's file or folder at its
// output path, refuses it with place and remedy, and changes no name and no byte. It accepts empty files and folders,
// and those that moproc made.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import test from "ava";
import { nativeFile } from "../../compiler/emit/native.js";
import { root } from "../../compiler/util/root.js";
import { type Ran, Shell } from "../support/cli.js";

const shell = new Shell("targets");
test.after.always(() => shell.remove());

const model = "-a resnet10 --width 0.125 -b 8 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 16".split(" ");
const checkpoint = "run/checkpoint_0000_000002.safetensors";
const mlp = join(root, "docs", "examples", "mlp.ts");

test.before(() => {
  shell.done("data", "sample", "--out", "data", "--classes", "4", "--images", "32", "--val", "8", "--size", "40");
  shell.done("data", "sample", "--out", "voc", "--layout", "voc", "--images", "60", "--val", "40", "--size", "40");
  shell.done("train", ...model, "--data", "data", "--exp-dir", "run", "--epochs", "1", "--steps", "2", "--quiet");
  shell.done("compile", ...model, "-o", "binary");
});

/** Everything below the test's folder: kind, target or contents of each name. */
function everything(): string[] {
  const of = (path: string): string => {
    const s = lstatSync(path);
    if (s.isSymbolicLink()) return `link ${readlinkSync(path)}`;
    return s.isDirectory() ? "folder" : createHash("sha256").update(readFileSync(path)).digest("hex");
  };
  const all = readdirSync(shell.dir, { recursive: true, encoding: "utf8" }).sort();
  return all.map((name) => `${name}: ${of(shell.at(name))}`);
}

/** Runs one of the project's own programs in the test's folder. */
function tool(program: string, ...args: readonly string[]): Ran {
  const r = spawnSync(program, args, { cwd: shell.dir, encoding: "utf8", env: { ...process.env, INIT_CWD: "" } });
  return { status: r.status, out: r.stdout, err: r.stderr };
}
const script = (file: string, ...args: readonly string[]): Ran =>
  tool(process.execPath, join(root, "tools", file), ...args);
const dataTool = nativeFile("moproc-data");

/**
 * [what it is called, the user's file, the command that would write there, what the message names when not that file]
 */
type Case = readonly [name: string, mine: string, run: () => Ran, names?: string];

const moproc = (line: string) => (): Ran => shell.moproc(...line.split(" ").filter((w) => w !== ""));
const train = (flags: string) => (): Ran =>
  shell.moproc("train", ...model, "--data", "data", "--epochs", "1", "--quiet", ...flags.split(" "));
/** The training binary by itself, as on a machine without Node: nothing has looked at the targets before. */
const binary = (line: string) => (): Ran => tool(shell.at("binary", "train"), ...line.split(" "));
const cleaning = moproc(`clean -b 8 --data data --resume ${checkpoint} --annotation mine/a.json`);
const lowshot = moproc(`lowshot -b 8 --model-path ${checkpoint} --voc-path voc --output mine/l.json`);
const compile = (out: string) => (): Ran => shell.moproc("compile", mlp, "-o", out);

const files: readonly Case[] = [
  ["compile", "mine/photo.jpg", compile("mine"), "mine"],
  ["compile with a slash behind", "mine/photo.jpg", compile("mine/"), "mine"],
  ["compile where a file is", "mine", compile("mine")],
  ["compile below a file", "mine", compile("mine/model")],
  ["compile where its lock is somebody's", "mine.lock", compile("mine")],
  ["export", "mine.onnx", moproc(`export --resume ${checkpoint} -o mine.onnx`)],
  [
    "export onto its checkpoint's kind",
    "mine.safetensors",
    moproc(`export --resume ${checkpoint} -o mine.safetensors`),
  ],
  ["export --training", "mine/clean.onnx", moproc(`export --training ${model.join(" ")} -o mine`)],
  ["export --training, tensors beside", "mine/proto.onnx.data", moproc(`export --training ${model.join(" ")} -o mine`)],
  ["data sample", "mine/photo.jpg", moproc("data sample --out mine --classes 2 --images 4 --val 2"), "mine"],
  [
    "data sample, half written",
    "mine.partial/photo.jpg",
    moproc("data sample --out mine --classes 2 --images 4 --val 2"),
    "mine.partial",
  ],
  ["data pack", "mine/photo.jpg", moproc("data pack data --out mine"), "mine"],
  ["data pack, shards", "mine/shards/google-00000.tar", moproc("data pack data --out mine"), "mine"],
  ["data pixels", "mine.bin", moproc("data pixels --data data/val_images_256 --out mine.bin")],
  ["data check", "mine.json", moproc("data check data --json mine.json")],
  ["data thumbnails", "mine/0.jpg", () => tool(dataTool, "thumbnails", "--data", "data", "--out", "mine"), "mine"],
  ...["safetensors", "pth.tar", "pth", "pkl"].map(
    (f): Case => [`convert to ${f}`, `mine.${f}`, moproc(`convert ${checkpoint} mine.${f}`)],
  ),
  ["clean", "mine/a.json", cleaning],
  ["clean, report", "mine/a.report.jsonl", cleaning],
  ["clean, table", "mine/a.csv", cleaning],
  ["clean, summary", "mine/a.summary.json", cleaning],
  ["clean, page", "mine/a.html", cleaning],
  ["clean, what a stopped run left", "mine/a.json.partial", cleaning],
  ["lowshot", "mine/l.json", lowshot],
  ["lowshot, features", "mine/l.json.features", lowshot],
  ["predict", "mine.csv", moproc(`predict -b 8 --resume ${checkpoint} data/val_images_256 --csv mine.csv`)],
  ["report", "mine/report.html", moproc("report mine")],
  ["train, page", "mine/report.html", train("--exp-dir mine")],
  ["train, log", "mine/metrics.jsonl", train("--exp-dir mine")],
  ["train, its own log", "mine.jsonl", train("--exp-dir new --json-log mine.jsonl")],
  ["train, accuracies per class", "mine/evaluation.json", train("--exp-dir mine")],
  ["train, skipped images", "mine/not_finite.jsonl", train("--exp-dir mine")],
  ["train, best model", "mine/model_best.safetensors", train("--exp-dir mine")],
  ["train, checkpoint", "mine/checkpoint_0000.safetensors", train("--exp-dir mine")],
  ["train, PyTorch's checkpoint", "mine/checkpoint_0000.pth.tar", train("--exp-dir mine --checkpoint-format pth.tar")],
  ["train where a file is", "mine", train("--exp-dir mine")],
  [
    "the binary alone: train",
    "mine/checkpoint_0000.safetensors",
    binary("--data data --epochs 1 --quiet --exp-dir mine"),
  ],
  [
    "the binary alone: clean",
    "mine/a.json",
    binary(`clean --data data --resume ${checkpoint} --annotation mine/a.json`),
  ],
  ["train, dump", "mine/step_000000.safetensors", train("--exp-dir new --dump-step 0 --dump mine")],
  ["replay, trace", "mine.json", train("--replay x.safetensors --trace mine.json")],
  ["replay, states", "mine/step_000001.safetensors", train("--replay x.safetensors --trace t.json --trace-state mine")],
  [
    "retrain",
    "mine/checkpoint_0000.safetensors",
    moproc(`retrain -b 8 --data data --annotation a.json --resume ${checkpoint} --exp-dir mine`),
  ],
  [
    "retrain, features",
    "mine/features/train",
    moproc(`retrain -b 8 --data data --annotation a.json --resume ${checkpoint} --exp-dir mine --cache-features`),
  ],
  ["finetune", "mine/subset.txt", moproc(`finetune -b 8 --data data --model-path ${checkpoint} --exp-dir mine`)],
  [
    "finetune, digest",
    "mine/subset.sha256",
    moproc(`finetune -b 8 --data data --model-path ${checkpoint} --exp-dir mine`),
  ],
  ["weights fetch", "mine.tar.part", moproc("weights fetch --url http://127.0.0.1:9/x.tar -o mine.tar")],
  ["weights fetch, note", "mine.tar.part.from", moproc("weights fetch --url http://127.0.0.1:9/x.tar -o mine.tar")],
  ["weights fetch, digest", "mine.tar.sha256", moproc("weights fetch --url http://127.0.0.1:9/x.tar -o mine.tar")],
  ["demo", "mine/photo.jpg", () => script("demo.mjs", "--no-setup", "--out", shell.at("mine")), "mine"],
  [
    "demo, table",
    "mine.json",
    () => script("demo.mjs", "--no-setup", "--out", shell.at("new"), "--json", shell.at("mine.json")),
  ],
  ["faults", "mine/undisturbed/photo.jpg", () => script("faults.mjs", "--no-setup", "--out", "mine"), "mine"],
  ["faults, table", "mine.json", () => script("faults.mjs", "--no-setup", "--json", "mine.json")],
  ["scaling", "mine/alone.jsonl", () => script("scaling.mjs", "measure", "--no-setup", "--out", "mine"), "mine"],
  ["scaling, table", "mine.json", () => script("scaling.mjs", "wire", "--no-setup", "--json", "mine.json")],
  ["scaling, page", "mine.html", () => script("scaling.mjs", "wire", "--no-setup", "--html", "mine.html")],
  ["gpu-kit", "mine/photo.jpg", () => script("gpu-kit.mjs", "--out", "mine"), "mine"],
  ["gpu-check kit", "mine/gpu-check.json", () => tool(nativeFile("moproc-gpu-check"), "kit", "run", "--out", "mine")],
  [
    "gpu-check kit, page",
    "mine/gpu-check.md",
    () => tool(nativeFile("moproc-gpu-check"), "kit", "run", "--out", "mine"),
  ],
];

const remedy = /choose another path|name another folder/;

for (const [name, mine, run, names = mine] of files)
  test.serial(`a user's file stays: ${name}`, (t) => {
    mkdirSync(dirname(shell.at(mine)), { recursive: true });
    writeFileSync(shell.at(mine), "somebody's work of a month\n");
    const before = everything();
    const r = run();
    t.is(r.status, 2, r.err + r.out);
    t.true(r.err.includes(names), r.err);
    t.regex(r.err, remedy);
    t.is(r.err.trim().split("\n").length, 1, r.err);
    t.deepEqual(everything(), before);
    for (const f of ["mine", mine, "mine.partial"]) rmSync(shell.at(f), { recursive: true, force: true });
  });

/** [what it is called, the target, the command] */
const links: readonly Case[] = [
  ["compile", "link", compile("link")],
  ["export", "link", moproc(`export --resume ${checkpoint} -o link`)],
  ["convert", "link.pth", moproc(`convert ${checkpoint} link.pth`)],
  ["data sample", "link", moproc("data sample --out link --classes 2 --images 4 --val 2")],
  ["data check", "link", moproc("data check data --json link")],
];

for (const [name, link, run] of links)
  for (const to of ["nowhere", "empty"])
    test.serial(`a link to ${to} stays: ${name}`, (t) => {
      mkdirSync(shell.at("empty"), { recursive: true });
      symlinkSync(to, shell.at(link));
      const before = everything();
      const r = run();
      t.is(r.status, 2, r.err);
      t.regex(r.err, /symbolic link.*choose another path/);
      t.deepEqual(everything(), before);
      rmSync(shell.at(link));
    });

for (const out of [".", "./", "..", "../..", "/", root, process.env.HOME ?? "/root"])
  test.serial(`compile -o ${out} is refused`, (t) => {
    const before = everything();
    const r = compile(out)();
    t.is(r.status, 2, r.err);
    t.regex(r.err, /which is not replaced; choose another path|moproc did not make it; choose another path/);
    t.deepEqual(everything(), before);
  });

test.serial("an empty current folder is not replaced from under the shell", (t) => {
  mkdirSync(shell.at("here"));
  for (const args of [
    ["compile", mlp, "-o", "."],
    ["data", "sample", "--out", ".", "--images", "4"],
  ]) {
    const r = spawnSync(process.execPath, [shell.main, ...args], { cwd: shell.at("here"), encoding: "utf8" });
    t.is(r.status, 2, r.stderr);
    t.regex(r.stderr, /the current folder.*choose another path/);
    t.deepEqual(readdirSync(shell.at("here")), []);
  }
});

test.serial("compile: an empty folder and an older artefact are taken, one with a file added is not", (t) => {
  mkdirSync(shell.at("model"));
  mkdirSync(shell.at("model.partial")); // names of the user's that were the compiler's once
  writeFileSync(shell.at("model.partial", "photo.jpg"), "x");
  shell.done("compile", mlp, "-o", "model");
  t.regex(shell.done("compile", mlp, "-o", "model"), /unchanged/);
  t.regex(shell.done("compile", mlp, "-o", "model", "--arch", "x86-64-v3"), /objects/);
  writeFileSync(shell.at("model", "kernels", "notes.txt"), "x");
  const before = everything();
  const r = shell.moproc("compile", mlp, "-o", "model");
  t.is(r.status, 2);
  t.regex(r.err, /model: holds kernels\/notes\.txt, which moproc did not put there; choose another path/);
  t.deepEqual(everything(), before);
  rmSync(shell.at("model", "kernels", "notes.txt"));
  shell.done("compile", mlp, "-o", "model");
  t.deepEqual(
    readdirSync(shell.dir).filter((f) => f.startsWith("model")),
    ["model", "model.partial"],
  );
  t.is(shell.text("model.partial", "photo.jpg"), "x");
});

test.serial("compile: what a killed one left beside goes, and what only looks like it stays", (t) => {
  const mark = (process: number): string =>
    JSON.stringify({
      format: "moproc-folder-1",
      kind: "artefact",
      process,
      host: spawnSync("hostname", { encoding: "utf8" }).stdout.trim(),
    });
  const gone = spawnSync(process.execPath, ["--version"]).pid;
  for (const [name, text] of [
    ["killed", mark(gone)],
    ["alive", mark(process.pid)],
    ["mine", ""],
  ] as const) {
    mkdirSync(shell.at(`swept.partial-${name}`));
    if (text !== "") writeFileSync(shell.at(`swept.partial-${name}`, ".moproc"), text);
    writeFileSync(shell.at(`swept.partial-${name}`, "a"), "x");
  }
  shell.done("compile", mlp, "-o", "swept");
  t.deepEqual(
    readdirSync(shell.dir).filter((f) => f.startsWith("swept")),
    ["swept", "swept.partial-alive", "swept.partial-mine"],
  );
});

test.serial("an artefact is not what another verb makes: kinds do not replace each other", (t) => {
  shell.done("data", "pack", "data", "--out", "packed");
  const before = everything();
  const r = compile("packed")();
  t.is(r.status, 2);
  t.regex(r.err, /packed: is a folder that moproc made for something else \(pack, not artefact\)/);
  t.deepEqual(everything(), before);
});

/** Commands that write files which a second call replaces, and those files. */
const again: readonly (readonly [string, readonly string[]])[] = [
  [`export --resume ${checkpoint} --no-check -o own/m.onnx`, ["own/m.onnx"]],
  [
    `export --training ${model.join(" ")} --resume ${checkpoint} -o own/steps`,
    ["own/steps/clean.onnx", "own/steps/evaluate.onnx"],
  ],
  ...["safetensors", "pth.tar", "pth", "pkl"].map((f) => [`convert ${checkpoint} own/c.${f}`, [`own/c.${f}`]] as const),
  ["data check data --json own/check.json", ["own/check.json"]],
  [
    `clean -b 8 --data data --resume ${checkpoint} --annotation own/a.json`,
    ["own/a.json", "own/a.report.jsonl", "own/a.csv", "own/a.summary.json", "own/a.html"],
  ],
  [`lowshot -b 8 --model-path ${checkpoint} --voc-path voc --shots 1 --draws 1 --output own/l.json`, ["own/l.json"]],
  ["report run", ["run/report.html"]],
];

for (const [line, made] of again)
  test.serial(`one's own is replaced, an empty file too, and an edited one is not: ${line}`, (t) => {
    const run = (): Ran => shell.moproc(...line.split(" "));
    mkdirSync(shell.at("own"), { recursive: true });
    if (!line.startsWith("report"))
      for (const f of made.slice(0, 1)) {
        mkdirSync(dirname(shell.at(f)), { recursive: true });
        writeFileSync(shell.at(f), "");
      }
    for (const when of ["first", "second"]) {
      const r = run();
      t.is(r.status, 0, `${when}: ${r.err}`);
    }
    for (const f of made) t.true(lstatSync(shell.at(f)).size > 0, f);
    t.deepEqual(
      readdirSync(dirname(shell.at(made[0] as string))).filter((f) => /\.(tmp|partial)/.test(f)),
      [],
    );
  });

test.serial("clean: an annotation that somebody has edited is somebody's", (t) => {
  const line = `clean -b 8 --data data --resume ${checkpoint} --annotation edited.json --no-html`.split(" ");
  shell.done(...line);
  appendFileSync(shell.at("edited.json"), "\n");
  const before = everything();
  const r = shell.moproc(...line);
  t.is(r.status, 2);
  t.regex(r.err, /edited\.json: exists, and edited\.summary\.json does not name it/);
  t.deepEqual(everything(), before);
});

test.serial("outputs that are inputs stay: convert, pack", (t) => {
  symlinkSync("run", shell.at("same"));
  const before = everything();
  for (const [args, message] of [
    [["convert", checkpoint, checkpoint], /is IN itself.*choose another path/],
    [["convert", checkpoint, checkpoint.replace("run", "./same")], /is IN itself.*choose another path/],
    [["data", "pack", "data", "--out", "data"], /--out is the folder itself/],
    [["export", "--resume", checkpoint, "-o", checkpoint], /moproc did not write it.*choose another path/],
  ] as const) {
    const r = shell.moproc(...args);
    t.is(r.status, 2, args.join(" "));
    t.regex(r.err, message);
  }
  t.deepEqual(everything(), before);
});

test.serial("train: --keep removes no file that is none of ours, and goes on in its own folder", (t) => {
  mkdirSync(shell.at("kept"));
  const mine = [
    "checkpoint_0000_000001.pth.tar",
    "checkpoint_notes.tmp",
    "checkpoint_0000.safetensors.tmp",
    "notes.txt",
  ];
  for (const f of mine) writeFileSync(shell.at("kept", f), "x");
  const run = (steps: string): string =>
    shell.done(
      "train",
      ...model,
      "--data",
      "data",
      "--exp-dir",
      "kept",
      "--epochs",
      "2",
      "--steps",
      steps,
      "--save-every",
      "1",
      "--keep",
      "1",
      "--quiet",
      "--resume",
      "auto",
    );
  for (const f of mine.slice(0, 1)) rmSync(shell.at("kept", f)); // a run would try to go on with it
  run("2");
  writeFileSync(shell.at("kept", "checkpoint_0000_000001.pth.tar"), "x");
  run("5");
  for (const f of mine) t.true(existsSync(shell.at("kept", f)), f);
  const within = readdirSync(shell.at("kept")).filter((f) => /^checkpoint_\d+_\d+\.safetensors$/.test(f));
  t.true(within.length <= 2, within.join());
});
