// Sizes that this machine cannot hold are refused before anything is compiled, with the batch that would fit.

import test from "ava";
import { lower } from "../../compiler/pipeline.js";
import { jobs } from "../../compiler/util/host.js";
import { modelFlags, targetOf } from "../../tools/cli/flags.js";
import { modelGraphs } from "../../tools/cli/graphs.js";
import { memoryLimit, memoryOf } from "../../tools/cli/model_artefact.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("sizes");
test.after.always(() => shell.remove());

test.before(() => {
  const sizes = "--classes 4 --images 64 --val 16 --size 40".split(" ");
  shell.done("data", "sample", "--layout", "imagenet", "--out", "data", ...sizes);
});

/** The message with which training of a network that nobody has compiled is refused. */
function refused(t: { is(a: unknown, b: unknown, m?: string): void }, ...flags: readonly string[]): string {
  const data = flags.includes("--synthetic") ? ["--num-class", "4"] : ["--data", "data"];
  const r = shell.moproc("train", ...data, "--exp-dir", "exp", "-a", "resnet18", ...flags);
  t.is(r.status, 2, r.err + r.out);
  t.is(/compiled|error:/.exec(r.err)?.[0], undefined, r.err);
  return r.err;
}

/** The bytes that MoPro's programs of ResNet-18 at 224 pixels need for a batch. */
function bytesFor(batchSize: number): number {
  const flags = {
    ...modelFlags({ network: "resnet18", width: 1, numClass: 4, lowDim: 128, moco_queue: 8192, target: "cpu" }),
    ...{ batchSize, imageSize: 224, imageInput: "u8" as const, shuffleBn: "load" as const },
  };
  const { name, meta, graphs } = modelGraphs("mopro", flags);
  return memoryOf(lower(graphs(), { name, target: targetOf(flags), meta }).plan);
}

test("the batch that is named as the largest fits, and one that is a twentieth larger does not", (t) => {
  const limit = memoryLimit();
  t.true(jobs() > 0 && limit > 1e9);
  const message = refused(t, "--synthetic", "-b", "1000000");
  const most = Number(/; -b (\d+) is about the largest batch that fits/.exec(message)?.[1]);
  t.true(most > 0, message);
  t.true(bytesFor(most) <= limit);
  t.true(bytesFor(Math.ceil(1.05 * most)) > limit || most * 64 * 112 * 112 * 1.05 > 2 ** 31);
});

test("a batch of more images than the folder has says how many it has", (t) => {
  t.regex(refused(t, "-b", "1000000"), /64 training images are fewer than a batch of 1000000; -b 64 is the largest/);
});

test("batch, image size, width, queue and embedding out of range say so, within seconds", (t) => {
  const tiny = ["--image-size", "32", "-b", "8"];
  t.regex(
    refused(t, "--image-size", "100000", "-b", "8"),
    /even -b 1 needs [\d.]+ GB: a smaller --image-size, --width/,
  );
  t.regex(refused(t, "--width", "300", ...tiny), /a launch has at most 2\^31 - 1; even -b 1 is too large: a smaller/);
  t.regex(
    refused(t, "--moco_queue", "2000000000", ...tiny),
    /even -b 1 is too large: a smaller --image-size, --width or/,
  );
  t.regex(refused(t, "--low-dim", "100000000", ...tiny), /even -b 1 is too large/);
  t.regex(refused(t, "--image-size", "100000", "-b", "8", "--bn-groups", "8"), /even -b 8 needs [\d.]+ GB/);
});
