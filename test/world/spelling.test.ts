// Class folders, or names in classes.txt, that a person takes for the same class: the run trains and warns once, and
// `data check` names them. A class of the validation images that is only spelled differently is suggested.

import { cpSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import test from "ava";
import { Shell } from "../support/cli.js";

const shell = new Shell("spelling");
test.after.always(() => shell.remove());

const net = "-a resnet10 --width 0.125 --image-size 32 -b 4 --steps 1".split(" ");
const train = (data: string): ReturnType<Shell["moproc"]> =>
  shell.moproc("train", "--task", "classifier", ...net, "--data", data, "--exp-dir", `exp ${data}`);
const classes = ["n00000001", "n00000002", "n00000003", "n00000004"] as const;
const composed = "caf\u00e9";
const decomposed = "cafe\u0301";

test.before(() => {
  const sizes = "--classes 4 --images 32 --val 8 --size 40".split(" ");
  shell.done("data", "sample", "--layout", "imagenet", "--out", "data", ...sizes);
});

/** A copy of the data folder whose classes have other names, in training and in validation. */
function named(name: string, training: readonly string[], validation = training): string {
  cpSync(shell.at("data"), shell.at(name), { recursive: true });
  for (const [split, names] of [["train", training] as const, ["val", validation] as const])
    for (const [i, to] of names.entries())
      renameSync(shell.at(name, split, classes[i] as string), shell.at(name, split, to));
  return name;
}

interface Checked {
  readonly findings: readonly { readonly name: string; readonly images: readonly string[] }[];
}

/** The pairs that `data check` finds. */
function found(data: string): readonly string[] {
  const r = shell.moproc("data", "check", data, "--json", `${data}.json`);
  const { findings } = JSON.parse(shell.text(`${data}.json`)) as Checked;
  const pairs = findings.find((f) => f.name === "alike names")?.images ?? [];
  if (pairs.length > 0 && !r.out.includes(pairs[0] as string)) throw new Error(r.out);
  return pairs;
}

const pairs = ["'Dog' and 'dog' (case)", `'${decomposed}' and '${composed}' (Unicode normal form)`];

test("class folders that differ in case or Unicode form: one warning, training goes on, a finding", (t) => {
  const data = named("folders", ["Dog", decomposed, composed, "dog"]);
  const r = train(data);
  t.is(r.status, 0, r.err);
  const warnings = r.out.split("\n").filter((l) => l.startsWith("warning: "));
  t.is(warnings.length, 1, r.out);
  t.regex(
    warnings[0] as string,
    /warning: folders: names of different classes are spelled alike: .*give them one name/,
  );
  for (const pair of pairs) t.true(warnings[0]?.includes(pair), pair);
  t.deepEqual([...found(data)].sort(), [...pairs].sort());
});

test("names in classes.txt, which has no space around its names; other names are no finding", (t) => {
  const data = "lists";
  cpSync(shell.at("data"), shell.at(data), { recursive: true });
  for (const split of ["train", "val"]) {
    const row = (c: string): string[] => readdirSync(shell.at(data, split, c)).map((f) => `${split}/${c}/${f},`);
    const text = classes.flatMap((c, i) => row(c).map((f) => `${f}${i}\n`)).join("");
    writeFileSync(shell.at(data, `${split}.csv`), `path,label\n${text}`);
  }
  writeFileSync(shell.at(data, "classes.txt"), `Dog\n${decomposed}\n${composed}\ndog\n`);
  const r = train(data);
  t.is(r.status, 0, r.err);
  t.is(r.out.split("are spelled alike").length, 2, r.out);
  t.deepEqual([...found(data)].sort(), [...pairs].sort());
  t.deepEqual(found("data"), []);
  t.notRegex(train("data").out, /spelled alike/);
});

test("a validation class that is spelled differently is suggested: case, space, Unicode form", (t) => {
  const training = ["dog", composed, "hot dog", "cat"];
  const cases = [
    ["Dog", "dog"],
    [decomposed, composed],
    ["hot dog ", "hot dog"],
    ["Cat\u00a0", "cat"],
  ] as const;
  for (const [i, [wrong, meant]] of cases.entries()) {
    const data = named(`val ${i}`, training, training.with(training.indexOf(meant), wrong));
    for (const r of [train(data), shell.moproc("data", "check", data)]) {
      t.is(r.status, 2, r.out);
      t.true(r.err.includes(`the run has no class of this name`), r.err);
      t.true(r.err.includes(`; did you mean '${meant}'?`), r.err);
    }
  }
});
