// Estimates how long NCCL's collectives take on nodes of eight H100 or H200, from the latencies in NCCL's own model,
// and from bandwidths and measurements that others have published. docs/scaling.md has the sources. Surprising: NCCL's
// model is too optimistic for medium sizes, so the difference between published measurements and the model is added.

/** A node, and the network between nodes. Bandwidths are NCCL's bus bandwidths of large messages, in GB/s. */
export const cluster = {
  gpus: 8, // per node
  ring: 370, // within a node, without reduction in the switches
  nvls: 480, // within a node, NVLink SHARP
  net: 370, // between nodes with eight NICs of 400 Gb/s
  overhead: 1, // microseconds that the host needs to post a message; NCCL assumes 1 for Intel, 2 for AMD
};

/**
 * Latencies in microseconds from NCCL 2.30 (src/graph/tuning.cc): [base, per step over NVLink, per step over the net].
 */
const latency = {
  ring: { LL: [6.6, 0.6, 2.7], LL128: [14, 1.9, 4], Simple: [8.4, 3.4, 14] },
  tree: { LL: [6.8, 0.6, 5], LL128: [14, 1.25, 8.5], Simple: [8.4, 4, 14] },
  nvls: [0, 25, 20.9],
};
const llLimit = (nodes) => (nodes === 1 ? 141 : nodes === 2 ? 39 : 20.4); // GB/s of the protocol LL
const share = { LL: 0.5, LL128: 0.92, Simple: 1 }; // of the bandwidth that is left for data

/**
 * The time in microseconds that NCCL's model predicts for the fastest algorithm and protocol. `bytes`: the whole vector
 * of an all_reduce, or the parts of all ranks of an all_gather.
 */
export function reckoned(op, bytes, ranks, c = cluster) {
  if (ranks === 1) return 0;
  const nodes = Math.ceil(ranks / c.gpus);
  const local = Math.min(ranks, c.gpus);
  const levels = Math.floor(Math.log2(nodes));
  const bus = nodes === 1 ? c.ring : c.net;
  const rounds = op === "all_reduce" ? 2 : 1;
  const ways = [];
  const add = (lat, gbps) => ways.push(lat + bytes / (1e3 * gbps));
  const perByte = ranks / (rounds * (ranks - 1)); // bus bandwidth -> bandwidth of the vector
  for (const [protocol, [base, link, net]] of Object.entries(latency.ring)) {
    const within = nodes === 1 ? link : Math.max(link, c.overhead * (protocol === "Simple" ? 3 : 1));
    const speed = protocol === "LL" ? Math.min(llLimit(nodes), bus * share.LL) : bus * share[protocol];
    add(base + rounds * ((ranks - nodes) * within + (nodes - 1) * net), speed * perByte);
  }
  if (op === "all_reduce") {
    for (const [protocol, [base, link, net]] of Object.entries(latency.tree)) {
      const speed = protocol === "LL" ? Math.min(llLimit(nodes), (bus * 0.92) / 3.8) : bus * 0.92 * share[protocol];
      add(base + 2 * ((local - 1) * link + levels * net), speed / 2);
    }
  }
  const [base, link, net] = latency.nvls;
  if (local === c.gpus && (nodes === 1 || op === "all_reduce"))
    add(base + link + rounds * levels * net, (nodes === 1 ? c.nvls : c.net) * perByte);
  return Math.min(...ways);
}

const table = (ranks, factor, rows) =>
  rows.map(([kib, busbw]) => ({ ranks, bytes: kib * 1024, us: (kib * 1024 * factor) / (1e3 * busbw) }));

/** Published measurements of all-reduces: KiB and bus bandwidth in GB/s, as printed. */
export const measured = {
  "8 H200, NVLink, NCCL 2.30.7, nccl-tests": table(8, 14 / 8, [
    [32, 3.2],
    [64, 6.26],
    [128, 12.4],
    [256, 24.63],
    [512, 48.3],
    [1024, 72.45],
    [2048, 91.48],
    [4096, 139.97],
    [8192, 182.03],
    [16384, 242.45],
    [32768, 298.44],
    [65536, 369.82],
    [131072, 411.21],
    [262144, 442.27],
    [524288, 455.82],
    [1048576, 464],
  ]),
  "4 nodes of 8 B200, 8 x 400 Gb/s, PyTorch": table(32, 62 / 32, [
    [32, 0.65],
    [64, 1.27],
    [128, 2.35],
    [256, 4.06],
    [512, 6.99],
    [1024, 12.47],
    [2048, 20.79],
    [4096, 31.63],
    [8192, 50.61],
    [16384, 71.8],
    [32768, 142.9],
    [65536, 197.77],
    [131072, 260.5],
    [262144, 283.23],
    [524288, 309.91],
    [1048576, 365.99],
  ]),
};

/**
 * The differences, in microseconds, between a table's measurements and NCCL's model. rising() averages neighbours that
 * fall with the size, so that the result rises.
 */
function excessOf({ ranks, bytes, us }) {
  return { bytes, us: Math.max(0, us - reckoned("all_reduce", bytes, ranks)) };
}
function rising(rows) {
  const runs = [];
  for (const row of rows.map(excessOf)) {
    let run = { us: row.us, rows: 1, sizes: [row.bytes] };
    while (runs.length > 0 && runs.at(-1).us > run.us) {
      const before = runs.pop();
      const n = before.rows + run.rows;
      run = { us: (before.us * before.rows + run.us * run.rows) / n, rows: n, sizes: [...before.sizes, ...run.sizes] };
    }
    runs.push(run);
  }
  return runs.flatMap(({ us, sizes }) => sizes.map((bytes) => ({ bytes, us })));
}
const [ofNode, ofNet] = Object.values(measured).map(rising);

/** Interpolates in the logarithm of the size between the two nearest rows; outside the table, its first or last row. */
function at(rows, bytes) {
  const next = rows.findIndex((r) => r.bytes >= bytes);
  if (next <= 0) return rows.at(next).us; // 0: the first, -1: the last
  const [a, b] = [rows[next - 1], rows[next]];
  return a.us + ((b.us - a.us) * Math.log(bytes / a.bytes)) / Math.log(b.bytes / a.bytes);
}

const vector = (op, bytes, ranks) => (op === "all_gather" ? bytes * ranks : bytes);

/** Microseconds of a collective on `ranks` GPUs with `bytes` per rank, by an optimistic and a pessimistic model. */
export const networks = {
  /** The time of NCCL's own model. */
  reckoned: (op, bytes, ranks, c = cluster) => reckoned(op, vector(op, bytes, ranks), ranks, c),
  /**
   * NCCL's model, plus the excess of measurements over it. An all_gather has half of the excess, because it goes round
   * once and an all_reduce twice.
   */
  measured: (op, bytes, ranks, c = cluster) => {
    if (ranks === 1) return 0;
    const all = vector(op, bytes, ranks);
    return reckoned(op, all, ranks, c) + at(ranks <= c.gpus ? ofNode : ofNet, all) * (op === "all_gather" ? 0.5 : 1);
  },
};
