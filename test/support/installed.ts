// moproc as a package in a user's folder: packed from this clone, installed with npm, called there with an empty HOME
// and without a network.

import { type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root } from "../../compiler/util/root.js";
import type { Ran } from "./cli.js";

/** Runs a program that must succeed; its output. */
function must(command: string, args: readonly string[], options: object = {}): string {
  const r = spawnSync(command, args, { encoding: "utf8", ...options }) as SpawnSyncReturns<string>;
  if (r.status !== 0) throw new Error(`${command} ${args.join(" ")}: ${r.error?.message ?? r.stderr}`);
  return r.stdout;
}

/** The words before a command that has no network, if this user may take it away. */
const offline = spawnSync("unshare", ["-n", "true"]).status === 0 ? ["unshare", "-n"] : [];

export class Installed {
  readonly tarball: { readonly bytes: number; readonly files: readonly string[] };
  private readonly dir: string;
  private readonly work: string;

  constructor(name: string) {
    // Outside of the clone, whose node_modules and package.json npm and node would find.
    this.dir = mkdtempSync(join(tmpdir(), `moproc ${name} with space-`));
    this.work = join(this.dir, "work");
    mkdirSync(this.work);
    mkdirSync(join(this.dir, "home"));
    const npmCache = must("npm", ["config", "get", "cache"]).trim();
    // Its scripts would compile the TypeScript again while other tests run.
    const packed = must("npm", ["pack", "--ignore-scripts", "--pack-destination", this.dir], { cwd: root });
    const file = join(this.dir, packed.trim().split("\n").at(-1) as string);
    this.tarball = { bytes: statSync(file).size, files: must("tar", ["tzf", file]).trim().split("\n") };
    const env = { ...this.env(), npm_config_cache: npmCache };
    must("npm", ["install", "--no-audit", "--no-fund", file], { cwd: this.work, env });
  }

  private env(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    const { MOPROC_CACHE, XDG_CACHE_HOME, ...env } = process.env;
    return { ...env, HOME: join(this.dir, "home"), ...more };
  }

  private run(command: readonly string[], more: NodeJS.ProcessEnv = {}): Ran {
    const [program, ...args] = [...offline, ...command] as [string, ...string[]];
    const r = spawnSync(program, args, { cwd: this.work, env: this.env(more), encoding: "utf8" });
    return { status: r.status, out: r.stdout, err: r.stderr };
  }

  private get command(): string {
    return join(this.work, "node_modules", ".bin", "moproc");
  }

  moproc(...args: readonly string[]): Ran {
    return this.run([this.command, ...args]);
  }
  moprocWith(env: NodeJS.ProcessEnv, ...args: readonly string[]): Ran {
    return this.run([this.command, ...args], env);
  }
  /** The same without waiting for it here. */
  started(...args: readonly string[]): Promise<Ran> {
    return new Promise((resolve) => {
      const child = spawn(this.command, args, { cwd: this.work, env: this.env() });
      let [out, err] = ["", ""];
      child.stdout.on("data", (d) => (out += d));
      child.stderr.on("data", (d) => (err += d));
      child.on("close", (status) => resolve({ status, out, err }));
    });
  }
  /** Runs a command that must succeed; its output. */
  done(...args: readonly string[]): string {
    const r = this.moproc(...args);
    if (r.status !== 0) throw new Error(`moproc ${args.join(" ")}: ${r.err}${r.out}`);
    return r.out;
  }
  node(...args: readonly string[]): Ran {
    return this.run([process.execPath, ...args]);
  }
  tsc(...args: readonly string[]): Ran {
    return this.run([process.execPath, join(root, "node_modules", "typescript", "bin", "tsc"), ...args]);
  }

  exists(...path: readonly string[]): boolean {
    return existsSync(join(this.work, ...path));
  }
  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.work, path)), { recursive: true });
    writeFileSync(join(this.work, path), text);
  }
  copyExamples(): void {
    cpSync(join(this.work, "node_modules", "moproc", "docs", "examples"), join(this.work, "examples"), {
      recursive: true,
    });
  }

  /** Installs this clone's TypeScript; npm would need a network. */
  giveTypeScript(): void {
    symlinkSync(join(root, "node_modules", "typescript"), join(this.work, "node_modules", "typescript"));
  }

  /** Puts this clone's native part where the package would have built its own, which takes minutes. */
  giveNativePart(): void {
    const module = join(this.work, "node_modules", "moproc", "build", "js", "compiler", "emit", "native.js");
    const print = `import(${JSON.stringify(module)}).then((m) => console.log(m.inCache()))`;
    const folder = this.node("-e", print).out.trim();
    must("cmake", ["--install", join(root, "build", "native"), "--prefix", folder]);
    const addon = join(root, "runtime", "node-cuda-rt", "build", "Release", "node_cuda_rt.node");
    copyFileSync(addon, join(folder, "node_cuda_rt.node"));
  }

  /** Takes the permission to write from node_modules. (Root may write nevertheless.) */
  makeReadOnly(): void {
    this.chmod(join(this.work, "node_modules", "moproc"), 0o222, false);
  }
  private chmod(folder: string, bits: number, give: boolean): void {
    for (const e of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, e.name);
      if (e.isDirectory()) this.chmod(path, bits, give);
    }
    const { mode } = statSync(folder);
    chmodSync(folder, give ? mode | bits : mode & ~bits);
  }

  remove(): void {
    const module = join(this.work, "node_modules", "moproc");
    if (existsSync(module)) this.chmod(module, 0o200, true);
    rmSync(this.dir, { recursive: true, force: true });
  }
}
