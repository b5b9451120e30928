// The two sides of a comparison on one network: compiled artefacts and the PyTorch peer. Each run starts from a
// checkpoint and a replay file, and writes to its own folder.

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runPeer } from "../replay/peer.mjs";
import { openRun } from "../replay/run.mjs";
import { readSafetensors, writeSafetensors } from "../replay/safetensors.mjs";
import { quiet, root } from "../setup/steps.mjs";

// These are not the defaults, so that a wrong value shows.
const hyper = ["--moco_m", "0.99", "--proto_m", "0.9", "--pseudo_th", "0.5"];

const cli = join(root, "build", "js", "tools", "cli", "main.js");
const flags = (values) => Object.entries(values).flatMap(([name, value]) => [`--${name}`, `${value}`]);

/** Makes all files and runs of one configuration in `dir`, which is emptied first. */
export class Sides {
  constructor(config, dir, torch) {
    this.config = config;
    this.dir = dir;
    this.torch = torch;
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
    this.compile("bytes");
    if (config.images === "f32") this.compile("floats", "--image-input", "f32");
    const start = ["--synthetic", ...flags({ steps: 2, lr: 0.01, "exp-dir": dir })];
    quiet(join(dir, "bytes", "train"), [...start, ...hyper]);
    this.start = join(dir, "checkpoint_0000_000002.safetensors");
  }

  compile(to, ...more) {
    const { arch, width, batch, groups, size } = this.config;
    const network = flags({
      network: arch,
      width,
      "batch-size": batch,
      "bn-groups": groups,
      "image-size": size,
    });
    const heads = flags({ "num-class": 5, "low-dim": 16, moco_queue: 40, out: join(this.dir, to) });
    quiet(process.execPath, [cli, "compile", ...network, ...heads, ...more]);
  }

  /** Makes a replay file with new batches and returns its path; `more` are flags of the peer's `make`. */
  batches(name, steps, ...more) {
    const { batch, groups, size, images = "u8" } = this.config;
    const out = join(this.dir, `${name}.safetensors`);
    const sizes = flags({ batch, world: groups, "image-size": size, images });
    runPeer(this.torch, ["make", ...flags({ resume: this.start, steps, out }), ...sizes, ...more]);
    return out;
  }

  folder(name, resume, replay) {
    const to = join(this.dir, name);
    mkdirSync(to, { recursive: true });
    return {
      to,
      flags: ["--resume", resume, "--replay", replay, "--trace", join(to, "trace.json"), "--trace-state", to],
    };
  }

  /** Runs the compiled step; `artefact` is a name given to compile(). */
  ours(name, resume, replay, { artefact = this.config.images === "f32" ? "floats" : "bytes", more = [] } = {}) {
    const { to, flags } = this.folder(name, resume, replay);
    quiet(join(this.dir, artefact, "train"), [...flags, ...hyper, "--quiet", ...more]);
    return openRun(to);
  }

  /** Runs the peer. */
  theirs(name, resume, replay, ...more) {
    const { to, flags } = this.folder(name, resume, replay);
    runPeer(this.torch, ["run", ...flags, ...more]);
    return openRun(to);
  }
}

/** Writes the steps [begin, end) of a replay file to the file `path`, and returns it. */
export function cut(replay, begin, end, path) {
  const { tensors, metadata } = readSafetensors(replay);
  const own = [...tensors].flatMap(([name, t]) => {
    const [, i, rest] = /^step(\d+)(.*)$/.exec(name);
    return i >= begin && i < end ? [[`step${i - begin}${rest}`, t]] : [];
  });
  writeSafetensors(path, new Map(own), {
    steps: JSON.stringify(JSON.parse(metadata.steps).slice(begin, end)),
  });
  return path;
}
