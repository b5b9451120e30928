// The data of the page about a training run, from its metrics.jsonl.

/** A curve: x in images seen or epochs. */
export interface Curve {
  readonly name: string;
  readonly points: readonly (readonly [number, number])[];
}

export interface TrainData {
  readonly title: string;
  readonly settings: Readonly<Record<string, string | number>>;
  readonly environment: Readonly<Record<string, string | number>>;
  readonly tiles: readonly (readonly [string, string])[]; // label, value
  readonly loss: readonly Curve[]; // x: images seen; mean of the epoch so far
  readonly accuracy: readonly Curve[]; // x: epoch; percent
  readonly rate: readonly Curve[]; // x: epoch
  readonly speed: readonly Curve[]; // x: images seen; images per second
  readonly noise: {
    readonly epochs: readonly number[];
    readonly kept: readonly number[];
    readonly corrected: readonly number[];
    readonly dropped: readonly number[];
  };
}
