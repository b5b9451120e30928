// The data of the page about a training run, from its metrics.jsonl and evaluation.json.

/** A curve: x in images seen or epochs. */
export interface Curve {
  readonly name: string;
  readonly points: readonly (readonly [number, number])[];
}

/** A phase of training, and where it begins. */
export interface PhaseMark {
  readonly name: string;
  readonly samples: number; // images seen before it
  readonly epoch: number; // its first
}

/** What an evaluation says about each class. Lists are by number of the class. */
export interface ClassEvaluation {
  readonly set: string; // the name of the validation images
  readonly epoch: number;
  readonly top1: number; // percent, over all images
  readonly which: "last" | "best" | "last and best";
  readonly images: readonly number[];
  readonly right1: readonly number[];
  readonly right5: readonly number[];
  /** For each class, the class that was seen most often instead, and how often; [-1, 0] if none was. */
  readonly instead: readonly (readonly [number, number])[];
  /** Own class, class seen instead, images: the most frequent ones first. For few classes, all of them. */
  readonly confused: readonly (readonly [number, number, number])[];
}

/** Up to so many classes the confusion is shown as a matrix, above as a list of pairs. */
export const MATRIX_CLASSES = 40;

/** A warning that training goes wrong. */
export interface HealthNote {
  readonly epoch: number;
  readonly text: string;
}

export interface TrainData {
  readonly title: string;
  readonly dataset: string;
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  readonly environment: Readonly<Record<string, string | number | boolean>>;
  readonly tiles: readonly (readonly [string, string])[]; // label, value
  readonly warnings: readonly HealthNote[]; // in their order
  readonly phases: readonly PhaseMark[]; // in their order
  readonly stepLoss: readonly Curve[]; // x: images seen; of single steps
  readonly loss: readonly Curve[]; // x: epoch; mean of the epoch
  readonly stepAccuracy: readonly Curve[]; // x: images seen; percent, of single steps
  readonly accuracy: readonly Curve[]; // x: epoch; percent
  readonly rate: readonly Curve[]; // x: images seen
  readonly speed: readonly Curve[]; // x: images seen; images per second
  readonly noise: {
    readonly epochs: readonly number[];
    readonly kept: readonly number[];
    readonly corrected: readonly number[];
    readonly dropped: readonly number[];
  };
  readonly names: readonly string[] | null; // of the classes; null: they have numbers only
  readonly classes: readonly ClassEvaluation[];
}
