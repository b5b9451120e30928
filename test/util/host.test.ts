// How many compilers run at once, the words of $CXX, locks between machines, and what is kept of a program's output.

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import test, { type ExecutionContext } from "ava";
import { cacheDir, explainFull } from "../../compiler/util/cache.js";
import { cpuQuota, cxx, jobs } from "../../compiler/util/host.js";
import { waitForLock } from "../../compiler/util/lock.js";
import { makeFolder } from "../../compiler/util/own.js";
import { root } from "../../compiler/util/root.js";
import { runSaying } from "../../compiler/util/run.js";
import { free, kept } from "../../tools/cli/cache.js";

const dir = mkdtempSync(join(tmpdir(), "moproc host with space-"));
test.after.always(() => rmSync(dir, { recursive: true, force: true }));

/** A tree of files below a new folder; returns its path. */
function tree(name: string, files: Readonly<Record<string, string>>): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name, path)), { recursive: true });
    writeFileSync(join(dir, name, path), text);
  }
  return join(dir, name);
}

/** Restores the environment variables at the end of a test. */
function keepEnvironment(t: ExecutionContext): void {
  const { CXX, MOPROC_CACHE } = process.env;
  t.teardown(() => {
    for (const [name, value] of Object.entries({ CXX, MOPROC_CACHE }))
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
  });
}

test("a container's quota limits the compilers, whichever group of either version has it", (t) => {
  const v2 = tree("v2", { self: "0::/pod/box\n", "fs/cpu.max": "max 100000", "fs/pod/cpu.max": "250000 100000" });
  t.is(cpuQuota(join(v2, "fs"), join(v2, "self")), 2.5, "of a group above");
  const inner = tree("inner", {
    self: "0::/pod/box\n",
    "fs/pod/cpu.max": "400000 100000",
    "fs/pod/box/cpu.max": "50000 100000",
  });
  t.is(cpuQuota(join(inner, "fs"), join(inner, "self")), 0.5, "the smallest counts");
  const v1 = tree("v1", {
    self: "4:memory:/a\n3:cpu,cpuacct:/a\n",
    "fs/cpu,cpuacct/a/cpu.cfs_quota_us": "150000",
    "fs/cpu,cpuacct/a/cpu.cfs_period_us": "100000",
  });
  t.is(cpuQuota(join(v1, "fs"), join(v1, "self")), 1.5);
  const free = tree("free", {
    self: "3:cpu:/a\n",
    "fs/cpu/a/cpu.cfs_quota_us": "-1",
    "fs/cpu/a/cpu.cfs_period_us": "100000",
  });
  t.is(cpuQuota(join(free, "fs"), join(free, "self")), Number.POSITIVE_INFINITY);
  t.is(cpuQuota(join(dir, "nowhere"), join(dir, "nowhere")), Number.POSITIVE_INFINITY);
  t.deepEqual([jobs(0.2), jobs(1)], [1, 1]);
  t.true(jobs(Number.POSITIVE_INFINITY) >= jobs(1.5));
});

test.serial("$CXX may have several words; a path may have spaces", (t) => {
  keepEnvironment(t);
  const withSpace = join(tree("bin dir", { "my g++": "" }), "my g++");
  const cases = [
    [undefined, ["g++"]],
    ["", ["g++"]],
    [" ccache  g++ ", ["ccache", "g++"]],
    ["g++ -m64", ["g++", "-m64"]],
    [withSpace, [withSpace]],
  ] as const;
  for (const [text, words] of cases) {
    if (text === undefined) delete process.env.CXX;
    else process.env.CXX = text;
    t.deepEqual([...cxx()], [...words]);
  }
});

test("output is kept up to a MiB, and what is left out is counted", async (t) => {
  const script = "process.stdout.write('x'.repeat(3e6)); process.stderr.write('y'.repeat(10))";
  const { out, err } = await runSaying([process.execPath, "-e"], [script]);
  t.is(out.replace(/\n.*/s, "").length, 1 << 20);
  t.regex(out, new RegExp(`\\(${3e6 - (1 << 20)} more characters were left out\\)`));
  t.is(err, "y".repeat(10));
});

