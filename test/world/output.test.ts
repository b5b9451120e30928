// What a command prints must arrive: a device that is full is an error of every command, and a reader that has closed
// the pipe is an error of none.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import test from "ava";
import { type Ran, Shell } from "../support/cli.js";

const shell = new Shell("output");
test.after.always(() => shell.remove());

const net = "-a resnet10 --width 0.125 --image-size 32 -b 4".split(" ");
const run = ["train", "--task", "classifier", ...net, "--data", "data", "--steps", "2", "--overwrite", "--exp-dir"];
const checkpoint = "run/last.safetensors";

test.before(() => {
  const sizes = "--classes 4 --images 32 --val 8 --size 40".split(" ");
  shell.done("data", "sample", "--layout", "imagenet", "--out", "data", ...sizes);
  shell.done(...run, "run");
  shell.done("compile", "--task", "classifier", ...net, "--num-class", "4", "-o", "built");
});

/** Runs a command of the command line in a shell script, whose "$@" it is. */
function inShell(text: string, args: readonly string[]): Ran {
  const r = spawnSync("bash", ["-c", text, "bash", process.execPath, shell.main, ...args], {
    cwd: shell.dir,
    encoding: "utf8",
  });
  return { status: r.status, out: r.stdout, err: r.stderr };
}

const commands: readonly (readonly string[])[] = [
  ["predict", "--resume", checkpoint, "data/val"],
  ["evaluate", "--resume", checkpoint, "--data", "data", "-b", "4"],
  ["data", "check", "data"],
  ["inspect", "built"],
  ["convert", checkpoint, "converted.pth.tar"],
  ["doctor", "--json"],
  ["train", "--help"],
  [...run, "another"],
];

for (const words of commands) {
  const name = words.slice(0, 3).join(" ");
  test.serial(`${name} > /dev/full: exit code 1 and one message`, (t) => {
    const r = inShell('"$@" > /dev/full', words);
    t.is(r.status, 1, r.err);
    t.regex(r.err, /standard output: .*[Nn]o space left on device/);
    t.is(r.err.split("standard output").length, 2, r.err);
  });

  test.serial(`${name}, whose reader is gone: no word about it`, (t) => {
    const r = inShell(`"$@" | true; exit "$PIPESTATUS"`, words);
    t.true(r.status === 0 || r.status === 141, `${r.status} ${r.err}`);
    t.notRegex(r.err, /standard output|EPIPE|SIGPIPE|[Bb]roken pipe/);
    if (words.includes("--steps")) {
      t.is(r.status, 0, "a run goes on");
      t.true(existsSync(shell.at("another", "last.safetensors")));
    }
  });
}
