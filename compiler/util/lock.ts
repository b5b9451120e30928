// The types of compiler/util/lock.mjs, which is plain JavaScript because the set-up uses it before the build.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./root.js";

interface Locks {
  waitForLock(file: string, what: string, stale?: number): () => void;
}

/** Takes a lock, for which it waits; returns the function that releases it. */
export const { waitForLock } = (await import(pathToFileURL(join(root, "compiler", "util", "lock.mjs")).href)) as Locks;
