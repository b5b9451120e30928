// The settings of the demo's data, network and training. The two methods share all of them except the flags in
// `methods`, which make one method plain cross-entropy and the other MoPro.

/** Flags of `moproc data sample`. */
export const sample = {
  classes: 10,
  images: 3008, // 47 batches: no image is left out of an epoch
  val: 1000,
  size: 48,
  noise: 0.4,
  ood: 0.1,
};

/** Flags of `moproc compile`; the number of classes comes from the data. */
export const network = {
  network: "resnet10",
  width: 0.5,
  "batch-size": 64,
  "image-size": 40,
  "low-dim": 64,
  moco_queue: 1024,
};

export const defaultEpochs = 32;

/** Flags of the training binary that both methods share. */
export const training = (epochs) => ["--epochs", `${epochs}`, "--cos", "--lr", "0.03", "--crop-min", "0.4"];

/**
 * The methods, one entry each. This run is hundreds of times shorter than the published ones. So the key encoder and
 * the prototypes follow faster, and labels are corrected after a quarter of the run. Everything else is as published:
 * temperature 0.1, weights 1, alpha 0.5, pseudo_th 0.8.
 */
export const methods = [
  {
    key: "cross_entropy",
    name: "cross-entropy",
    flags: (epochs) => ["--w-inst", "0", "--w-proto", "0", "--start_clean_epoch", `${epochs}`],
  },
  {
    key: "mopro",
    name: "MoPro",
    flags: (epochs) => [
      ...["--moco_m", "0.99", "--proto_m", "0.95"],
      ...["--start_clean_epoch", `${Math.max(1, Math.round(epochs / 4))}`],
    ],
  },
];