const lockModule = pathToFileURL(join(root, "compiler", "util", "lock.mjs")).href;

test.serial("a lock of another machine holds while it changes, and is taken over when it is silent", (t) => {
  const silent = join(dir, "silent.lock");
  writeFileSync(silent, "moproc 1 elsewhere/boot/ns 0123456789abcdef 7\n"); // process 1 exists here, too
  const start = performance.now();
  waitForLock(silent, "test", 900)();
  t.true(performance.now() - start >= 900);
  t.false(existsSync(silent), "released");

  // A stand-in for another machine rewrites its lock for two seconds and then removes it.
  const held = join(dir, "held.lock");
  const beat = `const fs = require("fs"); let n = 0; const write = () =>
    fs.writeFileSync(${JSON.stringify(held)}, "moproc 1 elsewhere/boot/ns 00ff " + n++ + "\\n");
    write(); const timer = setInterval(write, 200);
    setTimeout(() => { clearInterval(timer); fs.rmSync(${JSON.stringify(held)}); }, 2500);`;
  const other = spawn(process.execPath, ["-e", beat], { stdio: "ignore" });
  t.teardown(() => other.kill());
  while (!existsSync(held)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  const since = performance.now();
  waitForLock(held, "test", 1200)();
  t.true(performance.now() - since > 1500, "it was not taken over");
});

test.serial("a lock is rewritten while its owner computes; a killed owner's lock is free at once", (t) => {
  const file = join(dir, "busy.lock");
  const script = `const { takeLock } = await import(${JSON.stringify(lockModule)});
    takeLock(${JSON.stringify(file)});
    const read = () => require0("fs").readFileSync(${JSON.stringify(file)}, "utf8");
    const before = read();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2600);
    console.log(read() !== before);
    process.kill(process.pid, "SIGKILL");`;
  const code = `import { createRequire } from "node:module"; const require0 = createRequire("/");\n${script}`;
  const out = (() => {
    try {
      return execFileSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
    } catch (e) {
      return (e as { stdout: string }).stdout; // it kills itself
    }
  })();
  t.is(out.trim(), "true");
  t.true(existsSync(file));
  const start = performance.now();
  waitForLock(file, "test")();
  t.true(performance.now() - start < 5000);
});

test.serial("a released lock does not come back, and nobody reads an empty one", (t) => {
  const file = join(dir, "often.lock");
  const reader = `const { existsSync, readFileSync } = require("fs"); let empty = 0;
    const end = Date.now() + 2500;
    while (Date.now() < end) try { if (readFileSync(${JSON.stringify(file)}, "utf8") === "") empty++; } catch {}
    console.log(empty);`;
  const release = waitForLock(file, "test");
  const seen = execFileSync(process.execPath, ["-e", reader], { encoding: "utf8" });
  t.is(seen.trim(), "0");
  release();
  for (let i = 0; i < 20; i++) waitForLock(file, "test")();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500); // longer than a beat
  t.false(existsSync(file));
});

test("an error that the disk is full names the cache folder and what helps; others stay as they are", (t) => {
  for (const text of ["ENOSPC: no space left, write", "as: x.o: No space left on device", "EDQUOT: write"])
    t.regex(
      explainFull(new Error(text)).message,
      /^the cache folder \/.*: is full \(.*\), and `moproc cache --all` frees .*MOPROC_CACHE/,
    );
  t.is(explainFull(new Error("undefined reference")).message, "undefined reference");
});

test("makeFolder: folders at any depth; below a file and below /proc an error at once", (t) => {
  const file = join(tree("making", { file: "" }), "file");
  makeFolder(join(dir, "making", "a", "b", "c"));
  t.true(existsSync(join(dir, "making", "a", "b", "c")));
  for (const bad of [file, join(file, "x"), join(file, "x", "y"), "/proc/moproc/x/y"])
    t.throws(() => makeFolder(bad), undefined, bad);
});

