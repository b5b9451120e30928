// The table at the end and the same numbers as JSON. "Corrected" means corrected to the true class, not just changed.

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const seconds = (s) => `${s.toFixed(1)} s`;

/** A share of images from the last epoch's record, with the numbers of images; undefined if the truth is unknown. */
function noise(epoch, share, images) {
  if (epoch[images] === undefined) return undefined;
  const of = epoch[images];
  return { of, share: of > 0 ? epoch[share] : undefined, count: of > 0 ? Math.round(epoch[share] * of) : 0 };
}

/** Summarises the runs { cross_entropy, mopro } of train(), and the seconds of the other parts. */
export function summarize({ cross_entropy, mopro }, spent) {
  const trained = {
    cross_entropy: cross_entropy.training,
    mopro: mopro.training,
    cross_entropy_evaluation: cross_entropy.evaluation,
    mopro_evaluation: mopro.evaluation,
  };
  return {
    val: mopro.evaluated.images,
    cross_entropy_top1: cross_entropy.evaluated.top1,
    mopro_top1: mopro.evaluated.top1,
    wrong: noise(mopro.epoch, "wrong_labels_corrected", "wrong_labels"),
    out: noise(mopro.epoch, "out_of_class_dropped", "out_of_class"),
    seconds: { ...spent, ...trained },
  };
}

/** The numbers of a summary under the names that the help of --json lists. */
export function toJson({ cross_entropy_top1, mopro_top1, wrong, out, seconds }, settings) {
  return {
    cross_entropy_top1,
    mopro_top1,
    wrong_labels_corrected: wrong?.share ?? null,
    out_of_class_dropped: out?.share ?? null,
    counts: {
      wrong_labels: wrong?.of ?? null,
      wrong_labels_made_right: wrong?.count ?? null,
      out_of_class: out?.of ?? null,
      out_of_class_dropped: out?.count ?? null,
    },
    seconds: Object.fromEntries(Object.entries(seconds).map(([k, v]) => [k, Number(v.toFixed(3))])),
    ...settings,
  };
}

/** The table as text. */
export function showTable({ val, cross_entropy_top1, mopro_top1, wrong, out, seconds: s }) {
  const both = (v) => [v.padStart(18), ""];
  const shown = (n) => (n === undefined ? "unknown" : n.share === undefined ? "none" : percent(n.share));
  const behind = (n, what) => (n?.share === undefined ? "" : `  ${n.count} of ${n.of}${what}`);
  const rows = [
    ["", "cross-entropy", "MoPro"],
    [`top-1 on ${val} validation images`, `${cross_entropy_top1.toFixed(1)} %`, `${mopro_top1.toFixed(1)} %`],
    ["wrong labels corrected", "-", shown(wrong), behind(wrong, " made right")],
    ["out-of-class images dropped", "-", shown(out), behind(out, "")],
    ["training", seconds(s.cross_entropy), seconds(s.mopro)],
    ["evaluation, after each epoch", seconds(s.cross_entropy_evaluation), seconds(s.mopro_evaluation)],
    ...(s.data === undefined ? [] : [["drawing the images", ...both(seconds(s.data))]]),
    ["compiling the network", ...both(seconds(s.compile))],
    ["all of the above", ...both(seconds(s.total))],
    ["set-up: packages, compiler, runtime", ...both(seconds(s.setup))],
  ];
  const lines = rows.map(([a, b, c, d = ""]) => `${a.padEnd(36)}${b.padStart(14)}${c.padStart(10)}${d}`.trimEnd());
  const notes = [
    "Wrong labels corrected: of the training images with a wrong label, the share that had their true class as label",
    "in the last epoch. Out-of-class images dropped: of the training images that show none of the classes, the share",
    "that did not influence classifier and prototypes in the last epoch.",
  ];
  const rule = "-".repeat(60);
  return [rule, ...lines, rule, ...(wrong || out ? notes : ["unknown: the data has no truth.json"])].join("\n");
}
