// moproc export: makes the ONNX model for deployment from a checkpoint. If ONNX Runtime is installed, it runs the model
// before the file gets its name.

import { rmSync, writeFileSync } from "node:fs";
import { deployModel, neededPart } from "../../compiler/onnx/deploy.js";
import { opsets } from "../../compiler/onnx/export.js";
import { type Changed, halved } from "../../compiler/onnx/half.js";
import type { Model } from "../../compiler/onnx/model.js";
import { encodeModel } from "../../compiler/onnx/proto.js";
import { marks, requireFile, temporary } from "../../compiler/util/own.js";
import { Stopped, ToolFailure } from "../../compiler/util/run.js";
import { version } from "../../compiler/util/version.js";
import { putInPlace } from "../../compiler/util/whole_file.js";
import { deployed, heads, inputs } from "../../models/deploy.js";
import { archs } from "../../models/trunk.js";
import { encoders, openCheckpoint, readStates } from "./checkpoint.js";
import { CannotCheck, type Checked, checkModel, type Subject } from "./export_check.js";
import { foreignModel } from "./export_foreign.js";
import {
  asJson,
  asText,
  describe,
  type ExportFlags,
  type Half,
  precisions,
  recordedNames,
  tolerances,
} from "./export_report.js";
import { exportTrainingVerb } from "./export_training.js";
import { integer, oneOf, positive } from "./kinds.js";
import { sections, type Verb } from "./record.js";

const network = "network (only what the checkpoint does not say itself)";
const checking = "check";

export const exportVerb: Verb = {
  name: "export",
  usage: "--resume FILE -o FILE [flags]",
  purpose: "Writes a checkpoint's network as an ONNX model of standard operators.",
  more:
    "The model has the input `image` and the outputs `logits`, `embedding` and `features`, for any batch size. ONNX " +
    "Runtime, if it is installed, runs it beside the compiled network. `moproc export --training --help` is " +
    "about the " +
    "training step itself.",
  flags: [
    {
      names: ["--resume"],
      unit: "FILE",
      needed: true,
      section: sections.run,
      help: "The checkpoint: .safetensors of a training run, or a PyTorch .pth.tar or .pth.",
    },
    {
      names: ["-o", "--out"],
      unit: "FILE",
      needed: true,
      section: sections.run,
      help: "The file of the model; an older model there is replaced.",
    },
    {
      names: ["--head"],
      unit: "NAME",
      kind: oneOf(heads),
      default: "classifier",
      section: sections.run,
      help: "The outputs. classifier: logits; embedding: unit vectors; both; features: those after global pooling.",
    },
    {
      names: ["--which"],
      unit: "ENCODER",
      kind: oneOf(encoders),
      default: "query",
      section: sections.run,
      help: "MoPro's query encoder, or the key encoder that follows it.",
    },
    {
      names: ["--input"],
      unit: "TYPE",
      kind: oneOf(inputs),
      default: "float",
      section: sections.run,
      help: "float: f32 [batch, 3, H, W], normalised RGB. uint8: RGB bytes [batch, H, W, 3].",
    },
    {
      names: ["--opset"],
      unit: "N",
      kind: integer(opsets.least, opsets.most),
      default: 17,
      section: sections.run,
      help: "Version of the ONNX operators.",
    },
    {
      names: ["--precision"],
      unit: "TYPE",
      kind: oneOf(precisions),
      default: "f32",
      section: sections.run,
      help: "f16: half the size. Inputs and outputs stay as they are; sums and the input's normalisation stay f32.",
    },
    {
      names: ["--keep-bn"],
      section: sections.run,
      help: "Keeps BatchNorm as nodes of their own; without it convolutions absorb it.",
    },
    {
      names: ["--classes"],
      unit: "FILE",
      section: sections.run,
      help: "Names of the classes for the metadata, one per line; without it, those in the checkpoint.",
    },
    {
      names: ["-a", "--network"],
      unit: "NAME",
      kind: oneOf(archs),
      section: network,
      help: "The network; `--arch NAME` means the same.",
    },
    { names: ["--width"], unit: "FACTOR", kind: positive, section: network, help: "Multiplies all channels." },
    { names: ["--num-class"], unit: "N", kind: integer(2), section: network, help: "Number of classes." },
    { names: ["--low-dim"], unit: "N", kind: integer(1), section: network, help: "Length of the embedding." },
    {
      names: ["--image-size"],
      unit: "PIXELS",
      kind: integer(16),
      section: network,
      help: "Side of the square images.",
    },
    {
      names: ["--verify"],
      section: checking,
      help: "Fails, and writes nothing, unless ONNX Runtime agrees with the compiled network.",
    },
    {
      names: ["--tolerance"],
      unit: "X",
      kind: positive,
      shown: `${tolerances.f32}, with --precision f16 ${tolerances.f16}`,
      section: checking,
      help: "The largest difference that --verify accepts, relative to the largest output.",
    },
    { names: ["--no-check"], section: checking, help: "Does not run the model." },
    { names: ["--json"], section: sections.output, help: "Prints the result as JSON." },
  ],
  examples: ["moproc export --resume retrained/checkpoint_0004.safetensors -o model.onnx --input uint8"],
  instead: { flag: "--training", verb: exportTrainingVerb },
  run: ({ options, said }) => {
    const f = options as unknown as ExportFlags;
    return exportModel({
      ...f,
      saidOpset: said("opset"),
      tolerance: options.tolerance === undefined ? tolerances[f.precision] : f.tolerance,
    });
  },
};

