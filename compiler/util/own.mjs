// At a path that a user names, moproc may replace or remove only empty files and folders, and those with its own mark.
// It refuses everything else, with the remedy, and leaves it as it is. This is plain JavaScript, because the tools need
// it before the build; the compiler uses it through compiler/util/own.ts. runtime/formats/own_file.h has the same rule
// for C++.
//
// A folder is marked by a file FOLDER/.moproc that names its kind and lists the files that moproc made in it. A file is
// marked by its contents: see `marks`.

import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir, hostname } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { SetupError } from "./errors.mjs";

export const MARK = ".moproc";
const FORMAT = "moproc-folder-1";
const HEAD = 65536; // bytes at the beginning of a file that are searched for a mark, besides TAIL bytes at its end
const TAIL = 1024;

/**
 * Makes a folder and those above it. (mkdirSync with `recursive` never returns below /proc.) Throws if something else
 * is there.
 */
export function makeFolder(path) {
  if (existsSync(path)) {
    if (statSync(path).isDirectory()) return;
    throw new SetupError(`${path}: is not a folder`);
  }
  if (dirname(path) !== path) makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (e) {
    if (e.code !== "EEXIST") throw e; // another process was faster
  }
}

const refuse = (path, why) => {
  throw new SetupError(`${path}: ${why}; choose another path, or remove it yourself`);
};
/** What is at `path`; undefined if there is nothing, also if `path` leads through a file. */
function lstat(path) {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (e) {
    if (e.code === "ENOTDIR") return undefined;
    throw e;
  }
}

/** How each kind of file is recognised: (first bytes, last bytes, both as latin1) -> whether moproc wrote it. */
export const marks = {
  onnx: (head) => head[0] === "\b" && head.slice(2, 10) === "\x12\x06moproc", // ir_version, then producer_name
  npz: (head, tail) => head.startsWith("PK") && tail.endsWith(NPZ_END),
  onnxData: (_, tail) => tail.endsWith(ONNX_DATA_END),
  safetensors: (head) => /^.{8}\{"__metadata__": ?\{[^}]*"format": ?"moproc-/s.test(head),
  html: (head) => head.includes('<meta name="generator" content="moproc">'),
  /** JSON whose first member is "format". */
  json: (format) => (head) => new RegExp(`^\\{\\s*"format": ?"${format}"`).test(head),
  /** For a file whose contents the caller has checked. */
  checked: () => true,
};

/** The comment of an .npz file, which is at its end. */
export const NPZ_END = "moproc-npz-1";

/** The last bytes of a file of external tensors. No tensor refers to them. */
export const ONNX_DATA_END = "moproc-onnx-data-1";

/** Whether the regular file `path` carries the mark. */
export function isOwnFile(path, mark) {
  const fd = openSync(path, "r");
  try {
    const { size } = statSync(path);
    const part = (at, length) => {
      const bytes = Buffer.alloc(Math.max(0, length));
      return bytes.toString("latin1", 0, readSync(fd, bytes, 0, bytes.length, at));
    };
    return mark(part(0, Math.min(size, HEAD)), part(Math.max(0, size - TAIL), Math.min(size, TAIL)));
  } finally {
    closeSync(fd);
  }
}

/** Throws SetupError unless `path` is free for a file: absent, an empty file, or a file with the mark. */
export function requireFile(path, mark) {
  const there = lstat(path);
  if (there === undefined) return;
  if (there.isDirectory())
    throw new SetupError(`${path}: is a folder, and moproc needs a file there; choose another path`);
  if (there.isSymbolicLink()) refuse(path, "is a symbolic link, which is not replaced");
  if (!there.isFile()) refuse(path, "is not a regular file, and moproc replaces only those");
  if (there.size > 0 && !isOwnFile(path, mark)) refuse(path, "exists, and moproc did not write it");
}

/** An unused name in the folder of `path`. */
export const temporary = (path) => `${path}.${randomBytes(8).toString("hex")}.tmp`;

/**
 * Writes `text` to a file beside `path`, and renames it to `path`. Throws SetupError if `path` is not free
 * (requireFile), and the error of a write that fails. After an error, an older file is unchanged.
 */
export function writeOwn(path, text, mark) {
  requireFile(path, mark);
  const partial = temporary(path);
  try {
    writeFileSync(partial, text, { flag: "wx" });
    requireFile(path, mark);
    renameSync(partial, path);
  } catch (e) {
    rmSync(partial, { force: true });
    throw e;
  }
}

/**
 * The mark of a folder, or undefined. `files` is undefined while the folder is being made; then all files in it are
 * moproc's.
 */
export function readMark(dir) {
  const file = join(dir, MARK);
  if (!lstat(file)?.isFile()) return undefined;
  try {
    const mark = JSON.parse(readFileSync(file, "utf8"));
    return mark?.format === FORMAT && typeof mark.kind === "string" ? mark : undefined;
  } catch {
    return undefined;
  }
}

const writeMark = (dir, mark) =>
  writeFileSync(join(dir, MARK), `${JSON.stringify({ format: FORMAT, ...mark }, undefined, 1)}\n`);

/** Names of all files and links below `dir`, relative to it, without the mark's. */
function filesIn(dir) {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((e) => !e.isDirectory())
    .map((e) => join(e.parentPath, e.name).slice(dir.length + 1))
    .filter((f) => f !== MARK)
    .sort();
}

/** Makes `dir` if it is missing, and marks it as an unfinished folder of this kind, in which all files are moproc's. */
export function beginFolder(dir, kind) {
  makeFolder(dir);
  writeMark(dir, { kind, process: process.pid, host: hostname() });
}

/** Marks `dir` as finished: the files in it are moproc's, and files that are added later are not. */
export const endFolder = (dir, kind) => writeMark(dir, { kind, files: filesIn(resolve(dir)) });

const holds = (folder, path) => path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);

