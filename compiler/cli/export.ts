// moproc export: a checkpoint to the ONNX model that is handed on. The file gets its name only after ONNX
// Runtime has run it, where that is installed.

import { rmSync, writeFileSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import { deployed, heads, inputs } from "../../models/deploy.js";
import { archs } from "../../models/resnet.js";
import { deployModel, neededPart } from "../onnx/deploy.js";
import { opsets } from "../onnx/export.js";
import { encodeModel } from "../onnx/proto.js";
import { marks, requireFile, temporary } from "../util/own.js";
import { putInPlace } from "../util/whole_file.js";
import { encoders, openCheckpoint, readStates } from "./checkpoint.js";
import { CannotCheck, type Checked, checkModel } from "./export_check.js";
import { asJson, asText, describe, type ExportFlags, version } from "./export_report.js";
import { integer, positive } from "./flags.js";

export function exportCommand(): Command {
  const c = new Command("export")
    .description(
      "Writes a checkpoint's network as an ONNX model of standard operators: input `image`, outputs `logits`, " +
        "`embedding`, `features`, any batch size. ONNX Runtime, where installed, runs it beside the compiled " +
        "network. `moproc export --training` writes the training step itself: see its --help.",
    )
    .requiredOption(
      "--resume <file>",
      "the checkpoint: .safetensors of a training run, or a PyTorch .pth.tar or .pth",
    )
    .requiredOption("-o, --out <file>", "the model; an older one of moproc is replaced, any other file is refused")
    .addOption(
      new Option(
        "--head <name>",
        "classifier: logits; embedding: unit vectors; both; features: after global pooling",
      )
        .choices(heads)
        .default("classifier"),
    )
    .addOption(
      new Option("--which <encoder>", "MoPro's query encoder, or the key encoder that follows it")
        .choices(encoders)
        .default("query"),
    )
    .addOption(
      new Option(
        "--input <kind>",
        "float: f32 [batch, 3, H, W], RGB / 255 less mean by deviation; uint8: RGB bytes [batch, H, W, 3]",
      )
        .choices(inputs)
        .default("float"),
    )
    .option("--opset <n>", `version of the ONNX operators, ${opsets.least} to ${opsets.most}`, opset, 17)
    .option(
      "--keep-bn",
      "keep BatchNorm as nodes of their own, with the checkpoint's weights (default: fold it into convolutions)",
    )
    .option(
      "--classes <file>",
      "names of the classes, one a line, for the metadata: WebVision's info/synsets.txt",
    )
    .addOption(
      new Option(
        "-a, --network <name>",
        "network; this and the next four only where the checkpoint does not say it",
      ).choices(archs),
    )
    .addOption(new Option("--arch <name>", "the same as -a").choices(archs).hideHelp())
    .option("--width <factor>", "channels of the four stages, times", positive)
    .option("--num-class <n>", "classes", integer(2))
    .option("--low-dim <n>", "length of the embedding", integer(1))
    .option("--image-size <pixels>", "side of the square images", integer(16))
    .option("--verify", "fail, and write nothing, unless ONNX Runtime agrees with the compiled network")
    .option(
      "--tolerance <x>",
      "the largest difference that --verify accepts, relative to the largest output",
      positive,
      1e-4,
    )
    .option("--no-check", "do not run the model")
    .option("--json", "the result as JSON");
  c.action(async (options: ExportFlags & { readonly arch?: string }) => {
    if (options.arch !== undefined && (options.network ?? options.arch) !== options.arch) {
      throw new Error(`-a ${options.network} and --arch ${options.arch} contradict each other`);
    }
    const network = options.network ?? options.arch;
    await exportModel({ ...options, ...(network !== undefined && { network }) });
  });
  return c;
}

function opset(text: string): number {
  const n = integer(1)(text);
  if (n < opsets.least || n > opsets.most)
    throw new InvalidArgumentError(`known operator sets are ${opsets.least} to ${opsets.most}.`);
  return n;
}

async function exportModel(f: ExportFlags): Promise<void> {
  if (f.verify && !f.check) throw new Error("--verify and --no-check exclude each other");
  requireFile(f.out, marks.onnx);
  const { network, graph, values, epoch, notes } = readNetwork(f);
  const metadata = describe(f, network, epoch);
  const model = deployModel(
    { graph, values },
    { opset: f.opset, keepBatchNorm: f.keepBn ?? false, metadata, producerVersion: version() },
  );
  const bytes = encodeModel(model);
  const partial = temporary(f.out);
  try {
    writing(f.out, () => writeFileSync(partial, bytes, { flag: "wx" }));
    const checked = f.check
      ? await check(f, () => checkModel({ file: partial, network, head: f.head, input: f.input, values }))
      : "not checked: --no-check";
    writing(f.out, () => putInPlace(partial, f.out, marks.onnx));
    process.stdout.write((f.json ? asJson : asText)(f, { model, bytes: bytes.length, checked, notes }));
  } finally {
    rmSync(partial, { force: true });
  }
}

function writing(file: string, f: () => void): void {
  try {
    f();
  } catch (e) {
    throw new Error(`cannot write ${file}: ${(e as Error).message}`);
  }
}

/** The network of the checkpoint, its graph for deployment and exactly the weights that this needs. */
function readNetwork(f: ExportFlags) {
  const checkpoint = openCheckpoint(f.resume, f, f.which);
  const { file, network, notes } = checkpoint;
  try {
    const graph = neededPart(deployed(network, f.head, f.input));
    return {
      network,
      graph,
      values: readStates(checkpoint, graph.state),
      notes,
      epoch: file.metadata.get("epoch"),
    };
  } finally {
    file.close();
  }
}

/**
 * The comparison, or why there is none. Throws what --verify makes an error, and always when the model does
 * not run.
 */
async function check(f: ExportFlags, run: () => Promise<Checked>): Promise<Checked | string> {
  let checked: Checked;
  try {
    checked = await run();
  } catch (e) {
    if (!(e instanceof CannotCheck))
      throw new Error(`${f.out}: ONNX Runtime does not run the model: ${(e as Error).message}`);
    if (f.verify) throw new Error(`--verify: ${e.message}`);
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