test.serial("what belongs to an entry that is being made stays until that has ended", (t) => {
  const cache = tree("working", { "native/0123456789abcdef.partial-Ab12Cd/x": "1" });
  const lock = join(cache, "native/0123456789abcdef.lock");
  const script = `const { takeLock } = await import(${JSON.stringify(lockModule)});
    const { release } = takeLock(${JSON.stringify(lock)}); setTimeout(release, 1500);
    setTimeout(() => {}, 1700);`;
  const other = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "ignore" });
  t.teardown(() => other.kill());
  while (!existsSync(lock)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  const start = performance.now();
  free(cache, kept(cache).all, Number.NEGATIVE_INFINITY);
  t.true(performance.now() - start > 700, "it waited");
  t.deepEqual(kept(cache).all, []);
});

test.serial("a cache folder that cannot be made is named, with the variable that moves it", (t) => {
  keepEnvironment(t);
  const file = join(tree("taken", { file: "" }), "file");
  for (const bad of [file, join(file, "below"), "/proc/moproc/below", "/dev/null/x"]) {
    process.env.MOPROC_CACHE = bad;
    const e = t.throws(() => cacheDir());
    t.true(
      e.message.includes(bad) && e.message.includes("set MOPROC_CACHE to a folder that can be written"),
      e.message,
    );
  }
  t.is(readFileSync(file, "utf8"), "");
});

test("a build folder that was made for another path is removed, one that was made here stays", async (t) => {
  const steps = pathToFileURL(join(root, "tools", "setup", "steps.mjs")).href;
  const { removeForeignBuild } = (await import(steps)) as { removeForeignBuild(folder: string): void };
  const cached = (made: string) => ({ "CMakeCache.txt": `A:B=c\nCMAKE_CACHEFILE_DIR:INTERNAL=${made}\n`, "x.o": "" });
  const here = tree("built here", cached(join(dir, "built here")));
  const moved = tree("built elsewhere", cached("/home/somebody/moproc/build/native"));
  const empty = tree("not built", { "x.o": "" });
  for (const folder of [here, moved, empty, join(dir, "absent")]) removeForeignBuild(folder);
  t.deepEqual([here, moved, empty].map(existsSync), [true, false, true]);
});

test("cache entries are known by their names; the unused are removed, all others stay", (t) => {
  const hex = "0123456789abcdef0123456789abcdef01234567";
  const cache = tree("cache", {
    [`${hex}.o`]: "12345",
    [`${hex}.o.txt`]: "",
    [`${hex}.hpp.gch`]: "123",
    "artefacts/resnet10_b8-0123456789abcdef/train": "1234567",
    "artefacts/resnet10_b8-0123456789abcdef.partial-Ab12/x": "1",
    "artefacts/thesis-final/x": "mine",
    "native/0123456789abcdef/link.txt": "12",
    "native/notes": "mine",
    "holiday.o": "mine",
  });
  const { all, others } = kept(cache);
  t.is(others, 3);
  t.deepEqual(
    all.map((k) => [k.name, k.kind, k.bytes]).sort(),
    [
      [`${hex}.hpp.gch`, "header", 3],
      [`${hex}.o`, "object", 5],
      [`${hex}.o.txt`, "object", 0],
      ["artefacts/resnet10_b8-0123456789abcdef", "artefact", 7],
      ["artefacts/resnet10_b8-0123456789abcdef.partial-Ab12", "unfinished", 1],
      ["native/0123456789abcdef", "native part", 2],
    ].sort(),
  );
  const old = new Date(Date.now() - 40 * 86_400_000);
  utimesSync(join(cache, `${hex}.o`), old, old);
  t.deepEqual(
    free(cache, kept(cache).all, 30 * 86_400_000).map((k) => k.name),
    [`${hex}.o`],
  );
  free(cache, kept(cache).all, Number.NEGATIVE_INFINITY);
  t.deepEqual(kept(cache).all, []);
  for (const mine of ["artefacts/thesis-final/x", "native/notes", "holiday.o"])
    t.is(readFileSync(join(cache, mine), "utf8"), "mine");
});
