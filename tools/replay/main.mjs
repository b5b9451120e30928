#!/usr/bin/env node
// Compares training steps with those of another implementation: see the text of --help.

import { parseArgs } from "node:util";
import { SetupError } from "../../compiler/util/errors.mjs";
import { bisect } from "./bisect.mjs";
import { compareRuns } from "./compare.mjs";
import { describe, summarise } from "./describe.mjs";
import { makeReplay } from "./peer.mjs";
import { openRun } from "./run.mjs";
import { BadFile } from "./safetensors.mjs";

const help = `Usage: node tools/replay/main.mjs compare|bisect|make ...

node tools/replay/main.mjs compare A B [--variant V]... [--replay FILE] [--resume CKPT] [--json]
  A and the reference B are runs of the same replay file: traces (T.json), or folders with trace.json and,
  from --trace-state, step_NNNNNN.safetensors. Names the first step, phase and tensor that differ, and the
  first that differ by more than: losses 1e-5 relative, tensors of the state 1e-4 and gradients 1e-3 of their
  norms; of labels, the first that differs at a margin of 1e-5 or more.
  With --variant (runs of the reference with other threads, layout or precision) the states of the two
  may drift apart: the bound is 10 times the variants' spread, at least 1e-5.
  Gradients are computed from the momenta. That needs the states, --resume (the checkpoint that the runs began
  from) and, if the replay file replaces states, --replay.

node tools/replay/main.mjs bisect A B [--tolerance X] [--all] [--json]
  A and B are dumps of one step (--dump-step). Names the first value, in the order of A, that differs by more
  than 1e-4 of its norm (losses 1e-5, gradients 1e-3).

node tools/replay/main.mjs make --resume CKPT --steps warmup:4,proto:4,clean:4 --batch N --image-size S
    -o B.safetensors [--world W] [--images u8|f32] [--lr X] [--noise X] [--seed N] [--run DIR]
  Draws batches for the checkpoint's network and writes a replay file. With --run, the PyTorch peer runs it and
  writes DIR/trace.json and all states. That needs python3 with torch; MOPROC_PYTHON names another python.
  Only files of an earlier call are replaced.

The exit code is 0 if all differences are within tolerance, 1 if one is not, and 2 for bad input.
`;

const flags = {
  variant: { type: "string", multiple: true },
  replay: { type: "string" },
  resume: { type: "string" },
  json: { type: "boolean" },
  tolerance: { type: "string" },
  all: { type: "boolean" },
  help: { type: "boolean", short: "h" },
};

function main(argv) {
  const [verb, ...rest] = argv;
  if (verb === "make") return makeReplay(rest);
  const { values, positionals } = parseArgs({ args: rest, options: flags, allowPositionals: true });
  if (values.help || verb === undefined || verb === "--help" || verb === "-h") return void process.stdout.write(help);
  if (verb !== "compare" && verb !== "bisect") throw new BadFile(`unknown verb ${verb}; known: compare, bisect, make`);
  const [a, b, ...more] = positionals;
  if (b === undefined || more.length > 0) throw new BadFile(`${verb} needs two runs, A and B`);
  const report =
    verb === "bisect"
      ? bisect(a, b, values)
      : compareRuns(openRun(a), openRun(b), {
          variants: (values.variant ?? []).map(openRun),
          replay: values.replay,
          resume: values.resume,
        });
  delete report.all;
  const text = values.json
    ? JSON.stringify(report, (_, v) => (v === Number.POSITIVE_INFINITY ? "Infinity" : v), 1)
    : (verb === "bisect" ? describe : summarise)(a, b, report);
  process.stdout.write(`${text}\n`);
  process.exitCode = report.beyond ? 1 : 0;
}

try {
  main(process.argv.slice(2));
} catch (e) {
  if (!(e instanceof BadFile) && !(e instanceof SetupError) && !String(e.code).startsWith("ERR_PARSE_ARGS")) throw e;
  process.stderr.write(`replay: ${e.message}\n`);
  process.exitCode = 2;
}
