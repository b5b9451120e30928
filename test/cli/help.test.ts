// Help and messages are consistent: every flag once on each help page, messages that begin with the verb, suggestions
// for typos, the spellings of --arch, output to a closed pipe, and one place for the version.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { binaryFlags, withBinaryFlags } from "../../tools/cli/binary_flags.js";
import { versionLine } from "../../tools/cli/doctor.js";
import { described } from "../../tools/cli/help.js";
import { integer } from "../../tools/cli/kinds.js";
import type { Flag, Verb } from "../../tools/cli/record.js";
import { canonical, passedOn, settleArch } from "../../tools/cli/spelling.js";
import { allVerbs } from "../../tools/cli/verbs.js";
import { Shell } from "../support/cli.js";

const verbs = await allVerbs();

const shell = new Shell("help");
test.after.always(() => shell.remove());

/** All verbs as they are called, with those of families and those that a flag chooses. */
const called = (list: readonly Verb[], before: readonly string[] = []): (readonly string[])[] =>
  list.flatMap((v) => [
    [...before, v.name],
    ...called(v.verbs ?? [], [...before, v.name]),
    ...(v.instead ? [[...before, v.name, v.instead.flag]] : []),
  ]);
const pages = called(verbs);

/** The names of flags that a page lists: what begins its lines. */
const listed = (page: string): string[] =>
  page
    .split("\n")
    .filter((l) => /^ {2}-/.test(l))
    .flatMap(
      (l) =>
        l
          .trim()
          .split(/(?<!,) /, 1)[0]
          ?.split(", ") ?? [],
    )
    .map((n) => n.replaceAll("_", "-"));

for (const words of pages) {
  const name = words.join(" ");
  test(`moproc ${name} --help: usage, whole lines, and each flag once`, (t) => {
    const page = shell.done(...words, "--help");
    t.true(page.startsWith(`Usage: moproc ${words[0]}`), page.slice(0, 100));
    const flags = listed(page);
    t.deepEqual(
      flags.filter((f, i) => flags.indexOf(f) !== i),
      [],
    );
    const example = page.search(/\nExamples?:\n/);
    const text = example < 0 ? page : page.slice(0, example);
    t.deepEqual(
      text.split("\n").filter((l) => l.length > 120),
      [],
    );
    if (example >= 0) t.deepEqual(listed(page.slice(example)), [], "examples come last");
  });
}

test("a page has all flags: the command line's and the binary's", (t) => {
  for (const v of verbs.filter((v) => v.trains)) {
    const page = shell.done(v.name, "--help");
    const all = [...(v.flags ?? []), ...binaryFlags(v.name)].flatMap((f) => f.names).filter((n) => n !== "--arch");
    const flags = listed(page);
    for (const name of all) t.true(flags.includes(name.replaceAll("_", "-")), `${v.name}: ${name}`);
  }
});

const own: readonly Flag[] = [
  { names: ["-b", "--batch-size"], unit: "IMAGES", kind: integer(1), section: "s", help: "Images.", passedOn: true },
  { names: ["--ranks"], unit: "LIST", section: "s", help: "Ranks." },
  { names: ["--keep-values"], section: "s", help: "Keeps values." },
];
const merged = withBinaryFlags(own, [
  { section: "s", names: ["-b", "--batch", "--batch_size"], unit: "N", default: "", range: "", help: "no" },
  { section: "t", names: ["--lr", "--learning-rate"], unit: "X", default: "0.1", range: "0 or more", help: "Rate." },
  { section: "t", names: ["--cos"], unit: "", default: "", range: "", help: "Cosine." },
]);

test("a flag that the command line and the binary know is one, with all names", (t) => {
  t.deepEqual(
    merged.map((f) => f.names.join(" ")),
    ["-b --batch --batch-size", "--ranks", "--keep-values", "--lr --learning-rate", "--cos"],
  );
  t.is(described(merged[0] as Flag), "Images. (1 or more)");
  t.is(described(merged[3] as Flag), "Rate. (0 or more; default: 0.1)");
});

test("the binary gets its flags as they were typed, and none that are used up", (t) => {
  const typed = "--ranks 1,2 -b 8 --keep_values --lr=0.2 --ranks=4 --cos".split(" ");
  t.deepEqual(passedOn(typed, merged), ["-b", "8", "--lr=0.2", "--cos"]);
  t.deepEqual(canonical(["--lr=a=b", "--batch", "8", "--keep_values"], merged), [
    "--learning-rate=a=b",
    "--batch-size",
    "8",
    "--keep-values",
  ]);
});

test("--arch names a network; the name of a target becomes --target-arch, with a note", (t) => {
  const flags: readonly Flag[] = [
    { names: ["-a", "--network"], unit: "NAME", section: "s", help: "" },
    { names: ["--target-arch"], unit: "LIST", section: "s", help: "" },
  ];
  const notes: string[] = [];
  const settle = (...argv: readonly string[]): string[] => settleArch(argv, flags, (n) => notes.push(n));
  t.deepEqual(settle("--arch", "resnet50", "x"), ["x", "--network", "resnet50"]);
  t.deepEqual(settle("-a", "resnet18", "--arch=resnet18"), ["-a", "resnet18"]);
  t.throws(() => settle("-a", "resnet18", "--arch", "resnet50"), {
    message: /resnet18 and --arch resnet50 contradict/,
  });
  t.deepEqual(notes, []);
  for (const name of ["sm_80,sm_90a", "x86-64-v3", "native", "emulator_sm_90a"])
    t.deepEqual(settle("--arch", name), ["--target-arch", name]);
  t.is(notes.length, 4);
  t.regex(notes[0] as string, /--arch names a network; write --target-arch sm_80,sm_90a/);
});

