// The whole published workflow on sample data, by the commands that each verb's help prints, exactly as printed: data,
// training, cleaning, retraining, fine-tuning, low-shot transfer, export. Then the results are compared with
// independent computations.

import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import test from "ava";
import { allVerbs } from "../../tools/cli/verbs.js";
import { Shell } from "../support/cli.js";

const verbs = await allVerbs();

const shell = new Shell("workflow");
test.after.always(() => shell.remove());

/** The commands in a help text, below `Example:`. */
const printed = (help: string): string[] =>
  /\nExamples?:\n((?: {2}.*\n)+)/
    .exec(help)?.[1]
    ?.trimEnd()
    .split("\n")
    .map((l) => l.trim()) ?? [];

/** Runs a line in a POSIX shell in which `moproc` is this program. */
function run(line: string): string {
  const r = spawnSync("sh", ["-c", line], {
    cwd: shell.dir,
    encoding: "utf8",
    env: { ...process.env, PATH: `${shell.dir}:${process.env.PATH}` },
  });
  if (r.status !== 0) throw new Error(`${line}: ${r.stderr}${r.stdout}`);
  return r.stdout;
}

/** The examples of a verb. */
const examplesOf = (name: string): readonly string[] => verbs.find((v) => v.name === name)?.examples ?? [];

const help = (...verb: readonly string[]): string[] => printed(shell.done(...verb, "--help"));
const evaluations = (exp: string): Record<string, number>[] =>
  shell.metrics(exp).filter((m) => m.event === "evaluate") as Record<string, number>[];

test.before(() => {
  writeFileSync(shell.at("moproc"), `#!/bin/sh\nexec "${process.execPath}" "${shell.main}" "$@"\n`);
  chmodSync(shell.at("moproc"), 0o755);
});

test.serial("every verb's help ends with its examples", (t) => {
  for (const { name, examples } of verbs) if (examples) t.deepEqual(help(name), [...examples], name);
  for (const verb of [["data", "sample"], ["data", "check"], ["data", "pack"], ["data", "pixels"], ["convert"]])
    t.true(help(...verb).length > 0, verb.join(" "));
});

test.serial("they run as printed; only `weights` needs the network, and its own test a server", (t) => {
  for (const verb of ["sample", "check", "pack"]) for (const line of help("data", verb)) run(line);
  for (const { name, examples } of verbs) {
    if (name === "weights") continue;
    for (const line of examples ?? []) t.true(run(line).length > 0, line);
  }
  for (const line of [...help("data", "pixels"), ...help("convert")]) run(line);
  for (const file of [
    "run/report.html",
    "pseudo_label.html",
    "retrained/report.html",
    "tuned/subset.txt",
    "lowshot.json",
    "places.json",
    "predictions.csv",
    "model.onnx",
    "model.pkl",
    "built/train",
  ])
    t.true(existsSync(shell.at(file)), file);
});

interface Line {
  readonly image: string;
  readonly given: number;
  readonly pseudo: number | null;
  readonly best: number;
  readonly score: readonly [number, number]; // of the given and of the best class
  readonly verdict: string;
}

test.serial("cleaning's verdicts are the paper's rule on the same scores, and its labels are nearer the truth", (t) => {
  const lines = shell
    .text("pseudo_label.report.jsonl")
    .trim()
    .split("\n")
    .map((l) => JSON.parse(l) as Line);
  const classes = 10;
  const threshold = 0.5;
  const seen: Record<string, number> = {};
  for (const l of lines) {
    const label = l.score[1] > threshold ? l.best : l.score[0] > 1 / classes ? l.given : null;
    t.is(l.pseudo, label, l.image);
    const verdict = label === null ? "dropped" : label === l.given ? "kept" : "relabelled";
    t.is(l.verdict, verdict, l.image);
    seen[verdict] = (seen[verdict] ?? 0) + 1;
  }
  t.deepEqual(Object.keys(seen).sort(), ["dropped", "kept", "relabelled"], JSON.stringify(seen));
  const truth = (JSON.parse(shell.text("sample", "truth.json")) as { train: Record<string, number | null> }).train;
  const right = (labels: readonly (readonly [string, number])[]): number =>
    labels.filter(([image, label]) => truth[image] === label).length / labels.length;
  const cleaned = JSON.parse(shell.text("pseudo_label.json")) as { images: string[]; labels: number[] };
  const before = right(lines.map((l) => [l.image, l.given]));
  const after = right(cleaned.images.map((image, i) => [image, cleaned.labels[i] as number]));
  t.true(after > before + 0.05, `${before} -> ${after}`);
});

