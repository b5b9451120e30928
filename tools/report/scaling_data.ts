// What the page about scaling shows: the JSON of npm run scaling (tools/scaling). Parts that were not asked for are
// missing.

export interface Spread {
  readonly median: number;
  readonly low: number; // quartiles
  readonly high: number;
}

/** Seconds of a step of one rank, of two that share a batch, and of a run beside one that it does not know of. */
export interface Measured {
  readonly settings: Readonly<Record<string, string | number>>;
  readonly rounds: readonly {
    readonly alone: number;
    readonly together: number;
    readonly apart: number;
    readonly waited: number;
  }[];
  readonly efficiency: Spread; // alone / together
  readonly machine: Spread; // alone / apart
  readonly talking: Spread; // apart / together
  readonly cpu: Spread; // processor time of two runs of one rank / of two ranks
  readonly waited: Spread; // share of a step
  readonly others: Spread; // share of the cores that other processes took meanwhile
  readonly disturbed: boolean; // it was too much in nearly all rounds
}

/** Bytes that a rank sends in a step. */
export interface Wire {
  readonly phase: string;
  readonly ranks: number;
  readonly images_a_rank: number;
  readonly sent: Readonly<Record<string, number>> & { readonly total: number };
  readonly exchange: number; // where key images are sent
  readonly least: number;
  readonly published: Readonly<Record<string, number>> & { readonly total: number };
}

/** good, bad: the two ends of what is not known of network and kernels. */
export type End = "good" | "bad";

export interface SimulatedStep {
  readonly gpus: number;
  readonly images_a_gpu: number;
  readonly end: End;
  readonly step_us: number;
  readonly kernels_us: number;
  readonly collectives_us: number;
  readonly exposed_us: number;
  readonly efficiency: number; // beside one GPU
  readonly images_per_s: number;
}

export interface Span {
  readonly kind: string; // of what is sent; "waiting": the kernels wait
  readonly name: string;
  readonly bytes: number;
  readonly begin: number; // microseconds
  readonly end: number;
}

export interface Simulated {
  readonly settings: Readonly<Record<string, unknown>> & { readonly network: string; readonly phase: string };
  readonly steps: readonly SimulatedStep[];
  readonly buckets: readonly (SimulatedStep & { readonly bucket_bytes: number; readonly last_bytes: number | null })[];
  readonly changes: readonly (SimulatedStep & { readonly change: string; readonly slower: number })[];
  readonly timelines: readonly {
    readonly gpus: number;
    readonly images_a_gpu: number;
    readonly end: End;
    readonly step_us: number;
    readonly spans: readonly Span[];
  }[];
}

export interface ScalingData {
  readonly measure?: Measured;
  readonly wire?: readonly Wire[];
  readonly simulate?: Simulated;
}
