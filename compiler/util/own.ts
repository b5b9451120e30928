// The types of compiler/util/own.mjs, which decides what moproc may replace or remove at a path that a user names. That
// file is plain JavaScript, because the tools use it before the compiler is built.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./root.js";

/** Whether a file is one of moproc's, judged by its first and last bytes (as latin1). */
export type Mark = (head: string, tail: string) => boolean;

interface Own {
  readonly ONNX_DATA_END: string;
  readonly NPZ_END: string;
  readonly marks: {
    readonly onnx: Mark;
    readonly onnxData: Mark;
    readonly npz: Mark;
    readonly safetensors: Mark;
    readonly html: Mark;
    readonly checked: Mark;
    json(format: string): Mark;
  };
  /** Throws, with the remedy in the message, unless `path` is absent, an empty file, or a file with the mark. */
  requireFile(path: string, mark: Mark): void;
  /** Makes a folder and those above it. */
  makeFolder(path: string): void;
  /** A path in the same folder as `path` with a random suffix, for a temporary file. */
  temporary(path: string): string;
  /**
   * Throws, with the remedy in the message, unless `path` is absent, an empty folder, or a folder of this kind to which
   * nothing was added.
   */
  requireFolder(path: string, kind: string): void;
  /** Makes a temporary folder beside `path`, in which a folder of this kind is put together, and returns its path. */
  beginBeside(path: string, kind: string): string;
  /** Renames the finished temporary folder to `path`; it replaces an older folder of this kind there. */
  endBeside(partial: string, path: string, kind: string): void;
}

const own = (await import(pathToFileURL(join(root, "compiler", "util", "own.mjs")).href)) as Own;
export const { ONNX_DATA_END, NPZ_END, marks, requireFile, temporary, requireFolder, makeFolder } = own;
export const { beginBeside, endBeside } = own;
