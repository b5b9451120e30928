// One MoPro step from Node, on the batch that `train --synthetic` makes from seed 0 for its first step. The loss is
// therefore the one that the binary prints. Run it after
//   moproc compile -a resnet10 -b 8 --image-size 32 --num-class 5 -o out/tiny
// with
//   node docs/examples/synthetic.mjs out/tiny

import { load } from "moproc/runtime";

/** The words of one Philox4x32-10 stream: key 0, counter (block, 0, 0, purpose). */
function* words(purpose) {
  for (let block = 0; ; block++) {
    let c = [BigInt(block), 0n, 0n, BigInt(purpose)];
    let [k0, k1] = [0n, 0n];
    for (let round = 0; round < 10; round++) {
      const a = 0xd2511f53n * c[0];
      const b = 0xcd9e8d57n * c[2];
      c = [(b >> 32n) ^ c[1] ^ k0, b & 0xffffffffn, (a >> 32n) ^ c[3] ^ k1, a & 0xffffffffn];
      k0 = (k0 + 0x9e3779b9n) & 0xffffffffn;
      k1 = (k1 + 0xbb67ae85n) & 0xffffffffn;
    }
    yield* c.map(Number);
  }
}

/** Random bytes stored (n, h, w, c), as an array in logical order (n, c, h, w). */
function images([n, channels, h, w], purpose) {
  const stream = words(purpose);
  const stored = new Uint8Array(
    new Uint32Array({ length: (n * channels * h * w) / 4 }).map(() => stream.next().value).buffer,
  );
  const pixels = h * w;
  return Uint8Array.from({ length: stored.length }, (_, i) => {
    const [image, rest] = [Math.floor(i / (channels * pixels)), i % (channels * pixels)];
    return stored[(image * pixels + (rest % pixels)) * channels + Math.floor(rest / pixels)];
  });
}

const artefact = load(process.argv[2] ?? "out/tiny");
artefact.initState(0);
const warmup = artefact.programs.find((p) => p.name === "warmup");
const shape = warmup.inputs.find((v) => v.name === "img").shape;
const classes = Number(artefact.meta.num_class);
const labels = words(5);
const target = BigInt64Array.from({ length: shape[0] }, () => (BigInt(labels.next().value) * BigInt(classes)) >> 32n);
const hyper = {
  lr: 0.1,
  momentum: 0.9,
  weight_decay: 1e-4,
  moco_m: 0.999,
  proto_m: 0.999,
  temperature: 0.1,
  alpha: 0.5,
  pseudo_th: 0.8,
  w_inst: 1,
  w_proto: 1,
};
const inputs = {
  img: images(shape, 0),
  img_aug: images(shape, 1),
  target,
  // one group: any order gives the same statistics
  order: BigInt64Array.from({ length: shape[0] }, (_, i) => BigInt(i)),
  ...Object.fromEntries(Object.entries(hyper).map(([name, value]) => [`hyper.${name}`, Float32Array.of(value)])),
};
const { loss, loss_cls, loss_inst } = await artefact.run("warmup", inputs);
console.log(`loss ${loss[0].toFixed(6)}  cls ${loss_cls[0].toFixed(6)}  inst ${loss_inst[0].toFixed(6)}`);
