// What may be replaced or removed at a path that a user names: compiler/util/own.mjs, with types. It is plain
// JavaScript because the tools use it before the compiler is built.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./root.js";

/** Whether the first and last bytes of a file, as latin1, are those of a file that moproc wrote. */
export type Mark = (head: string, tail: string) => boolean;

interface Own {
  readonly ONNX_DATA_END: string;
  readonly marks: {
    readonly onnx: Mark;
    readonly onnxData: Mark;
    readonly safetensors: Mark;
    readonly html: Mark;
    readonly checked: Mark;
    json(format: string): Mark;
  };
  /** Throws, with the remedy, unless `path` is absent, an empty file, or a file with the mark. */
  requireFile(path: string, mark: Mark): void;
  /** A name beside `path` that nobody has. */
  temporary(path: string): string;
  /**
   * Throws, with the remedy, unless `path` is absent, an empty folder, or one of this kind to which nothing was added.
   */
  requireFolder(path: string, kind: string): void;
  /** Makes a folder beside `path` in which one of this kind is made. */
  beginBeside(path: string, kind: string): string;
  /** Gives it the name `path`, in the place of an older one. */
  endBeside(partial: string, path: string, kind: string): void;
}

const own = (await import(pathToFileURL(join(root, "compiler", "util", "own.mjs")).href)) as Own;
export const { ONNX_DATA_END, marks, requireFile, temporary, requireFolder, beginBeside, endBeside } = own;
