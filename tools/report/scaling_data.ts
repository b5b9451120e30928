// The data of the page about scaling: the JSON of npm run scaling (tools/scaling). Parts that were not requested are
// missing.

export interface Spread {
  readonly median: number;
  readonly low: number; // lower quartile
  readonly high: number;
}

/**
 * Seconds of a step of one rank (`alone`), of two ranks that share a batch (`together`), and of two independent runs at
 * the same time (`apart`).
 */
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
  readonly waited: Spread; // share of a step in which rank 0 waited
  readonly others: Spread; // share of the cores that other processes used meanwhile
  readonly disturbed: boolean; // whether that share was too large in nearly all rounds
}

/** The bytes that a rank sends per step. */
export interface Wire {
  readonly phase: string;
  readonly ranks: number;
  readonly images_a_rank: number;
  readonly sent: Readonly<Record<string, number>> & { readonly total: number };
  readonly exchange: number; // if key images are exchanged
  readonly least: number;
  readonly published: Readonly<Record<string, number>> & { readonly total: number };
}

/** good, bad: the optimistic and the pessimistic assumptions about network and kernels. */
export type End = "good" | "bad";

export interface SimulatedStep {
  readonly gpus: number;
  readonly images_a_gpu: number;
  readonly end: End;
  readonly step_us: number;
  readonly kernels_us: number;
  readonly collectives_us: number;
  readonly exposed_us: number;
  readonly efficiency: number; // compared with one GPU
  readonly images_per_s: number;
}

export interface Span {
  readonly kind: string; // of the data that is sent; "waiting" if the kernels wait
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