test.serial("retraining on cleaned labels beats the same classifier trained on the labels as they were", (t) => {
  const given = shell
    .text("pseudo_label.report.jsonl")
    .trim()
    .split("\n")
    .map((l) => JSON.parse(l) as Line);
  writeFileSync(
    shell.at("given.json"),
    JSON.stringify({ images: given.map((l) => l.image), labels: given.map((l) => l.given) }),
  );
  const [example = ""] = examplesOf("retrain");
  const line = example.replace("pseudo_label.json", "given.json").replace("retrained", "uncleaned");
  // Drawn anew: the checkpoint's own classifier was trained on corrected labels.
  run(`${line} --init-classifier reset --lr 0.1`);
  run(`${example.replace("retrained", "cleaned")} --init-classifier reset --lr 0.1`);
  const top1 = (exp: string): number => evaluations(exp).at(-1)?.top1 as number;
  t.true(top1("cleaned") > top1("uncleaned"), `${top1("uncleaned")} -> ${top1("cleaned")}`);
});

/**
 * What ONNX Runtime makes of the exported model on images of pixels.bin: how many classes are ahead of an image's own.
 */
async function ranks(labels: readonly number[]): Promise<number[]> {
  const { InferenceSession, Tensor } = await import("onnxruntime-node");
  const size = 32;
  const bytes = new Uint8Array(readFileSync(shell.at("pixels.bin"))).slice(0, labels.length * size * size * 3);
  const session = await InferenceSession.create(shell.at("model.onnx"), { logSeverityLevel: 3 });
  const { logits } = (await session.run({
    image: new Tensor("uint8", bytes, [labels.length, size, size, 3]),
  })) as unknown as { logits: { data: Float32Array } };
  const classes = logits.data.length / labels.length;
  return labels.map((label, i) => {
    const row = logits.data.subarray(i * classes, (i + 1) * classes);
    return row.filter((v) => v > (row[label] as number)).length;
  });
}
const validation = (): string[] => shell.text("sample", "info", "val_filelist.txt").trim().split("\n");
const labelOf = (line: string): number => Number(line.split(" ")[1]);

test.serial(
  "the exported model, run by ONNX Runtime on the validation images, is as right as the last evaluation said",
  async (t) => {
    const rank = await ranks(validation().map(labelOf));
    const last = evaluations("retrained").at(-1) as Record<string, number>;
    t.is(rank.filter((r) => r < 1).length, last.correct1 as number);
    t.is(rank.filter((r) => r < 5).length, last.correct5 as number);
  },
);

test.serial(
  "where classes have unlike numbers of images, the mean over classes is said beside the plain one",
  async (t) => {
    const some = validation().slice(0, 37); // four classes have one image more
    const labels = some.map(labelOf);
    const rank = await ranks(labels);
    writeFileSync(shell.at("sample", "info", "val_filelist.txt"), some.map((l) => `${l}\n`).join(""));
    const out = run(
      "moproc retrain --data sample --annotation pseudo_label.json --resume " +
        "retrained/checkpoint_0004.safetensors -b 64 --evaluate --json-log uneven.jsonl",
    );
    const said = JSON.parse(shell.text("uneven.jsonl").trim()) as Record<string, number>;
    const mean = (k: number): number => {
      const shares = [...new Set(labels)].map((c) => {
        const own = rank.filter((_, i) => labels[i] === c);
        return own.filter((r) => r < k).length / own.length;
      });
      return (100 * shares.reduce((a, x) => a + x)) / shares.length;
    };
    for (const k of [1, 5])
      t.true(Math.abs((said[`balanced${k}`] as number) - mean(k)) < 1e-9, `${k}: ${said[`balanced${k}`]} ${mean(k)}`);
    t.not(said.balanced1, said.top1 as number);
    t.true(out.includes(`(mean over classes: ${mean(1).toFixed(2)}, ${mean(5).toFixed(2)})`), out);
  },
);
