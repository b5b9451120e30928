// The settings with which TypeScript checks a user's file: those of the user's tsconfig.json, changed to what a bundler
// does with modules, or strict ones of our own. They are in a temporary folder, so paths that depend on the place of
// the settings are made absolute.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, parse, resolve } from "node:path";
import { root } from "../../compiler/util/root.js";
import { type Command, runToEnd } from "../../compiler/util/run.js";

/** TypeScript's command line. */
export interface TypeScript {
  readonly command: Command;
  readonly version: readonly [major: number, minor: number];
}

/** The tsconfig.json of a folder or the nearest one above it, up to that of the package or the repository. */
export function configOf(dir: string): string | undefined {
  const file = join(dir, "tsconfig.json");
  if (existsSync(file)) return file;
  const last = dirname(dir) === dir || ["package.json", ".git"].some((f) => existsSync(join(dir, f)));
  return last ? undefined : configOf(dirname(dir));
}

/** What this module reads of the output of `tsc --showConfig`. */
interface Shown {
  readonly base: string;
  readonly compilerOptions?: {
    readonly typeRoots?: readonly string[];
    readonly types?: readonly string[];
    readonly target?: string;
  };
  readonly files?: readonly string[];
}

/**
 * The user's settings, with those that they extend; paths in them are relative to `base`. Nothing if they are faulty,
 * which the check itself will report. `dir` is a temporary folder.
 */
async function settingsOf({ command }: TypeScript, config: string, file: string, dir: string): Promise<Shown> {
  // Older versions reject settings of which `include` matches no file. They show them if another file is to be checked.
  const other = join(dir, "tsconfig.json");
  writeFileSync(other, JSON.stringify({ extends: config, files: [file], include: [] }));
  for (const shown of [config, other]) {
    const { out } = await runToEnd(command, ["--showConfig", "-p", shown]);
    try {
      return { ...(JSON.parse(out) as Shown), base: dirname(shown) };
    } catch {} // an error instead of settings, or a list of files that is too long to be kept
  }
  return { base: dir };
}

/** Options about emitted files. With them TypeScript would write files, or check what only matters for these. */
const emitting = {
  composite: null,
  declaration: null,
  declarationDir: null,
  declarationMap: null,
  emitDeclarationOnly: null,
  incremental: null,
  mapRoot: null,
  outFile: null,
  tsBuildInfoFile: null,
};

/**
 * Writes tsconfig.json into the temporary folder `dir`: the settings for the check of `file`, an absolute path, which
 * extend `config`. Resolves to those names in the user's `types` that are not installed.
 */
export async function writeSettings(
  dir: string,
  file: string,
  config: string | undefined,
  typescript: TypeScript,
): Promise<string[]> {
  const shown: Shown = config ? await settingsOf(typescript, config, file, dir) : { base: dirname(file) };
  const { base, compilerOptions: options = {}, files = [] } = shown;
  const packages = [...new Set([...upFrom(dirname(file)), ...upFrom(root)])]
    .map((d) => join(d, "node_modules"))
    .filter((d) => existsSync(d));
  const declared = packages.map((d) => join(d, "@types")).filter((d) => existsSync(d));
  const typeRoots = options.typeRoots?.map((d) => resolve(base, d)) ?? declared;
  const find = (name: string): string | undefined =>
    (name.startsWith(".") ? [dirname(config ?? file)] : [...typeRoots, ...declared, ...packages])
      .map((d) => join(d, name))
      .find((p) => existsSync(p) || existsSync(`${p}.d.ts`));
  // Without `types`, TypeScript 5 reads all that are installed, and newer versions none; but the file runs in Node.
  const all = options.types?.includes("*") || (config && !options.types && typescript.version[0] < 6);
  const types = options.types ?? ["node"];
  const own = { strict: true, target: "esnext", lib: ["es2023"] };
  const theirs = {
    ...emitting,
    noUnusedLocals: false, // these are remarks on style, and refuse no graph
    noUnusedParameters: false,
    ...("isolatedDeclarations" in options && { isolatedDeclarations: null }), // unknown before version 5.5
    target: options.target ?? "esnext",
  };
  const settings = {
    ...(config && { extends: config }),
    compilerOptions: {
      ...(config ? theirs : own),
      ...(!all && { types: types.map(find).filter((t) => t !== undefined) }),
      typeRoots: [...typeRoots, ownTypes(dir)],
      module: "preserve",
      moduleResolution: "bundler",
      allowImportingTsExtensions: true,
      noEmit: true,
      rootDir: parse(file).root,
      skipLibCheck: true,
    },
    files: [file, ...files.filter((f) => /\.d\.[cm]?ts$/.test(f)).map((f) => resolve(base, f))],
    include: [],
  };
  writeFileSync(join(dir, "tsconfig.json"), JSON.stringify(settings));
  return all || !options.types ? [] : types.filter((t) => find(t) === undefined);
}

const upFrom = (dir: string): string[] => (dirname(dir) === dir ? [dir] : [dir, ...upFrom(dirname(dir))]);

/**
 * Makes a folder in `dir` with this compiler's types. As one of `typeRoots` it serves imports that TypeScript finds
 * nowhere else. Unlike `paths`, this leaves the user's own `paths` as they are.
 */
function ownTypes(dir: string): string {
  const { name, exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly name: string;
    readonly exports: Readonly<Record<string, { readonly types: string }>>;
  };
  for (const [entry, { types }] of Object.entries(exports)) {
    const folder = join(dir, "types", name, entry);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", types: join(root, types) }));
  }
  return join(dir, "types");
}
