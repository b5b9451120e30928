// Models of 8 bits beside the same models in f32, both in ONNX Runtime. The weights are from a fixed sequence and the
// images are noise: the speed does not depend on them.

import { elementsOf, type Model, type Tensor } from "../../compiler/onnx/model.js";
import { encodeModel } from "../../compiler/onnx/proto.js";
import { prepared, quantized } from "../../compiler/onnx/quantize.js";
import { Histogram } from "../../compiler/onnx/quantize_ranges.js";
import { feeds, ort, peerName, type Session, session } from "./both.js";
import { compared, type Entry, type Options } from "./compare.js";
import { noiseTensor, ownNetwork } from "./subjects.js";

/** The model in 8 bits, with all that occurs on one batch as ranges. */
async function inInt8(m: Model, images: Tensor): Promise<Model> {
  const p = prepared(m);
  const names = [...new Set(p.plan.values.values())].filter((v) => v !== images.name);
  const s = await ort.InferenceSession.create(encodeModel(p.model, names), { logSeverityLevel: 3 });
  const values = await s.run(feeds([images]));
  await s.release();
  const range = (name: string, xs: Float32Array) => {
    const h = new Histogram(name);
    h.add(xs);
    return [name, h.range("minmax")] as const;
  };
  const own = range(images.name, elementsOf(images) as Float32Array);
  const others = names.map((name) => range(name, values[name]?.data as Float32Array));
  return quantized(p, new Map([own, ...others])).model;
}

const megabytes = (m: Model): number => encodeModel(m).length / 1e6;

/** ResNet-18 and ResNet-50 of 224 pixels for 1 and 8 images, and the sizes of their files. */
export async function int8(o: Options): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const arch of ["resnet18", "resnet50"] as const) {
    const full = ownNetwork(arch);
    const small = await inInt8(full, noiseTensor("image", [4, 3, 224, 224], 5));
    for (const batch of [1, 8]) {
      const fed = feeds([noiseTensor("image", [batch, 3, 224, 224], 7)]);
      const [ours, peer] = [await session(small, o.threads), await session(full, o.threads)] as [Session, Session];
      entries.push(
        await compared(
          `${arch}, batch ${batch}`,
          () => ours.run(fed),
          () => peer.run(fed),
          `f32, ${peerName}`,
          null,
          o,
        ),
      );
      await Promise.all([ours.release(), peer.release()]);
    }
    const [a, b] = [megabytes(small), megabytes(full)];
    const name = { name: `${arch}, file`, peer_name: `f32, ${peerName}`, unit: "MB" };
    entries.push({ ...name, ours: a, peer: b, ratio: b / a, goal: null, spread: null });
  }
  return entries;
}
