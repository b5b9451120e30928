// The command line as users call it, in a folder of the test's own whose name has a space.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../compiler/util/root.js";

export interface Ran {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

export class Shell {
  readonly dir: string;
  readonly main = join(root, "build", "js", "tools", "cli", "main.js");

  constructor(name: string) {
    const parent = join(root, "build", "test");
    mkdirSync(parent, { recursive: true });
    this.dir = mkdtempSync(join(parent, `${name} with space-`));
  }

  at(...path: readonly string[]): string {
    return join(this.dir, ...path);
  }

  text(...path: readonly string[]): string {
    return readFileSync(this.at(...path), "utf8");
  }

  /** Runs a program. */
  start(command: string, ...args: readonly string[]): Ran {
    const r = spawnSync(command, args, { cwd: this.dir, encoding: "utf8" });
    return { status: r.status, out: r.stdout, err: r.stderr };
  }

  moproc(...args: readonly string[]): Ran {
    return this.start(process.execPath, this.main, ...args);
  }

  /** The same, but no file may grow above `kib` KiB, as on a full disk. */
  limited(kib: number, ...args: readonly string[]): Ran {
    const r = spawnSync("bash", ["-c", `ulimit -f ${kib}; exec "$@"`, "bash", process.execPath, this.main, ...args], {
      cwd: this.dir,
      encoding: "utf8",
    });
    return { status: r.status, out: r.stdout, err: r.stderr };
  }

  /** Runs a command that must succeed; returns its output. */
  done(...args: readonly string[]): string {
    const r = this.moproc(...args);
    if (r.status !== 0) throw new Error(`moproc ${args.join(" ")}: ${r.err}${r.out}`);
    return r.out;
  }

  /** The records of a run's metrics.jsonl. */
  metrics(exp: string): Readonly<Record<string, string | number>>[] {
    return this.text(exp, "metrics.jsonl")
      .trim()
      .split("\n")
      .map((l) => JSON.parse(l) as Record<string, string | number>);
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}