test("the note is printed, and the run goes on with --target-arch", (t) => {
  const r = shell.moproc("compile", "--target", "cuda", "--arch", "sm_70");
  t.is(r.status, 2);
  t.regex(r.err, /^note: .*--target-arch sm_70.*\nmoproc compile: --target-arch sm_70: known are sm_80/);
});

/** [arguments, how the message begins or what it has] */
const messages: readonly (readonly [readonly string[], RegExp])[] = [
  [["trian"], /^moproc: unknown command 'trian'\n\(Did you mean train\?\)/],
  [["train", "--epcohs", "3"], /^moproc train: unknown option '--epcohs'\n\(Did you mean --epochs\?\)/],
  [["train", "--start-clean-epcoh", "3"], /^moproc train: unknown option .*\n\(Did you mean --start_clean_epoch\?\)/],
  [["lowshot", "--modle-path", "x"], /^moproc lowshot: unknown option .*\n\(Did you mean --model-path\?\)/],
  [["compile", "--widht", "1"], /^moproc compile: unknown option '--widht'\n\(Did you mean --width\?\)/],
  [["compile", "--image-size", "3"], /^moproc compile: .*'3' is invalid\. It must be a whole number of at least 16/],
  [["export", "--resume", "x", "-o", "y", "--opset", "3"], /^moproc export: .*must be a whole number from \d+ to \d+/],
  [["data", "check", "x", "--thread", "2"], /^moproc data check: .*did you mean --threads\?/],
  [["data", "sample", "--classes", "1"], /^moproc data sample: .*from 2 to 20/],
  [["convert", "a", "b", "--too", "x"], /^moproc convert: .*did you mean --to\?/],
  [["convert", "nowhere.pth", "b.pth"], /^moproc convert: cannot read nowhere\.pth: /],
  [["weights", "fetch", "v3"], /^moproc weights fetch: version v3: known are v1 and v2/],
  [["finetune", "--model-path", "nowhere"], /^moproc finetune: nowhere: no such file/],
  [["finetune", "--data", ".", "--model-path", "bad.pth", "--exp-dir", "x"], /^moproc finetune: bad\.pth: /],
  [["retrain"], /^moproc retrain: --resume FILE is needed/],
  [["lowshot", "--model-path", "bad.pth"], /^moproc lowshot: --voc-path DIR is needed/],
  [["inspect", "nowhere"], /^moproc inspect: nowhere: is not an artefact directory/],
];

test.before(() => writeFileSync(shell.at("bad.pth"), "no checkpoint"));
for (const [args, message] of messages)
  test(`moproc ${args.join(" ")}: the message begins with the verb`, (t) => {
    const r = shell.moproc(...args);
    t.is(r.status, 2);
    t.regex(r.err, message);
  });

test("a pipe that closes ends the command without a word", (t) => {
  const page = spawnSync(
    "bash",
    [
      "-c",
      'set -o pipefail; "$0" "$1" inspect big --json 2>err | head -1; echo "${PIPESTATUS[0]}"',
      process.execPath,
      shell.main,
    ],
    { cwd: shell.dir, encoding: "utf8" },
  );
  t.is(page.stdout, "{\n141\n");
  t.is(shell.text("err"), "");
});
test.before(() => {
  // A plan whose summary is larger than a pipe holds.
  const kernel = { symbol: "k", template: "t", threads: 1, sharedBytes: 0 };
  const plan = {
    name: "big",
    digest: "0",
    target: { device: "cpu", arch: "x86-64-v3", ranks: [1] },
    meta: {},
    programs: [],
    kernels: Array.from({ length: 20000 }, () => kernel),
    arenas: {},
  };
  spawnSync("mkdir", [shell.at("big")]);
  writeFileSync(shell.at("big", "plan.json"), JSON.stringify(plan));
});

test("doctor shows the line that has a version", (t) => {
  const nvcc =
    "nvcc: NVIDIA (R) Cuda compiler driver\nCopyright (c) 2005-2023 NVIDIA Corporation\n" +
    "Built on Tue_Aug_15_22:02:13_PDT_2023\nCuda compilation tools, release 12.2, V12.2.140\n";
  t.is(versionLine(nvcc), "Cuda compilation tools, release 12.2, V12.2.140");
  t.is(versionLine("cmake version 3.25.1\n\nCMake suite"), "cmake version 3.25.1");
  t.is(versionLine("\nunknown\n"), "unknown");
});

test("the version is in package.json alone", (t) => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  t.is(shell.done("--version"), `${version}\n`);
  const files = ["compiler", "models", "runtime", "kernels", "tools"].flatMap((dir) =>
    readdirSync(join(root, dir), { recursive: true, encoding: "utf8" })
      .map((f) => `${dir}/${f}`)
      .filter((f) => /\.(ts|mjs|json|cc|h|hpp|cuh|py|txt)$/.test(f) && !/\/(node_modules|build)\//.test(f)),
  );
  const quoted = new RegExp(`["' ]${version.replaceAll(".", "\\.")}["' )]`);
  t.deepEqual(
    [...files, "CMakeLists.txt"].filter((f) => quoted.test(readFileSync(join(root, f), "utf8"))),
    [],
  );
});
