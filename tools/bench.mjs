// npm run bench: measures this compiler beside ONNX Runtime and PyTorch on this machine's CPU, in turns, and writes a
// page and a list of results to build/bench. Defaults are in brackets.
//
//   npm run bench -- [PART...]        training: steps beside PyTorch, which is installed if pip can (MOPROC_PYTHON
//                    names another Python); memory: the most that a step
//                    needs, with --memory low, too; loader: images beside Pillow; growth: step times over
//                    batch and image size; compiling: to the first step, and by depth; convolutions: those of
//                    ResNet-50 one by one, beside oneDNN; networks and operators: inference beside ONNX Runtime;
//                    int8: exported models beside f32 [all parts]
//                    --quick          2 seconds for a comparison [6], 0.3 for an operator [1]; no torch.compile
//                    --threads N      CPU threads of both [all cores]
//                    --publish        writes docs/benchmarks/cpu.md and cpu.json instead, from all parts; on a CPU
//                                     with AMX, cpu-amx.md and cpu-amx.json
//                    --no-setup       builds nothing: everything needed has been built

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { untilQuiet, watch } from "./scaling/quiet.mjs";
import { pythonModules } from "./setup/background.mjs";
import { allSteps, quiet, root, runSteps, typescript } from "./setup/steps.mjs";

const parts = ["training", "memory", "loader", "growth", "compiling", "convolutions", "networks", "operators", "int8"];
const PATIENCE = 60; // seconds to wait until other processes are idle

function options() {
  try {
    const { values, positionals } = parseArgs({
      options: {
        quick: { type: "boolean", default: false },
        threads: { type: "string", default: `${availableParallelism()}` },
        publish: { type: "boolean", default: false },
        "no-setup": { type: "boolean", default: false },
      },
      allowPositionals: true,
    });
    const odd = positionals.find((p) => !parts.includes(p));
    if (odd !== undefined) throw new Error(`${odd}: the parts are ${parts.join(", ")}`);
    const threads = Number(values.threads);
    if (!Number.isInteger(threads) || threads < 1) throw new Error(`--threads ${values.threads}: expected 1 or more`);
    if (values.publish && positionals.length > 0) throw new Error("--publish: needs all parts; name none");
    return { ...values, threads, parts: positionals.length > 0 ? positionals : parts };
  } catch (e) {
    process.stderr.write(
      `${e.message}\nUsage: npm run bench -- [${parts.join("] [")}] [--quick] [--threads N] [--publish]\n`,
    );
    process.exit(2);
  }
}

/** A Python that has PyTorch; undefined, which is said, if there is none and pip cannot install it. */
async function pythonWithTorch() {
  const named = process.env.MOPROC_PYTHON;
  if (named !== undefined) return named;
  try {
    await pythonModules();
    return join(root, "build", "python", "bin", "python");
  } catch (e) {
    console.log(`no PyTorch, so training is not measured (MOPROC_PYTHON names a Python that has it): ${e.message}`);
    return undefined;
  }
}

/** Builds the program that measures convolutions with the best instructions of this CPU. Returns its path. */
async function convBench() {
  const target = `conv_bench_${cpuArch("native") === "x86-64-v4" ? "v4" : "v3"}`;
  const folder = join(root, "build", "bench", "native");
  if (!o["no-setup"]) typescript({ tests: true }); // its shapes come with the sizes of the templates
  quiet("cmake", ["-S", root, "-B", folder, "-DMOPROC_TESTS=ON", "-DCMAKE_BUILD_TYPE=Release"]);
  quiet("cmake", ["--build", folder, "--parallel", String(availableParallelism()), "--target", target]);
  return join(folder, "test", "native", "kernels", target);
}

const o = options();
if (!o["no-setup"]) runSteps(allSteps());
const { cpuArch } = await import("../build/js/tools/cli/cpu.js");
const { int8 } = await import("../build/js/tools/bench/int8.js");
const { cpuName, networks, singleOperators } = await import("../build/js/tools/bench/main.js");
const { benchPage } = await import("../build/js/tools/bench/page.js");
const { namedModels } = await import("../build/js/tools/bench/subjects.js");
const { trainingSteps } = await import("../build/js/tools/bench/steps.js");
const { chartTable, lineChart } = await import("../build/js/tools/bench/chart.js");
const { loaderData, loaderOverThreads, pairs } = await import("../build/js/tools/bench/loader.js");
const { stepGrowth } = await import("../build/js/tools/bench/growth.js");
const { stepMemory } = await import("../build/js/tools/bench/memory.js");
const { compileGrowth, firstStep } = await import("../build/js/tools/bench/compiling.js");
const { convolutions } = await import("../build/js/tools/bench/convolutions.js");
const peers = ["training", "memory", "loader", "compiling", "convolutions"].some((p) => o.parts.includes(p));
const python = peers ? await pythonWithTorch() : undefined;
const ownConvolutions = o.parts.includes("convolutions") ? await convBench() : undefined;

