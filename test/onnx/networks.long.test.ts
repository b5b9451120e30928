// All networks of the ONNX project beside ONNX Runtime.

import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { compileAll, loaded, pair } from "../../tools/bench/both.js";
import { namedModels, onImages } from "../../tools/bench/subjects.js";

const folder = join(root, "build", "test", "onnx-networks-long");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
execFileSync("tar", ["-xzf", join(root, "test", "fixtures", "onnx-networks", "networks.tar.gz"), "-C", folder]);

for (const { name, model } of namedModels(folder))
  test(`${name} is ONNX Runtime's`, async (t) => {
    t.timeout(600_000);
    const s = onImages(name, model, 1);
    const { dir, programs } = await compileAll([s]);
    const p = await pair(s, programs[0] as (typeof programs)[number], loaded(dir, 2), 2);
    t.true(p.difference < 1e-5, String(p.difference));
    await p.close();
  });
