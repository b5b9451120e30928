// Each convolution of ResNet-50 at 224 pixels on one core, in three directions and both types: as a share of what the
// core computes at most, beside oneDNN's kernels, which PyTorch calls.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root } from "../../compiler/util/root.js";
import { cpuArch } from "../cli/cpu.js";
import type { Entry } from "./compare.js";

const IMAGES = 8; // per convolution, as conv_bench has
const types = ["f32", "bf16"] as const;
const directions = ["fprop", "dgrad", "wgrad"] as const;

/** One measurement of conv_bench. */
export interface Measured {
  readonly name: string;
  readonly type: string;
  readonly direction: string;
  readonly gflops: number;
  readonly peak: number; // GFLOP/s of the core
}

/** The lines of conv_bench without prologues and epilogues. */
export function parseBench(text: string, type: string): Measured[] {
  const line = /^(.*?\S)\s+(fprop|dgrad|wgrad) +[\d.]+ ms +([\d.]+) GFLOP\/s per core, +\d+% of (\d+)$/;
  return text.split("\n").flatMap((l) => {
    const [, name = "", direction = "", gflops, peak] = line.exec(l) ?? [];
    return gflops === undefined
      ? []
      : [{ name: name.replace(/, (bf16|amx)$/, ""), type, direction, gflops: Number(gflops), peak: Number(peak) }];
  });
}

function output(command: string, args: readonly string[]): string {
  const r = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  if (r.status !== 0) throw new Error(`${command}: ${r.error?.message ?? r.stderr.trim().split("\n").at(-1)}`);
  return r.stdout;
}

const key = (m: Pick<Measured, "name" | "type" | "direction">): string => `${m.name} ${m.direction} ${m.type}`;

/** The entries, and a table of shares: ours and, in brackets, oneDNN's, if there is a `python` that has PyTorch. */
export function convolutions(bench: string, python: string | undefined) {
  const kind = { f32: "f32", bf16: cpuArch("native", "bf16").endsWith("+amx") ? "amx" : "bf16" };
  const ours = types.flatMap((type) => parseBench(output(bench, ["1", kind[type]]), type));
  const script = join(root, "tools", "bench", "torch_convolutions.py");
  const theirs = python === undefined ? [] : (JSON.parse(output(python, [script, `${IMAGES}`])) as Measured[]);
  const peers = new Map(theirs.map((m) => [key(m), m.gflops]));
  const entries = ours.map(
    (m): Entry => ({
      ...{ name: `${m.name}, ${m.direction}, ${m.type}`, ours: m.gflops, peer: peers.get(key(m)) ?? m.peak },
      ...{ peer_name: peers.has(key(m)) ? "oneDNN" : "the core's peak", goal: null, unit: "GFLOP/s", spread: null },
      ratio: m.gflops / (peers.get(key(m)) ?? m.peak),
    }),
  );
  return { entries, table: sharesTable(ours, peers) };
}

const percent = (x: number): string => `${Math.round(100 * x)} %`;

export function sharesTable(ours: readonly Measured[], peers: ReadonlyMap<string, number>): string[] {
  const columns = types.flatMap((type) => directions.map((direction) => ({ type, direction })));
  const names = [...new Set(ours.map((m) => m.name))];
  const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const cell = (name: string, c: (typeof columns)[number]): string => {
    const m = ours.find((o) => key(o) === key({ name, ...c }));
    const peer = peers.get(key({ name, ...c }));
    return m ? percent(m.gflops / m.peak) + (peer === undefined ? "" : ` (${percent(peer / m.peak)})`) : "";
  };
  return [
    row(["convolution", ...columns.map((c) => `${c.direction}, ${c.type}`)]),
    `| --- |${columns.map(() => " --: |").join("")}`,
    ...names.map((name) => row([name, ...columns.map((c) => cell(name, c))])),
  ];
}
