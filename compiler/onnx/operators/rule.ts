// A rule says what an operator of ONNX means in ops of the IR, from one version of its definition on.

import type { Value } from "../../ir/types.js";
import type { At } from "../at.js";

/** Appends ops for the node and returns the values of its outputs in order. Throws Refused with the reason. */
export type Build = (at: At) => Value | readonly (Value | undefined)[];

export interface Rule {
  readonly version: number; // of the operator set in which this definition begins
  readonly build: Build;
}

/** The rules of an operator for all its versions, in order. */
export type Rules = Readonly<Record<string, Rule | readonly Rule[]>>;

/** A rule for the definition of this version and all later ones that have no rule of their own. */
export const since = (version: number, build: Build): Rule => ({ version, build });

/** The rule for a version of the operator set; undefined if the operator began later. */
export const ruleFor = (rules: Rule | readonly Rule[], version: number): Rule | undefined =>
  [rules].flat().findLast((r) => r.version <= version);