/** A model, and what it was made of. */
interface Deployed extends Pick<Subject, "network" | "values" | "constants"> {
  readonly model: Model;
  readonly notes: readonly string[];
}

async function exportModel(f: ExportFlags): Promise<void> {
  if (f.verify && !f.check) throw new Error("--verify and --no-check exclude each other");
  requireFile(f.out, marks.onnx);
  const { network, notes, model: full, ...weights } = readNetwork(f);
  const { model, half } = inPrecision(f, full);
  const bytes = encodeModel(model);
  const partial = temporary(f.out);
  try {
    writing(f.out, () => writeFileSync(partial, bytes, { flag: "wx" }));
    const checked = f.check
      ? await check(f, () => checkModel({ file: partial, network, head: f.head, input: f.input, ...weights }))
      : "not checked: --no-check";
    writing(f.out, () => putInPlace(partial, f.out, marks.onnx));
    process.stdout.write((f.json ? asJson : asText)(f, { model, bytes: bytes.length, half, checked, notes }));
  } finally {
    rmSync(partial, { force: true });
  }
}

/** The model in the precision of the flags. Throws, with the reason, if it cannot be f16. */
function inPrecision(f: ExportFlags, full: Model): { readonly model: Model; readonly half: Half | undefined } {
  if (f.precision === "f32") return { model: full, half: undefined };
  let made: { readonly model: Model; readonly changed: Changed };
  try {
    made = halved(full);
  } catch (e) {
    throw new Error(`--precision f16: ${(e as Error).message}`);
  }
  return { model: made.model, half: { ...made.changed, bytesF32: encodeModel(full).length } };
}

function writing(file: string, f: () => void): void {
  try {
    f();
  } catch (e) {
    throw new Error(`cannot write ${file}: ${(e as Error).message}`);
  }
}

/** The network of the checkpoint, its model, and the weights of the states that the model is made of. */
function readNetwork(f: ExportFlags): Deployed {
  const checkpoint = openCheckpoint(f.resume, f, f.which);
  const { file, network, converted } = checkpoint;
  const notes = [...converted, ...checkpoint.notes];
  const names = recordedNames(file.metadata, network.num_class);
  const metadata = describe(f, network, { epoch: file.metadata.get("epoch"), names });
  try {
    const { onnx } = network;
    if (onnx) {
      for (const [given, flag] of [
        [f.input !== "float", "--input uint8"],
        [f.keepBn, "--keep-bn"],
        [f.saidOpset, `--opset ${f.opset}`],
      ] as const)
        if (given) throw new Error(`${flag}: the network is another program's, whose graph is written as it was`);
      const made = foreignModel(checkpoint, onnx, f.head, metadata);
      const opset = made.model.opsets.get("");
      return { network, notes: [...notes, `the graph is that of ${onnx.settings.name}.onnx, opset ${opset}`], ...made };
    }
    const graph = neededPart(deployed(network, f.head, f.input));
    const values = readStates(checkpoint, graph.state);
    const options = { opset: f.opset, keepBatchNorm: f.keepBn ?? false, metadata, producerVersion: version() };
    return { network, notes, values, model: deployModel({ graph, values }, options) };
  } finally {
    file.close();
  }
}

/**
 * The result of the comparison, or the reason why there is none. Rejects if the model does not run and, with --verify,
 * if the comparison is impossible or finds a difference above --tolerance.
 */
async function check(f: ExportFlags, run: () => Promise<Checked>): Promise<Checked | string> {
  let checked: Checked;
  try {
    checked = await run();
  } catch (e) {
    if (e instanceof Stopped) throw e;
    if (!(e instanceof CannotCheck))
      throw new Error(`${f.out}: ONNX Runtime does not run the model: ${(e as Error).message}`);
    if (f.verify) throw new ToolFailure(`--verify: ${e.message}`);
    return `not checked: ${e.message}`;
  }
  const wrong = checked.differences.filter((d) => !(d.relative <= f.tolerance));
  if (f.verify && wrong.length > 0) {
    const what = wrong
      .map((d) => `${d.output} by ${d.absolute.toExponential(1)} of ${d.largest.toPrecision(3)}`)
      .join(", ");
    const limit = `more than ${f.tolerance} relative (--tolerance)`;
    throw new Error(`--verify: ${f.out} differs from the compiled network in ${what}: ${limit}`);
  }
  return checked;
}
