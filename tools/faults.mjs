// npm run faults: breaks training runs in the ways in which a cluster does, continues them, and compares their results,
// bit by bit, with those of an undisturbed run.
//
//   npm run faults -- --kills 200     how often runs are killed at random instants [20]
//                     --seed N        seed of those instants [1]
//                     --out DIR       the folder to work in, which is kept: absent, empty, or of an earlier call
//                                     [a temporary one]
//                     --json FILE     also writes the table as JSON
//                     --no-setup      builds nothing: everything needed has been built

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { marks, requireFile, requireFolder, writeOwn } from "../compiler/util/own.mjs";
import { allSteps, runSteps, SetupError } from "./setup/steps.mjs";

const usage = "Usage: npm run faults -- [--kills N] [--seed N] [--out DIR] [--json FILE]";

function options() {
  try {
    const { values } = parseArgs({
      options: {
        kills: { type: "string", default: "20" },
        seed: { type: "string", default: "1" },
        "no-setup": { type: "boolean", default: false },
        out: { type: "string" },
        json: { type: "string" },
      },
    });
    const kills = Number(values.kills);
    const seed = Number(values.seed);
    if (!Number.isInteger(kills) || kills < 0 || !Number.isInteger(seed)) throw new SetupError(usage);
    return { ...values, kills, seed };
  } catch (e) {
    throw e instanceof SetupError ? e : new SetupError(`${e.message}\n${usage}`);
  }
}

try {
  const o = options();
  const mark = marks.json("moproc-faults-1");
  if (o.json) requireFile(o.json, mark);
  if (o.out) requireFolder(o.out, "faults");
  if (!o["no-setup"]) runSteps(allSteps());
  const { campaign } = await import("./faults/campaign.mjs");
  const { show } = await import("./faults/table.mjs");
  const dir = (o.out && resolve(o.out)) ?? mkdtempSync(join(tmpdir(), "moproc-faults-"));
  const rows = await campaign(dir, o, (line) => process.stderr.write(`${line}\n`));
  process.stdout.write(show(rows));
  if (o.json) writeOwn(o.json, `${JSON.stringify({ format: "moproc-faults-1", rows }, undefined, 1)}\n`, mark);
  if (!o.out) rmSync(dir, { recursive: true, force: true });
  process.exitCode = rows.every((r) => r.differing_bits === 0 && r.unexpected.length === 0) ? 0 : 1;
} catch (e) {
  if (!(e instanceof SetupError)) throw e;
  process.stderr.write(`${e.message}\n`);
  process.exitCode = 2;
}
