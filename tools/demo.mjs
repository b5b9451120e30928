// npm run demo: trains a small network with plain cross-entropy and with MoPro on images of which many have a wrong
// label, and prints a table at the end. Of an earlier run it uses only the compiled network, if that is current.

import { availableParallelism } from "node:os";
import { join, relative } from "node:path";
import { beginFolder, endFolder, removeFolder, writeOwn } from "../compiler/util/own.mjs";
import { readFolder } from "./demo/folder.mjs";
import { checkPlaces, FORMAT, help, jsonMark, KIND, lockOut, parseOptions, parts } from "./demo/options.mjs";
import { methods, network, sample, training } from "./demo/settings.mjs";
import { showTable, summarize, toJson } from "./demo/table.mjs";
import { run, train } from "./demo/training.mjs";
import { allSteps, root, runSteps, SetupError } from "./setup/steps.mjs";

const cli = join(root, "build", "js", "tools", "cli", "main.js");
const flags = (values) => Object.entries(values).flatMap(([name, value]) => [`--${name}`, `${value}`]);
const shown = (path) => (relative(root, path).startsWith("..") ? path : relative(root, path));

async function timed(seconds, part, work) {
  const start = performance.now();
  const result = await work();
  seconds[part] = (performance.now() - start) / 1000;
  return result;
}

/** The path of a folder in --out. Removes the one that an earlier demo has left. */
function fresh(out, part) {
  const dir = join(out, part);
  removeFolder(dir, KIND);
  return dir;
}

async function sampleData({ out, seed, images = sample.images }) {
  const dir = fresh(out, parts.data);
  const args = ["--out", dir, ...flags({ ...sample, images }), "--seed", `${seed}`];
  await run("sample images", process.execPath, [cli, "data", "sample", ...args]);
  endFolder(dir, KIND);
  return dir;
}

async function compile({ out }, classes) {
  const dir = join(out, parts.model); // the compiler replaces it unless it is current
  const args = [...flags(network), "--num-class", `${classes}`, "-o", dir];
  await run("compiler", process.execPath, [cli, "compile", ...args]);
  return dir;
}

async function trainMethod({ out, seed, epochs }, method, data, model) {
  const dir = fresh(out, parts[method.key]);
  beginFolder(dir, KIND);
  const truth = data.truth === undefined ? [] : ["--truth", data.truth];
  const args = ["--data", data.folder, ...truth, "--seed", `${seed}`, ...training(epochs), ...method.flags(epochs)];
  return train({ file: join(model, "train"), args, dir, name: method.name, epochs }).finally(() =>
    endFolder(dir, KIND),
  );
}

async function demo(options) {
  const batch = network["batch-size"];
  if (options.data !== undefined) readFolder(options.data, batch); // bad input fails before the long set-up
  beginFolder(options.out, KIND);
  lockOut(options.out);
  const seconds = {};
  const begun = performance.now();
  if (options.setup) runSteps(allSteps());
  seconds.setup = (performance.now() - begun) / 1000;

  const start = performance.now();
  const folder = options.data ?? (await timed(seconds, "data", () => sampleData(options)));
  const data = readFolder(folder, batch);
  console.log(`data: ${data.images} training images, ${data.classes} classes; ${data.val} validation images`);
  const noise =
    `${100 * sample.ood} % show none of the classes, ` + `${100 * sample.noise} % of the rest have a wrong label`;
  if (options.data === undefined) console.log(`      ${noise}; all validation images have the right label`);

  const model = await timed(seconds, "compile", () => compile(options, data.classes));
  const what = `${network.network} of width ${network.width} at ${network["image-size"]} pixels`;
  console.log(`network: ${what}, compiled in ${seconds.compile.toFixed(1)} s`);
  console.log(`training: ${options.epochs} epochs per method on ${availableParallelism()} cores`);
  const runs = {};
  for (const method of methods) runs[method.key] = await trainMethod(options, method, data, model);
  seconds.total = (performance.now() - start) / 1000;

  const summary = summarize(runs, seconds);
  console.log(`\n${showTable(summary)}\n\nmodels: ${methods.map((m) => shown(runs[m.key].model)).join(", ")}`);
  return toJson(summary, { seed: options.seed, epochs: options.epochs, classes: data.classes, images: data.images });
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(help);
  else {
    checkPlaces(options);
    const result = await demo(options);
    if (options.json !== undefined)
      writeOwn(options.json, `${JSON.stringify({ format: FORMAT, ...result }, null, 2)}\n`, jsonMark);
  }
} catch (e) {
  console.error(`demo: ${e.message}`);
  const interrupted = e.signal === "SIGINT" || e.signal === "SIGTERM";
  process.exitCode = e instanceof SetupError ? 2 : interrupted ? 130 : 1;
}
