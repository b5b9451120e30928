// The results as tables for a terminal.

import { mb, ms, percent, show, whole } from "./table.mjs";
import { kinds } from "./wire.mjs";

const withQuartiles = ({ median, low, high }, of) => `${of(median)} (${of(low)} .. ${of(high)})`;

/** The results of measure() as text. */
export function measuredText(m) {
  const { network, image_size, images_a_rank, rounds, left_out, cpu, cores } = m.settings;
  const time = (s) => withQuartiles(s, (x) => `${(1e3 * x).toFixed(1)} ms`);
  const share = (s) => withQuartiles(s, percent);
  const others = m.disturbed
    ? "other processes used this machine all the time: the times say little, compare the processor time"
    : `rounds left out because other processes used more than a tenth of the cores: ${left_out}`;
  return `Measured: ${network} at ${image_size} pixels, ${images_a_rank} images and one thread per rank
on ${cores} cores (${cpu}); medians (quartiles) of ${rounds} rounds; ${others}

${show(
  ["step of", "time"],
  [
    ["one rank", time(m.alone_s)],
    ["two ranks, twice the batch", time(m.together_s)],
    ["one rank, beside an independent run", time(m.apart_s)],
  ],
)}
${show(
  ["ratios, each within a round", ""],
  [
    ["weak scaling: one rank / two ranks", share(m.efficiency)],
    ["limit of the machine: one rank / two independent runs", share(m.machine)],
    ["share of that limit: two independent runs / two ranks", share(m.talking)],
    ["processor time: one rank, twice / two ranks", share(m.cpu)],
    ["processor time: one rank, twice / two independent runs", share(m.cpu_apart)],
    ["share of a step in which rank 0 waited for the other", share(m.waited)],
    ["share of the cores that other processes used meanwhile", share(m.others)],
  ],
)}A rank handed over ${mb(m.sent_bytes)} MB per step.
`;
}

/** The results of cores() as text. */
export function coresText(c) {
  const { network, imageSize, batch, precision, arch, bandwidth, per_core } = c.settings;
  const second = (s) => `${(1e3 * s).toFixed(0)} ms`;
  const two = c.two_predicted;
  return `Predicted for more cores: ${network} at ${imageSize} pixels, ${batch} images, ${precision} (${arch}); one
memory of ${bandwidth} GB/s, of which a core uses at most ${(per_core / 1e9).toFixed(1)} GB/s, as measured

${show(
  ["cores", "step", "images/s", "efficiency", "waits for memory", "waits for the last tasks"],
  c.rows.map((r) => [
    r.cores,
    second(r.seconds),
    (batch / r.seconds).toFixed(1),
    percent(c.one_s / r.seconds / r.cores),
    percent(r.memory),
    percent(r.tasks),
  ]),
)}Measured on one core: ${second(c.one_s)}; on two: ${second(c.two_s)}, predicted ${second(two.seconds)}.
`;
}

/** The rows of wire() as text. */
export function wireText(rows) {
  const used = kinds.filter((k) => rows.some((r) => r.sent[k] > 0));
  const cells = rows.map((r) => [
    `${r.images_a_rank}, ${r.ranks}, ${r.phase}`,
    ...used.map((k) => mb(r.sent[k])),
    mb(r.sent.total),
    (r.sent.total / r.least).toFixed(4),
    mb(r.exchange),
    mb(r.published.total),
    (r.published.total / r.sent.total).toFixed(2),
  ]);
  const head = [
    "images per rank, ranks, phase",
    ...used,
    "all",
    "/ least",
    "keys exchanged",
    "published, in PyTorch",
    "/ ours",
  ];
  return `On the wire: MB that a rank sends in a step, from the plan\n${show(head, cells)}`;
}

const keys = ["gpus", "images_a_gpu", "bucket_bytes", "last_bytes", "shuffle", "change", "slower"];
/** Pairs of the rows for the good and the bad end that are otherwise the same. */
const pairs = (rows) =>
  rows
    .filter((r) => r.end === "good")
    .map((good) => [good, rows.find((r) => r.end === "bad" && keys.every((k) => r[k] === good[k]))]);
const range = ([good, bad], of) => `${of(good)} .. ${of(bad)}`;
const label = ([r]) => `${r.images_a_gpu}, ${r.gpus}`;

/** The results of simulations() as text. */
export function simulatedText(s) {
  const { network, phase, cluster } = s.settings;
  return `Simulated, nothing of it was run: ${network}, ${phase} phase, bf16, H200, ${cluster.gpus} GPUs per node,
${cluster.net} GB/s between nodes; good .. bad end of what is not known
${steps(s.steps)}
Milliseconds of a step by the size of buckets in MB (33.6 is compiled in); "1.0 MB last": at most 1.0 MB is left to
send after the backward pass
${buckets(s.buckets)}
Efficiency as it is, with a change that is not implemented, and with kernels that take 1.5 times the predicted time
${changes(s.changes)}
How key images reach the rank that encodes them
${shuffles(s.shuffles)}`;
}

const steps = (rows) =>
  show(
    ["images per GPU, GPUs", "step, ms", "kernels", "collectives", "not hidden", "efficiency", "images/s, at most"],
    pairs(rows).map((p) => [
      label(p),
      range(p, (r) => ms(r.step_us)),
      ms(p[0].kernels_us),
      range(p, (r) => ms(r.collectives_us)),
      range(p, (r) => ms(r.exposed_us)),
      range(p, (r) => percent(r.efficiency)),
      range(p, (r) => whole(r.images_per_s)),
    ]),
  );

/** The pairs grouped by label, in their order, with one line per label. */
function lines(of, labelOf, cell) {
  const found = new Map();
  for (const p of of) found.set(labelOf(p), [...(found.get(labelOf(p)) ?? []), cell(p)]);
  return [...found].map(([name, cells]) => [name, ...cells]);
}

function buckets(rows) {
  const sizes = [...new Set(rows.map((r) => mb(r.bucket_bytes)))];
  const name = (p) => `${label(p)}${p[0].last_bytes === null ? "" : ", 1.0 MB last"}`;
  return show(
    ["images per GPU, GPUs", ...sizes],
    lines(pairs(rows), name, (p) => range(p, (r) => ms(r.step_us))),
  );
}

const changes = (rows) =>
  show(
    ["images per GPU, GPUs", "as it is", "last bucket 1.0 MB", "as it is, slower kernels"],
    lines(pairs(rows), label, (p) => range(p, (r) => percent(r.efficiency))),
  );

const shuffles = (rows) =>
  show(
    ["images per GPU, GPUs", "step, ms", "efficiency", "work memory"],
    pairs(rows).map((p) => [
      `${label(p)}, ${p[0].shuffle}`,
      range(p, (r) => ms(r.step_us)),
      range(p, (r) => percent(r.efficiency)),
      `${(p[0].work_bytes / 1e9).toFixed(1)} GB`,
    ]),
  );
