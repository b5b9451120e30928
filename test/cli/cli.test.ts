// The command line as a user runs it: exit codes, messages that name the cause, an artefact that is built only once,
// and the examples of docs/, run as the README says.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { load, type Values } from "node-cuda-rt";
import { root } from "../../compiler/util/root.js";

const dir = join(root, "build", "test");
mkdirSync(dir, { recursive: true });
const scratch = mkdtempSync(join(dir, "cli with space-"));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));

interface Result {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function moproc(...args: readonly string[]): Result {
  const main = join(root, "build", "js", "tools", "cli", "main.js");
  const r = spawnSync(process.execPath, [main, ...args], { cwd: scratch, encoding: "utf8" });
  return { status: r.status, out: r.stdout, err: r.stderr };
}

interface PlanFile {
  readonly kernels: readonly { readonly symbol: string }[];
}

/** Names of an artefact's kernels; a name holds a digest of the source. */
function symbols(artefact: string): string[] {
  const plan = JSON.parse(readFileSync(join(scratch, artefact, "plan.json"), "utf8")) as PlanFile;
  return plan.kernels.map((k) => k.symbol).sort();
}

const tiny = [
  "-a",
  "resnet10",
  "--width",
  "0.125",
  "-b",
  "8",
  "--image-size",
  "32",
  "--num-class",
  "4",
  "--low-dim",
  "8",
  "--moco_queue",
  "16",
];

/** [arguments, what the message must say] */
const refused: readonly (readonly [readonly string[], RegExp])[] = [
  [["frob"], /unknown command 'frob'/],
  [["compile", "-a", "resnet11"], /resnet11.*resnet50/],
  [["compile", "--foo", "1"], /unknown option '--foo'/],
  [["compile", "-b", "0"], /--batch-size.*at least 1/],
  [["compile", "-b", "6", "--bn-groups", "4"], /--bn-groups/],
  [["compile", "--arch", "x86-64-v2"], /x86-64-v2/],
  [["compile", "--task", "frob"], /--task frob/],
  [["compile", "--stop-after", "frob"], /--stop-after frob/],
  [["compile", "nothing.ts"], /nothing\.ts: no such file/],
  [["inspect", "nowhere"], /nowhere: is not an artefact directory/],
  [["data", "sample", "--classes", "1", "--out", "x"], /--classes/],
  [["data", "sample", "--frob", "1"], /--frob/],
];

for (const [args, message] of refused) {
  test(`refused: moproc ${args.join(" ")}`, (t) => {
    const r = moproc(...args);
    t.is(r.status, 2, r.err);
    t.regex(r.err, message);
    t.false(existsSync(join(scratch, "out")));
  });
}

test("an error of the user's code is shown with the lines of the user's files", (t) => {
  writeFileSync(
    join(scratch, "helper.ts"),
    `import { ops } from "moproc";

export const bad = (b: never, x: never) => ops.conv(b, x, x, { stride: 1, pad: 1, dilation: 2 } as never);
`,
  );
  const file = join(scratch, "faulty.ts");
  writeFileSync(
    file,
    `import { Builder } from "moproc";
import { bad } from "./helper.js";
export interface Sizes { readonly n: number } // removed by the bundler, so later lines move

export function programs() {
  const b = Builder.create("s");
  return [bad(b as never, b.input("x", { dtype: "f32", shape: [1, 3, 8, 8] }) as never)];
}
`,
  );
  const r = moproc("compile", file, "-o", join(scratch, "none"));
  t.is(r.status, 2);
  const [message, ...frames] = r.err.trimEnd().split("\n");
  t.regex(message as string, /^moproc compile: .*faulty\.ts: conv\(x: .*\) in <top>: no attribute dilation: conv has/);
  t.deepEqual(
    frames.map((f) => /\((.*):\d+\)$/.exec(f)?.[1]),
    [`${join(scratch, "helper.ts")}:3`, `${file}:7`],
  );
  writeFileSync(file, "const x: { y?: { z: 1 } } = {};\n\nexport const programs = () => [];\nconsole.log(x.y!.z);\n");
  const top = moproc("compile", file, "-o", join(scratch, "none"));
  t.is(top.status, 2);
  t.regex(top.err, /^moproc compile: .*faulty\.ts: Cannot read .*\n +at .*faulty\.ts:4:/);
  t.false(existsSync(join(scratch, "none")));
});

test("a step.ts without programs() is refused by name", (t) => {
  const file = join(scratch, "empty.ts");
  writeFileSync(file, "export const nothing = 1;\n");
  const r = moproc("compile", file);
  t.is(r.status, 2);
  t.regex(r.err, /empty\.ts: exports no function programs/);
  for (const [body, message] of [
    ["", "returned nothing"],
    ["return [];", "returned an empty list"],
    ["return {};", "returned no list"],
    ["return [{ nodes: [], outputs: [] }, 7];", "returned something else than a graph at position 1"],
    ["return (async () => [])();", "returned a promise"],
  ]) {
    writeFileSync(file, `export function programs() { ${body} }\n`);
    const refused = moproc("compile", file, "-o", join(scratch, "none"));
    t.is(refused.status, 2);
    t.is(
      refused.err.includes(`moproc compile: ${file}: programs() ${message}; it has to return a list of graphs`),
      true,
      refused.err,
    );
    t.false(existsSync(join(scratch, "none")));
  }
});

test("an error inside a graph names op, operands and place", (t) => {
  const file = join(scratch, "wrong.ts");
  writeFileSync(
    file,
    `
    import { Builder, ops } from "moproc";
    export function programs() {
      const b = Builder.create("wrong").in("fc1");
      const x = b.input("x", { dtype: "f32", shape: [4, 6] });
      const w = b.input("w", { dtype: "f32", shape: [3, 3] });
      return [b.finish([ops.matmul(b, x, w)])];
    }`,
  );
  const r = moproc("compile", file);
  t.is(r.status, 2);
  t.regex(r.err, /matmul\(x: f32\[4,6\], w: f32\[3,3\]\) in fc1: .*6.*3/);
});

test("compile with a missing compiler says what to install", (t) => {
  const main = join(root, "build", "js", "tools", "cli", "main.js");
  const env = { ...process.env, CXX: "no-such-compiler" };
  const r = spawnSync(process.execPath, [main, "compile", ...tiny, "-o", "none"], {
    cwd: scratch,
    encoding: "utf8",
    env,
  });
  t.is(r.status, 1);
  t.regex(r.stderr, /no-such-compiler[\s\S]*install g\+\+/);
  t.false(existsSync(join(scratch, "none")));
});

test("compile twice: the second finds the artefact current; inspect and the binary agree with it", (t) => {
  const first = moproc("compile", ...tiny, "-o", "tiny");
  t.is(first.status, 0, first.err);
  t.regex(first.out, /lower bound/);
  const again = moproc("compile", ...tiny.map((a) => a.replace("--moco_queue", "--moco-queue")), "-o", "tiny");
  t.regex(again.out, /unchanged/);
  for (const f of ["plan.json", "plan.cpp", "explain.txt", "program.so", "train"])
    t.true(existsSync(join(scratch, "tiny", f)), f);

  const json = JSON.parse(moproc("inspect", "tiny", "--json").out);
  t.deepEqual(Object.keys(json.programs), ["warmup", "proto", "clean", "evaluate", "embed", "refresh"]);
  t.true(json.live_bytes_max > 0 && json.arena_bytes.work <= 1.1 * json.live_bytes_max);
  const counted = /program warmup: (\d+) launches/.exec(moproc("inspect", "tiny").out)?.[1];
  t.regex(first.out, new RegExp(`warmup ${counted}, .* launches`), "one count of launches");
  t.true(readFileSync(join(scratch, "tiny", "explain.txt"), "utf8").includes(`  warmup: ${counted} launches\n`));
  t.is(json.programs.warmup["x86-64-v3"]?.launches ?? json.programs.warmup["x86-64-v4"]?.launches, Number(counted));

  const run = spawnSync(join(scratch, "tiny", "train"), ["--synthetic", "--steps", "3"], { encoding: "utf8" });
  t.is(run.status, 0, run.stderr);
  t.is([...run.stdout.matchAll(/^step \d+ warmup {2}loss \d/gm)].length, 3);
  t.regex(run.stdout, /lower bound/);
  const example = spawnSync(
    process.execPath,
    [join(root, "docs", "examples", "synthetic.mjs"), join(scratch, "tiny")],
    { encoding: "utf8" },
  );
  t.is(example.status, 0, example.stderr);
  const losses = (text: string): number[] =>
    (/loss ([\d.]+) {2}cls ([\d.]+) {2}inst ([\d.]+)/.exec(text) ?? []).slice(1).map(Number);
  t.is(losses(run.stdout).length, 3);
  losses(run.stdout).forEach((x, i) =>
    t.true(Math.abs(x - (losses(example.stdout)[i] as number)) < 1e-5, "the addon gets the binary's numbers"),
  );
  const wrong = spawnSync(join(scratch, "tiny", "train"), ["--synthetic", "-b", "16"], { encoding: "utf8" });
  t.is(wrong.status, 2);
  t.regex(wrong.stderr, /16.*8|8.*16/);
});

test("two processes that want one artefact: one builds, the other waits for it", async (t) => {
  const main = join(root, "build", "js", "tools", "cli", "main.js");
  const compile = (): Promise<string> =>
    new Promise((resolve) => {
      const child = spawn(process.execPath, [main, "compile", ...tiny, "--width", "0.25", "-o", "shared"], {
        cwd: scratch,
      });
      let text = "";
      for (const s of [child.stdout, child.stderr]) s.on("data", (d) => (text += d));
      child.on("close", (code) => resolve(`${code} ${text}`));
    });
  const [a, b] = (await Promise.all([compile(), compile()])).sort();
  for (const text of [a, b]) t.regex(text as string, /^0 /);
  t.is([a, b].filter((text) => text?.includes("unchanged")).length, 1, `${a}\n${b}`);
});

/** What a checkpoint says about itself; `sha256` is of all its tensors. */
function metadataOf(file: string): Readonly<Record<string, string>> {
  const bytes = readFileSync(file);
  return JSON.parse(bytes.toString("utf8", 8, 8 + Number(bytes.readBigUInt64LE(0)))).__metadata__;
}

test("a signal ends training with a checkpoint; going on gives the bits of a run that nobody stopped", async (t) => {
  const binary = join(scratch, "tiny", "train");
  const settings = ["--synthetic", "--epochs", "1000", "--seed", "5"];
  const args = (exp: string): string[] => [...settings, "--exp-dir", join(scratch, exp)];
  const cut = spawn(binary, [...args("cut"), "--steps", "10000"], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise<number | null>((resolve) => cut.on("close", resolve));
  cut.stdout.once("data", () => cut.kill("SIGTERM"));
  t.is(await ended, 75);
  const checkpoints = (exp: string): string[] =>
    readdirSync(join(scratch, exp)).filter((f) => f.startsWith("checkpoint"));
  const newest = (exp: string): string => checkpoints(exp).sort().at(-1) as string;
  const { epoch, step } = metadataOf(join(scratch, "cut", newest("cut")));
  const done = 10 * Number(epoch) + Number(step); // epochs of --synthetic have ten steps
  const more = (exp: string, steps: number, ...flags: string[]): void => {
    const r = spawnSync(binary, [...args(exp), "--steps", `${steps}`, ...flags], { encoding: "utf8" });
    t.is(r.status, 0, r.stderr);
  };
  more("cut", 7, "--resume", "auto");
  more("whole", done + 7);
  const [a, b] = ["cut", "whole"].map((exp) => metadataOf(join(scratch, exp, newest("whole"))));
  t.is(a?.samples, `${8 * (done + 7)}`);
  for (const key of ["sha256", "samples", "meters"]) t.is(a?.[key], b?.[key], key);
});

for (const [how, flags] of [
  ["the command line", []],
  ["the command line and its supervisor of ranks", ["--max-restarts", "1"]],
] as const)
  test(`a terminal that is closed (SIGHUP to ${how}) ends training with a checkpoint`, async (t) => {
    const exp = `hangup ${flags.length}`;
    const main = join(root, "build", "js", "tools", "cli", "main.js");
    const endless = ["--artefact", "tiny", "--synthetic", "--epochs", "100000", "--steps", "1000000", "--exp-dir", exp];
    // under nohup the signal is ignored, also by what the test starts
    const child = spawn("env", ["--default-signal=HUP", process.execPath, main, "train", ...endless, ...flags], {
      cwd: scratch,
      stdio: ["ignore", "pipe", "inherit"],
      timeout: 60_000, // whatever it has started ends with it
      killSignal: "SIGKILL",
    });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    let out = "";
    child.stdout.on("data", (text) => (out += text));
    child.stdout.once("data", () => child.kill("SIGHUP"));
    t.is(await ended, 75);
    t.regex(out, /stopped by SIGHUP at epoch \d+, step \d+: .*checkpoint_\d+_\d+\.safetensors/);
  });

test("a reader of the output that goes away does not end training", (t) => {
  const line = `"$0" --synthetic --epochs 3 --steps 30 --exp-dir pipe | head -1`;
  const r = spawnSync("bash", ["-c", line, join(scratch, "tiny", "train")], { cwd: scratch, encoding: "utf8" });
  t.is(r.status, 0, r.stderr);
  t.true(existsSync(join(scratch, "pipe", "checkpoint_0002.safetensors")));
});

test("a training binary ends with a checkpoint when the command line that started it is killed", async (t) => {
  const main = join(root, "build", "js", "tools", "cli", "main.js");
  const flags = ["--artefact", "tiny", "--synthetic", "--epochs", "100000", "--exp-dir", "orphan"];
  const command = spawn(process.execPath, [main, "train", ...flags], {
    cwd: scratch,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = new Promise<string>((resolve) => command.stdout.on("close", () => resolve("the binary has ended")));
  await new Promise((resolve) => command.stdout.on("data", resolve));
  command.kill("SIGKILL");
  const late = new Promise<string>((resolve) => setTimeout(resolve, 120_000, "the binary still runs").unref());
  t.is(await Promise.race([closed, late]), "the binary has ended"); // it holds the pipe as long as it lives
  t.is(readdirSync(join(scratch, "orphan")).filter((f) => f.startsWith("checkpoint")).length, 1);
});

test("a batch of another size has the same kernels: only the plan is new", (t) => {
  t.is(moproc("compile", ...tiny, "-o", "b8").status, 0);
  const other = moproc("compile", ...tiny.map((a, i) => (tiny[i - 1] === "-b" ? "16" : a)), "-o", "b16");
  t.is(other.status, 0, other.err);
  t.regex(other.out, / objects, (1 compiled|all from the cache)/);
  t.deepEqual(symbols("b16"), symbols("b8"));
});

test("the perceptron of docs/ learns, driven through the addon", async (t) => {
  const r = moproc("compile", join(root, "docs", "examples", "mlp.ts"), "-o", "mlp");
  t.is(r.status, 0, r.err);
  const drive = spawnSync(process.execPath, [join(root, "docs", "examples", "drive.mjs"), join(scratch, "mlp")], {
    encoding: "utf8",
  });
  t.is(drive.status, 0, drive.stderr);
  const shares = [...drive.stdout.matchAll(/correct in the last 500 steps ([\d.]+)/g)].map((m) => Number(m[1]));
  t.true((shares.at(-1) ?? 0) > 95, drive.stdout);

  const a = load(join(scratch, "mlp"));
  t.throws(() => a.get("frob"), { message: /frob/ });
  t.throws(() => a.set("fc1.weight", new Float32Array(3)), { message: /fc1\.weight.*64.*3/ });
  t.throws(() => a.set("fc1.weight", new Float64Array(64)), { message: /fc1\.weight/ });
  await t.throwsAsync(a.run("frob", {}), { message: /frob/ });
  const x = new Float32Array(128);
  await t.throwsAsync(a.run("predict", {}), { message: /predict.*x.*missing/ });
  await t.throwsAsync(a.run("predict", { x, y: x }), { message: /y/ });
  a.initState(3);
  const progress: number[] = [];
  const first = a.run("predict", { x }, { onProgress: (done, total) => progress.push(done / total) });
  await t.throwsAsync(a.run("predict", { x }), { message: /under way/ });
  t.deepEqual([...((await first).logits as Values)], [...((await a.run("predict", { x })).logits as Values)]);
  t.is(progress.at(-1), 1);
});

test("the convolutional network of docs/ compiles, with its own loss", (t) => {
  const r = moproc("compile", join(root, "docs", "examples", "cnn.ts"), "-o", "cnn");
  t.is(r.status, 0, r.err);
  t.regex(readFileSync(join(scratch, "cnn", "explain.txt"), "utf8"), /conv_fprop/);
});

test("load: a directory that is no artefact", (t) => {
  t.throws(() => load(join(scratch, "nowhere")), { message: /nowhere.*no such file/ });
});

test("doctor lists what is there", (t) => {
  const r = moproc("doctor", "--json");
  t.is(r.status, 0, r.out);
  const found = JSON.parse(r.out) as { what: string; state: string }[];
  t.deepEqual(
    found.filter((f) => f.state === "missing"),
    [],
  );
  t.true(found.some((f) => f.what === "GPU"));
});
