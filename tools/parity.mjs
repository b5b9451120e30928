// npm run parity: compares the compiled step with the PyTorch peer on small networks, in all phases: each step from an
// equal state, several steps in a row, and with checkpoints that each side reads from the other. It prints one table
// and fails if a number exceeds its bound. Arguments choose networks by part of their name. MOPROC_KEEP=1 keeps
// build/parity.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { checks } from "./parity/checks.mjs";
import { Sides } from "./parity/sides.mjs";
import { line } from "./replay/describe.mjs";
import { exponent } from "./replay/numbers.mjs";
import { findTorch } from "./replay/peer.mjs";
import { allSteps, root, runSteps } from "./setup/steps.mjs";

const out = join(root, "build", "parity");
const configs = [
  { name: "resnet18, 1 group", arch: "resnet18", width: 0.25, groups: 1, batch: 8, size: 64 },
  {
    name: "resnet18, 2 groups",
    arch: "resnet18",
    width: 0.25,
    groups: 2,
    batch: 8,
    size: 64,
    crossing: true,
  },
  { name: "resnet18, 4 groups", arch: "resnet18", width: 0.25, groups: 4, batch: 32, size: 64 },
  { name: "resnet50, 1 group", arch: "resnet50", width: 0.125, groups: 1, batch: 8, size: 64, damp: 0.5 },
  {
    name: "resnet50, 2 groups, f32 images",
    arch: "resnet50",
    width: 0.125,
    groups: 2,
    batch: 16,
    size: 64,
    damp: 0.5,
    images: "f32",
  },
];

/** A cell of the table. A star says that the reference's variants differ so much that the bound says nothing. */
const cell = (q) => (q ? `${exponent(q.error)} / ${exponent(q.allowed)}${q.allowed >= 1 ? " *" : ""}` : "-").padEnd(19);
const row = (config, what, phase, cells, labels) =>
  `${config.padEnd(31)} ${what.padEnd(19)} ${phase.padEnd(7)} ${cells.join(" ")} ${labels}`;

function print(config, what, report) {
  for (const [phase, worst] of Object.entries(report.phases)) {
    const bad = Object.values(worst).some((q) => !(q.share <= 1));
    const labels = worst.label ? "UNEQUAL" : "equal";
    console.log(
      row(
        config,
        what,
        phase,
        [worst.loss, worst.state, worst.gradient].map(cell),
        `${labels}${bad ? "  BEYOND" : ""}`,
      ),
    );
  }
  for (const n of report.notes) console.log(`    ${n}`);
  if (report.beyond) console.log(`    ${line(report.beyond)}`);
}

/** Prints all rows. Returns the number of comparisons that exceed their bounds. */
function compareAll(torch, chosen) {
  console.log(`parity with PyTorch ${torch.version}: worst error / allowed; gradients from the momenta`);
  console.log("* the reference's own variants differ so much that this bound says nothing\n");
  console.log(
    row(
      "network",
      "how",
      "phase",
      ["loss", "state", "gradient"].map((h) => h.padEnd(19)),
      "labels",
    ),
  );
  let beyond = 0;
  for (const c of chosen) {
    const dir = join(out, c.name.replaceAll(/[^a-z0-9]+/g, "_"));
    for (const [what, report] of checks(new Sides(c, dir, torch))) {
      print(c.name, what, report);
      if (report.beyond) beyond++;
    }
    if (!process.env.MOPROC_KEEP) rmSync(dir, { recursive: true, force: true });
  }
  return beyond;
}

const torch = findTorch();
const only = process.argv.slice(2);
const chosen = configs.filter((c) => only.length === 0 || only.some((o) => c.name.includes(o)));
if (chosen.length === 0) {
  console.error(
    `parity: no network has a name with ${only.join(", ")}; there are ${configs.map((c) => c.name).join("; ")}`,
  );
  process.exitCode = 2;
} else if (!torch) {
  console.log("skipped: parity with PyTorch: python3 has no torch and numpy here (MOPROC_PYTHON names another python)");
} else {
  runSteps(allSteps());
  const beyond = compareAll(torch, chosen);
  console.log(beyond === 0 ? "\nall within tolerance" : `\n${beyond} comparisons are beyond tolerance`);
  process.exitCode = beyond === 0 ? 0 : 1;
}