/**
 * Throws SetupError unless `path` is free for a folder: absent, an empty one, or one of this kind without added files.
 */
export function requireFolder(path, kind) {
  const at = resolve(path);
  const there = lstat(at);
  if (there === undefined) return requireParent(path, at);
  if (there.isSymbolicLink()) refuse(path, "is a symbolic link, which is not replaced");
  if (!there.isDirectory()) refuse(path, "is a file, and moproc needs a folder there");
  const real = realpathSync(at);
  for (const [place, what] of [
    [process.cwd(), "the current folder"],
    [homedir(), "the home folder"],
  ])
    if (holds(real, place))
      throw new SetupError(`${path}: is or contains ${what}, which is not replaced; choose another path`);
  if (readdirSync(at).length === 0) return;
  const mark = readMark(at);
  if (mark === undefined) refuse(path, "is a folder with files, and moproc did not make it");
  if (mark.kind !== kind) refuse(path, `is a folder that moproc made for something else (${mark.kind}, not ${kind})`);
  if (mark.files === undefined) return;
  const known = new Set(mark.files);
  const added = filesIn(at).find((f) => !known.has(f));
  if (added !== undefined) refuse(path, `holds ${added}, which moproc did not put there`);
}

/** Throws SetupError unless the nearest existing path above `at` is a folder. */
function requireParent(path, at) {
  let above = dirname(at);
  while (lstat(above) === undefined) above = dirname(above);
  if (!statSync(above, { throwIfNoEntry: false })?.isDirectory())
    throw new SetupError(`${path}: ${above} is not a folder; choose another path`);
}

/** Removes the folder. Throws SetupError, and removes nothing, unless it is free according to requireFolder(). */
export function removeFolder(path, kind) {
  requireFolder(path, kind);
  const at = resolve(path);
  if (lstat(at) === undefined) return;
  const mark = readMark(at);
  if (mark !== undefined && mark.files === undefined) return rmSync(at, { recursive: true });
  const known = new Set(mark?.files);
  const listed = filesIn(at).filter((name) => known.has(name)); // a name that is only in the list might lead elsewhere
  for (const f of listed) unlinkSync(join(at, f));
  rmSync(join(at, MARK), { force: true });
  removeEmpty(at);
}

/** Removes folders that contain only folders. Fails if a file was added meanwhile, instead of removing it. */
function removeEmpty(dir) {
  for (const e of readdirSync(dir, { withFileTypes: true })) if (e.isDirectory()) removeEmpty(join(dir, e.name));
  rmdirSync(dir);
}

const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (e) {
    return e.code === "EPERM";
  }
};

/**
 * Makes a marked folder beside `path`, in which a folder of this kind is made. Removes those of killed processes.
 */
export function beginBeside(path, kind) {
  const at = resolve(path);
  makeFolder(dirname(at));
  const prefix = `${basename(at)}.partial-`;
  for (const name of readdirSync(dirname(at)).filter((f) => f.startsWith(prefix))) {
    const dir = join(dirname(at), name);
    const mark = lstat(dir)?.isDirectory() ? readMark(dir) : undefined;
    const over = mark?.kind === kind && mark.files === undefined && mark.host === hostname() && !alive(mark.process);
    if (over) rmSync(dir, { recursive: true, force: true });
  }
  const dir = mkdtempSync(`${at}.partial-`);
  beginFolder(dir, kind);
  return dir;
}

/** Renames the folder of beginBeside() to its final name. It replaces an older one of its kind. */
export function endBeside(partial, path, kind) {
  removeFolder(path, kind);
  endFolder(partial, kind);
  renameSync(partial, resolve(path));
}
