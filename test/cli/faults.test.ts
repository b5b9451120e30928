// npm run faults, with few kills, so that the test is short.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("faults");
test.after.always(() => shell.remove());

interface Row {
  readonly fault: string;
  readonly times: number;
  readonly runs: number;
  readonly resumes: number;
  readonly differing_bits: number;
  readonly unexpected: readonly string[];
}

test("10 kills and every other fault leave no trace in the result", (t) => {
  const r = spawnSync(
    process.execPath,
    [
      join(root, "tools", "faults.mjs"),
      "--kills",
      "10",
      "--no-setup",
      "--out",
      shell.at("work"),
      "--json",
      shell.at("rows.json"),
    ],
    { encoding: "utf8" },
  );
  t.is(r.status, 0, r.stdout + r.stderr);
  const rows = (JSON.parse(readFileSync(shell.at("rows.json"), "utf8")) as { readonly rows: readonly Row[] }).rows;
  t.is(rows.length, 10);
  for (const row of rows) {
    t.deepEqual(row.unexpected, [], row.fault);
    t.is(row.differing_bits, 0, row.fault);
    t.true(row.times > 0 && row.runs > 0, row.fault);
  }
  t.is(
    rows.slice(0, 2).reduce((n, row) => n + row.times, 0),
    10,
  );
  t.regex(r.stdout, /SIGKILL at a random instant +5 /);
});
