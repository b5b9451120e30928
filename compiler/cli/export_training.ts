// moproc export --training: the programs of a training run as ONNX models, one file a program, with the state
// they start from: a checkpoint's, or what the training binary would begin with for the seed.

import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { type DType, type Graph, sameShape, showType, type State, type Target } from "../ir/types.js";
import { opsets } from "../onnx/export.js";
import { requireModel, writeModel } from "../onnx/files.js";
import { type Elements, elementsOf } from "../onnx/model.js";
import { exportStep } from "../onnx/training.js";
import { SafetensorsFile } from "../util/safetensors.js";
import { addModelFlags, integer, modelFlags, targetOf } from "./flags.js";
import { modelGraphs, type Source } from "./graphs.js";
import { cachedArtefact } from "./obtain.js";
import { safetensorsTypes } from "./onnx_source.js";

/** ScatterElements and the reductions that the gradients need are settled since this operator set. */
const LEAST_OPSET = 18;

export interface TrainingExport {
  readonly source: Source;
  readonly target: Target; // for the initial values of a new run
  readonly out: string; // directory
  readonly resume?: string; // a .safetensors checkpoint
  readonly seed: number; // of a new run
  readonly opset: number;
}

export function exportTrainingCommand(): Command {
  const c = new Command("export")
    .description(
      "With --training: the training step as ONNX, one file a program (warmup.onnx, proto.onnx, clean.onnx, and evaluate.onnx, " +
        "embed.onnx), every node a standard operator or a function of such. State is input and initializer, its new value an " +
        "output; training_info binds them. moproc compile takes the files back.",
    )
    .addOption(new Option("--training", "this export").makeOptionMandatory())
    .requiredOption("-o, --out <dir>", "directory for the files, made when it is not there; only files of an older export are replaced")
    .option("--resume <file>", "start from this .safetensors checkpoint")
    .option("--seed <n>", "without --resume: start as a new run with this seed", integer(0), 0)
    .option(
      "--opset <n>",
      `version of the ONNX operators, ${LEAST_OPSET} to ${opsets.most}`,
      opset,
      LEAST_OPSET,
    )
    .option("--task <name>", "mopro, classifier (plain cross-entropy), or retrain (its last layer alone)", "mopro");
  addModelFlags(c);
  c.action(async (options: Record<string, unknown>) => {
    const flags = modelFlags(options);
    const { out, resume, seed, opset } = options as {
      out: string;
      resume?: string;
      seed: number;
      opset: number;
    };
    const source = modelGraphs(String(options["task"]), flags);
    const files = await exportTraining({
      source,
      target: targetOf(flags),
      out,
      seed,
      opset,
      ...(resume !== undefined && { resume }),
    });
    process.stdout.write(files.map((f) => `${f}  ${(statSync(f).size / 1e6).toFixed(1)} MB\n`).join(""));
  });
  return c;
}

function opset(text: string): number {
  const n = integer(1)(text);
  if (n < LEAST_OPSET || n > opsets.most)
    throw new InvalidArgumentError(`known operator sets are ${LEAST_OPSET} to ${opsets.most}.`);
  return n;
}

/** Writes all programs of the source; returns the files. Throws, naming file and tensor, for a checkpoint that does not fit. */
export async function exportTraining(o: TrainingExport): Promise<string[]> {
  const graphs = o.source.graphs();
  for (const g of graphs) requireModel(join(o.out, `${g.name}.onnx`));
  const { values, checkpoint } =
    o.resume === undefined ? await newRun(o, graphs) : checkpointState(o.resume, o.source, graphs);
  mkdirSync(o.out, { recursive: true });
  return graphs.flatMap((g) => {
    const plan = { name: o.source.name, meta: o.source.meta };
    return writeModel(
      join(o.out, `${g.name}.onnx`),
      exportStep(g, { opset: o.opset, values, plan, checkpoint }),
    );
  });
}

interface Start {
  readonly values: ReadonlyMap<string, Elements>;
  readonly checkpoint: Readonly<Record<string, string>>;
}

const states = (graphs: readonly Graph[]): State[] => [
  ...new Map(graphs.flatMap((g) => g.state.map((s) => [s.name, s] as const))).values(),
];

/** What the binary of these programs starts with; it is compiled for that. */
async function newRun({ source, target, seed }: TrainingExport, graphs: readonly Graph[]): Promise<Start> {
  const { dir } = await cachedArtefact(source, target);
  const { load } = await import("node-cuda-rt"); // no other verb needs the addon
  const artefact = load(dir);
  artefact.initState(seed);
  const { meta } = source;
  const of = (key: string): string => String(meta[key] ?? "");
  return {
    values: new Map(states(graphs).map((s) => [s.name, artefact.get(s.name) as Elements])),
    checkpoint: {
      format: CHECKPOINT_FORMAT,
      task: of("task"),
      arch: of("arch"),
      num_class: of("num_class"),
      groups: of("groups"),
      epoch: "0",
      step: "0",
      samples: "0",
      global_batch: of("batch"),
      seed: String(seed),
      data_digest: "none yet",
      meters: JSON.stringify(emptyMeters()),
    },
  };
}

const CHECKPOINT_FORMAT = "moproc-checkpoint-1";

/** The running averages of a run that has not begun, under the runtime's names. */
function emptyMeters(): Readonly<Record<string, number | readonly number[]>> {
  const averages = ["loss", "loss_cls", "loss_inst", "loss_proto", "acc_cls", "acc_inst", "acc_proto"];
  const counts = [
    "samples",
    "corrected",
    "dropped",
    "not_finite",
    "right",
    "right_kept",
    "wrong",
    "wrong_corrected",
    "wrong_dropped",
    "out",
    "out_dropped",
  ];
  return Object.fromEntries([...averages.map((n) => [n, [0, 0, 0]]), ...counts.map((n) => [n, 0])]);
}

function checkpointState(path: string, source: Source, graphs: readonly Graph[]): Start {
  const file = SafetensorsFile.open(path);
  try {
    const { sha256, ...checkpoint } = Object.fromEntries(file.metadata);
    if (sha256 !== undefined && sha256 !== file.dataDigest())
      throw new Error(`${path}: its data do not have the sha256 it names: the file is damaged`);
    if (checkpoint["format"] !== CHECKPOINT_FORMAT)
      throw new Error(
        `${path}: its format is ${checkpoint["format"]}, not ${CHECKPOINT_FORMAT}: no checkpoint of a run`,
      );
    for (const key of ["task", "arch", "num_class"]) {
      const [is, want] = [checkpoint[key], String(source.meta[key])];
      if (is !== want) throw new Error(`${path}: its ${key} is ${is}, the flags say ${want}`);
    }
    const all = states(graphs);
    const extra = [...file.tensors.keys()].find((name) => !all.some((s) => s.name === name));
    if (extra !== undefined) throw new Error(`${path}: the programs have no tensor ${extra}`);
    return { values: new Map(all.map((s) => [s.name, stateOf(file, s)])), checkpoint };
  } finally {
    file.close();
  }
}

function stateOf(file: SafetensorsFile, s: State): Elements {
  const { dtype, shape } = file.entry(s.name);
  if (dtype !== safetensorsTypes[s.type.dtype] || !sameShape(shape, s.type.shape)) {
    throw new Error(
      `${file.path}: tensor ${s.name} is ${dtype}[${shape}], the programs need ${showType(s.type)}`,
    );
  }
  return elementsOf({ name: s.name, type: s.type.dtype as DType, dims: shape, data: file.bytes(s.name) });
}
