// moproc export --training: writes the programs of a training run as ONNX models, one file per program, with their
// state: that of a checkpoint, or the initial state of the training binary for the seed.

import { statSync } from "node:fs";
import { join } from "node:path";
import { type DType, type Graph, type State, sameShape, showType, type Target } from "../../compiler/ir/types.js";
import { opsets } from "../../compiler/onnx/export.js";
import { requireModel, writeModel } from "../../compiler/onnx/files.js";
import { type Elements, elementsOf } from "../../compiler/onnx/model.js";
import { exportStep } from "../../compiler/onnx/training.js";
import { makeFolder } from "../../compiler/util/own.js";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { modelFlagList, modelFlags, targetOf } from "./flags.js";
import { modelGraphs, type Source } from "./graphs.js";
import { integer } from "./kinds.js";
import { cachedArtefact } from "./obtain.js";
import { sections, type Verb } from "./record.js";
import { megabytes } from "./units.js";
import { safetensorsTypes } from "./weights_file.js";

/** The first operator set that has ScatterElements and the reductions as the gradients need them. */
const LEAST_OPSET = 18;

export interface TrainingExport {
  readonly source: Source;
  readonly target: Target; // for the initial values of a new run
  readonly out: string; // directory
  readonly resume?: string; // a .safetensors checkpoint
  readonly seed: number; // of a new run
  readonly opset: number;
}

export const exportTrainingVerb: Verb = {
  name: "export",
  usage: "--training -o DIR [flags]",
  purpose: "Writes the training step as ONNX models, one file per program.",
  more:
    "The files are warmup.onnx, proto.onnx, clean.onnx, evaluate.onnx and embed.onnx. Every node is a standard " +
    "operator or a function of such. State is input and initializer, its new value an output, and training_info " +
    "binds " +
    "them. `moproc compile` takes the files back.",
  flags: [
    { names: ["--training"], needed: true, section: sections.run, help: "Chooses this export." },
    {
      names: ["-o", "--out"],
      unit: "DIR",
      needed: true,
      section: sections.run,
      help: "The directory for the files, which is made if it is missing. Only files of an older export are replaced.",
    },
    { names: ["--resume"], unit: "FILE", section: sections.run, help: "Starts from this .safetensors checkpoint." },
    {
      names: ["--seed"],
      unit: "N",
      kind: integer(0),
      default: 0,
      section: sections.run,
      help: "Without --resume: starts as a new run with this seed.",
    },
    {
      names: ["--opset"],
      unit: "N",
      kind: integer(LEAST_OPSET, opsets.most),
      default: LEAST_OPSET,
      section: sections.run,
      help: "Version of the ONNX operators.",
    },
    {
      names: ["--task"],
      unit: "NAME",
      default: "mopro",
      section: sections.compiled,
      help: "What is trained: mopro; classifier, by plain cross-entropy; or retrain, a classifier's last layer alone.",
    },
    ...modelFlagList,
  ],
  async run({ options }) {
    const flags = modelFlags(options);
    const { out, resume, seed, opset } = options as {
      out: string;
      resume?: string;
      seed: number;
      opset: number;
    };
    const source = modelGraphs(String(options.task), flags);
    const files = await exportTraining({
      source,
      target: targetOf(flags),
      out,
      seed,
      opset,
      ...(resume !== undefined && { resume }),
    });
    process.stdout.write(files.map((f) => `${f}  ${megabytes(statSync(f).size)}\n`).join(""));
  },
};

/**
 * Writes all programs of the source and returns the names of the files. Rejects, naming file and tensor, if the
 * checkpoint does not fit.
 */
export async function exportTraining(o: TrainingExport): Promise<string[]> {
  const graphs = o.source.graphs();
  for (const g of graphs) requireModel(join(o.out, `${g.name}.onnx`));
  const { values, checkpoint } =
    o.resume === undefined ? await newRun(o, graphs) : checkpointState(o.resume, o.source, graphs);
  makeFolder(o.out);
  return graphs.flatMap((g) => {
    const plan = { name: o.source.name, meta: o.source.meta };
    return writeModel(join(o.out, `${g.name}.onnx`), exportStep(g, { opset: o.opset, values, plan, checkpoint }));
  });
}

interface Start {
  readonly values: ReadonlyMap<string, Elements>;
  readonly checkpoint: Readonly<Record<string, string>>;
}

const states = (graphs: readonly Graph[]): State[] => [
  ...new Map(graphs.flatMap((g) => g.state.map((s) => [s.name, s] as const))).values(),
];

/** The initial state of the binary of these programs, which is compiled to get it. */
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

/** The running averages of a run that has not begun, with the runtime's names. */
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
      throw new Error(`${path}: the file is damaged: its data do not have the sha256 that it names`);
    if (checkpoint.format !== CHECKPOINT_FORMAT)
      throw new Error(`${path}: its format is ${checkpoint.format}, not ${CHECKPOINT_FORMAT} as of a run`);
    if (checkpoint.onnx_sha256 !== undefined)
      throw new Error(`${path}: its network is an ONNX model; a training step of such a network cannot be exported`);
    for (const key of ["task", "arch", "num_class"]) {
      const [is, want] = [checkpoint[key], String(source.meta[key])];
      if (is !== want) throw new Error(`${path}: its ${key} is ${is}, but the flags say ${want}`);
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
    throw new Error(`${file.path}: tensor ${s.name} is ${dtype}[${shape}], but the programs need ${showType(s.type)}`);
  }
  return elementsOf({ name: s.name, type: s.type.dtype as DType, dims: shape, data: file.bytes(s.name) });
}
