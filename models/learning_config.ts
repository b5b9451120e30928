// What settings say about learning, without the code that builds the step: the command line can list it at once.

export const optimizers = ["sgd", "adamw", "lars"] as const;
export type Optimizer = (typeof optimizers)[number];
/** Which parameters decay: all, or those with at least two axes. */
export const decays = ["all", "matrices"] as const;
export type Decays = (typeof decays)[number];

/** The settings that are compiled in. */
export interface LearningConfig {
  readonly optimizer?: Optimizer; // absent: sgd
  readonly decay_params?: Decays; // absent: decayOf(optimizer)
  /** 1: the step has an input hyper.clip_norm. Gradients of a larger norm are scaled down to it. */
  readonly clip_norm?: number;
}

/** What decays if nothing else is said: all with SGD, as published; matrices with the others, as is usual. */
export const decayOf = (optimizer: Optimizer = "sgd"): Decays => (optimizer === "sgd" ? "all" : "matrices");