await untilQuiet(0.1, PATIENCE);
const others = []; // shares of the cores that other processes used, for each comparison
const watched = () => {
  const share = watch();
  return (own) => others.push(share(own));
};
const say = (line) => console.log(line);
const settings = (seconds) => ({ seconds, threads: o.threads, say, watched });
const sections = [];
const name = cpuArch("native", "bf16").endsWith("+amx") ? "cpu-amx" : "cpu";
const curves = new Map();
const add = (title, entries, ours = "moproc") => sections.push({ title, ours, entries });
/** A chart: an SVG file beside the page, and the same numbers as a table on it. */
const addCurve = (title, chart) => {
  const file = `${name}-${title.toLowerCase().replaceAll(" ", "-")}.svg`;
  curves.set(file, lineChart(chart));
  sections.push({ title, ours: "moproc", entries: [], shown: [`![${title}](${file})`, "", ...chartTable(chart)] });
};
const models = mkdtempSync(join(tmpdir(), "moproc-bench-"));
try {
  if (python !== undefined && o.parts.includes("training"))
    add("Training steps", await trainingSteps(python, o.quick, settings(o.quick ? 15 : 40)));
  if (o.parts.includes("memory"))
    add("Memory of a training step", await stepMemory(python, o.quick, settings(o.quick ? 10 : 40)));
  if (o.parts.includes("loader")) {
    const data = await loaderData(models);
    add("Pairs of views per core", pairs(data, python, settings(o.quick ? 2 : 6)));
    addCurve("The loader over threads", loaderOverThreads(data, settings(o.quick ? 1 : 4)));
  }
  if (o.parts.includes("growth"))
    for (const [title, chart] of await stepGrowth(o.quick, settings(o.quick ? 1 : 4))) addCurve(title, chart);
  if (o.parts.includes("compiling")) {
    if (python !== undefined) add("To the first step", await firstStep(python, o.quick, settings(0)));
    if (!o.quick)
      sections.push({
        title: "Compilation by depth",
        ...{ ours: "moproc", entries: [] },
        shown: ["MoPro's programs, at 224 pixels, with an empty cache.", "", ...(await compileGrowth(settings(0)))],
      });
  }
  if (ownConvolutions !== undefined) {
    const { entries, table } = convolutions(ownConvolutions, python);
    const text = [
      "On one core, for 8 images: the share of what the core computes at most in the type, measured in the same run.",
      ...(python === undefined ? [] : ["In brackets oneDNN, which PyTorch calls, on one core but not in turns."]),
    ];
    sections.push({ title: "Convolutions of ResNet-50", ours: "moproc", entries, shown: [...text, "", ...table] });
  }
  if (o.parts.includes("networks")) {
    const archive = join(root, "test", "fixtures", "onnx-networks", "networks.tar.gz");
    quiet("tar", ["-xzf", archive, "-C", models]);
    add("Networks", await networks(namedModels(models), settings(o.quick ? 2 : 6)));
  }
  if (o.parts.includes("operators"))
    add("Operators on a million elements", await singleOperators(settings(o.quick ? 0.3 : 1)));
  if (o.parts.includes("int8")) add("Models of 8 bits in ONNX Runtime", await int8(settings(o.quick ? 2 : 6)), "int8");
} finally {
  rmSync(models, { recursive: true });
}
const busy = others.toSorted((a, b) => a - b)[Math.floor(0.9 * others.length)] ?? 0;
const entries = sections.flatMap((s) => s.entries);
const missed = entries.filter((e) => e.goal !== null && e.ratio < e.goal);
console.log(
  `${cpuName()}, ${o.threads} threads; other processes used up to ${Math.round(100 * busy)} % of the cores` +
    `${busy < 0.1 ? "" : ", so these numbers mean little"}`,
);
for (const e of entries.filter((e) => e.goal !== null))
  console.log(`${missed.includes(e) ? "missed " : "reached"} ${e.name}: ${e.ratio.toFixed(2)}, goal ${e.goal}`);
const out = o.publish ? join(root, "docs", "benchmarks") : join(root, "build", "bench");
mkdirSync(out, { recursive: true });
const page = join(out, `${name}.md`);
for (const [file, svg] of curves) writeFileSync(join(out, file), svg);
const command = ["npm run bench --", ...process.argv.slice(2).filter((a) => a !== "--no-setup")].join(" ");
const date = new Date().toISOString().slice(0, 10);
writeFileSync(page, benchPage(sections, { cpu: cpuName(), threads: o.threads, others: busy, date, command }));
// biome pads the tables of pages in docs
quiet(join(root, "node_modules", ".bin", "biome"), ["format", "--write", "--no-errors-on-unmatched", page]);
writeFileSync(join(out, `${name}.json`), `${JSON.stringify(entries, null, 2)}\n`);
console.log(page);
