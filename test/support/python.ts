// A Python with certain modules, if this machine has one: an independent reader of the files that we write. npm test
// installs the modules of test/requirements.txt into build/python if pip can.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root } from "../../compiler/util/root.js";

const candidates = process.env.MOPROC_PYTHON
  ? [process.env.MOPROC_PYTHON]
  : [join(root, "build", "python", "bin", "python"), "python3", "/usr/bin/python3"];

/**
 * MOPROC_PYTHON if it is set, otherwise the first of build/python, python3 and Debian's that can import all of the
 * modules; undefined if none can.
 */
export const pythonWith = (...modules: readonly string[]): string | undefined =>
  candidates.find((p) => spawnSync(p, ["-c", `import ${modules.join(", ")}`], { stdio: "ignore" }).status === 0);

/** Why a test that needs such a Python is skipped. */
export const noPythonWith = (...modules: readonly string[]): string =>
  `no Python here has ${modules.join(" and ")}: pip could not install test/requirements.txt ` +
  "(MOPROC_PYTHON names another Python)";
