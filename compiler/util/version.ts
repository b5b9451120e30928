// The version of this package. package.json has the only copy.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./root.js";

/** "MAJOR.MINOR.PATCH". */
export const version = (): string =>
  (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }).version;
