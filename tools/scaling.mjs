// npm run scaling: shows how the speed of training grows with the number of ranks. It is measured on this machine's
// CPU, counted from plans, and simulated for GPUs (docs/scaling.md states the assumptions). Defaults are in brackets.
//
//   npm run scaling -- [measure] [cores] [wire] [simulate]   which parts run [all]
//                      --html FILE       also writes a page with plots
//                      --json FILE       also writes all numbers
//                      --no-setup        builds nothing: everything needed has been built
//   measure            --rounds N        undisturbed rounds of one rank, two ranks and two independent runs [7]
//                      --patience S      seconds that a round waits until other processes are idle [60]
//                      --steps N         steps per run [12]
//                      --measure-network NAME, --measure-size PIXELS, --measure-images N per rank [resnet18, 64, 32]
//                      --out DIR         a folder for the two artefacts, which is kept: absent, empty, or of an
//                                        earlier call [a temporary one]
//   cores              --cores LIST      numbers of cores [4,8,16,32,64,128]
//                      --bandwidth GB/S  of their memory: 300 for a socket with eight channels of DDR5 [300]
//                      --precision NAME  f32 or bf16 [f32]
//                      --batch IMAGES    [16]; network and size are those of wire
//                      --core-rounds N   profiles on one core and on two [3]
//   wire, simulate     --network NAME, --size PIXELS [resnet50, 224]
//                      --images LIST     images per rank [32,256]
//   wire               --ranks LIST      numbers of ranks [2,8,64]
//   simulate           --gpus LIST       numbers of GPUs [8,16,32,64,128,256,512,1024]
//                      --net GB/S        bus bandwidth between nodes: 370 for eight NICs of 400 Gb/s, 46 for one [370]

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { marks, requireFile, requireFolder, writeOwn } from "../compiler/util/own.mjs";
import { allSteps, runSteps, SetupError } from "./setup/steps.mjs";

const parts = ["measure", "cores", "wire", "simulate"];
const usage =
  `Usage: npm run scaling -- [${parts.join("] [")}] [--html FILE] [--json FILE]; the head of tools/scaling.mjs ` +
  "has all flags";
const text = (value) => ({ type: "string", ...(value === undefined ? {} : { default: value }) });
const flags = {
  html: text(),
  json: text(),
  out: text(),
  "no-setup": { type: "boolean", default: false },
  rounds: text("7"),
  steps: text("12"),
  patience: text("60"),
  "measure-network": text("resnet18"),
  "measure-size": text("64"),
  "measure-images": text("32"),
  cores: text("4,8,16,32,64,128"),
  bandwidth: text("300"),
  precision: text("f32"),
  batch: text("16"),
  "core-rounds": text("3"),
  network: text("resnet50"),
  size: text("224"),
  images: text("32,256"),
  ranks: text("2,8,64"),
  gpus: text("8,16,32,64,128,256,512,1024"),
  net: text("370"),
};

function options() {
  try {
    const { values, positionals } = parseArgs({ options: flags, allowPositionals: true });
    const unknown = positionals.find((p) => !parts.includes(p));
    if (unknown !== undefined) throw new Error(`${unknown}: the parts are ${parts.join(", ")}`);
    const list = (name, least) =>
      values[name].split(",").map((t) => {
        const n = Number(t);
        if (!Number.isInteger(n) || n < least)
          throw new Error(`--${name} ${t}: expected integers of at least ${least}`);
        return n;
      });
    const one = (name, least) => list(name, least)[0];
    return {
      ...values,
      parts: positionals.length > 0 ? positionals : parts,
      images: list("images", 1),
      ranks: list("ranks", 2),
      gpus: list("gpus", 2),
      net: one("net", 1),
      sizes: { network: values.network, imageSize: one("size", 16) },
      cpu: {
        ...{ network: values.network, imageSize: one("size", 16), batch: one("batch", 1), precision: values.precision },
        ...{ cores: list("cores", 1), bandwidth: one("bandwidth", 1), rounds: one("core-rounds", 1) },
      },
      measure: {
        network: values["measure-network"],
        imageSize: one("measure-size", 16),
        perRank: one("measure-images", 1),
        rounds: one("rounds", 1),
        steps: one("steps", 4),
        patience: one("patience", 0),
      },
    };
  } catch (e) {
    throw new SetupError(`${e.message}\n${usage}`);
  }
}

try {
  const o = options();
  const mark = marks.json("moproc-scaling-1");
  if (o.json) requireFile(o.json, mark);
  if (o.html) requireFile(o.html, marks.html);
  if (o.out) requireFolder(o.out, "scaling");
  if (!o["no-setup"]) runSteps(allSteps());
  const say = (line) => process.stderr.write(`${line}\n`);
  const { results } = await import("./scaling/results.mjs");
  const dir = o.out ?? mkdtempSync(join(tmpdir(), "moproc-scaling-"));
  const { data, text: tables, html } = await results(o, dir, say);
  process.stdout.write(tables);
  if (o.json) writeOwn(o.json, `${JSON.stringify({ format: "moproc-scaling-1", ...data }, undefined, 1)}\n`, mark);
  if (o.html) writeOwn(o.html, await html(), marks.html);
  if (!o.out) rmSync(dir, { recursive: true, force: true });
} catch (e) {
  if (!(e instanceof SetupError)) throw e;
  process.stderr.write(`${e.message}\n`);
  process.exitCode = 2;
}
