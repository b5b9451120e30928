// The properties of a training step that ONNX cannot express, as JSON in the model's metadata: the groups, which inputs
// are state and how it begins, which outputs the program returns; the artefact's name and settings; the metadata of the
// checkpoint with the state.

import type { Graph, Init, Role } from "../ir/types.js";
import { parseJson } from "../util/json.js";

export interface StateHeader {
  readonly name: string;
  readonly role: Role;
  readonly init: Init;
}

export interface StepHeader {
  readonly version: 1;
  readonly groups: number;
  readonly state: readonly StateHeader[]; // in order; all other inputs of the model are inputs of the program
  readonly outputs: readonly string[]; // of the program; all other outputs of the model are new values of state
  readonly updates: number; // number of updates of state
}

/** The name of the artefact of these programs, and its plan's `meta`. */
export interface PlanHeader {
  readonly name: string;
  readonly meta: Readonly<Record<string, string | number>>;
}

/** The keys of these objects in metadata_props. */
export const keys = { step: "moproc.step", plan: "moproc.plan", checkpoint: "moproc.checkpoint" } as const;

/** The header of a program whose outputs have these names in the model. */
export const stepHeader = (g: Graph, outputs: readonly string[]): StepHeader => ({
  version: 1,
  groups: g.groups,
  state: g.state.map(({ name, role, init }) => ({ name, role, init })),
  outputs,
  updates: g.updates.size,
});

type Json = Readonly<Record<string, unknown>>;
const isObject = (v: unknown): v is Json => typeof v === "object" && v !== null && !Array.isArray(v);
const isCount = (v: unknown, least: number): v is number => Number.isSafeInteger(v) && (v as number) >= least;
const isText = (v: unknown): v is string => typeof v === "string" && v !== "";

/** The object at a key of the metadata. Throws if it is missing or not a JSON object. */
function read(metadata: ReadonlyMap<string, string>, key: string): Json {
  const text = metadata.get(key);
  if (text === undefined) throw new Error(`its metadata has no ${key}: moproc export --training did not write it`);
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (e) {
    throw new Error(`metadata ${key}: ${(e as Error).message}`);
  }
  if (!isObject(value)) throw new Error(`metadata ${key} is not a JSON object`);
  return value;
}

function want(ok: boolean, key: string, what: string): void {
  if (!ok) throw new Error(`metadata ${key}: ${what}`);
}

/** The step's header in the metadata of a model. Throws, naming the field, if one is missing or wrong. */
export function readStep(metadata: ReadonlyMap<string, string>): StepHeader {
  const h = read(metadata, keys.step);
  want(h.version === 1, keys.step, `version ${String(h.version)} is not 1`);
  want(isCount(h.groups, 1), keys.step, "groups is not a positive whole number");
  want(isCount(h.updates, 0), keys.step, "updates is not a whole number");
  const { outputs, state } = h;
  want(Array.isArray(outputs) && outputs.every(isText), keys.step, "outputs is not a list of names");
  want(Array.isArray(state), keys.step, "state is not a list");
  for (const s of state as unknown[])
    want(isState(s), keys.step, `state has the entry ${JSON.stringify(s).slice(0, 200)}`);
  return h as unknown as StepHeader;
}

const roles: readonly unknown[] = ["param", "momentum", "buffer", "derived"] satisfies Role[];

function isState(s: unknown): s is StateHeader {
  return (
    isObject(s) && isText(s.name) && roles.includes(s.role) && isObject(s.init) && isInit(s.init as unknown as Init)
  );
}

function isInit(init: Init): boolean {
  switch (init.kind) {
    case "constant":
      return Number.isFinite(init.value);
    case "normal":
      return Number.isFinite(init.std);
    case "uniform":
      return Number.isFinite(init.bound);
    case "unit_columns":
      return true;
    case "copy":
      return isText(init.of);
    default:
      return (init satisfies never) !== init;
  }
}

/** The artefact's header in the metadata of a model. Throws, naming the field, if one is missing or wrong. */
export function readPlan(metadata: ReadonlyMap<string, string>): PlanHeader {
  const h = read(metadata, keys.plan);
  want(isText(h.name) && /^[\w.+-]{1,200}$/.test(h.name), keys.plan, "name is not a valid name");
  const { meta } = h;
  want(
    isObject(meta) && Object.values(meta).every((v) => typeof v === "string" || Number.isFinite(v)),
    keys.plan,
    "meta is not an object of strings and numbers",
  );
  return h as unknown as PlanHeader;
}

/** The metadata of the checkpoint with the model's values. Throws if it is missing or not an object of strings. */
export function readCheckpoint(metadata: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  const h = read(metadata, keys.checkpoint);
  want(
    Object.values(h).every((v) => typeof v === "string"),
    keys.checkpoint,
    "a value is not a string",
  );
  return h as Readonly<Record<string, string>>;
}
