/** Element types of tensors, as the plan names them. */
export type DType =
  | ("f32" | "bf16" | "f16" | "f64")
  | ("i64" | "i32" | "i16" | "i8" | "u64" | "u32" | "u16" | "u8")
  | "bool";

/**
 * Values of a tensor in logical row-major order (N, C, H, W; weights O, I, H, W). bf16 and f16 are raw 16-bit words.
 */
export type Values =
  | (Float32Array | Float64Array)
  | (BigInt64Array | Int32Array | Int16Array | Int8Array)
  | (BigUint64Array | Uint32Array | Uint16Array | Uint8Array);

export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

export interface StateInfo extends TensorInfo {
  readonly role: "param" | "momentum" | "buffer" | "derived";
}

export interface ProgramInfo {
  readonly name: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly launches: number;
}

export interface LoadOptions {
  /** Number of CPU threads that compute, including the one that waits; default: all cores that this process may use. */
  readonly threads?: number;
  /** The GPU that an artefact for CUDA runs on, an index among those that CUDA_VISIBLE_DEVICES shows; default: 0. */
  readonly gpu?: number;
  /** Rejects a run at the first NaN or infinity, with tensor, kernel and program in the error. Slow. */
  readonly check?: boolean;
}

export interface RunOptions {
  /** Called on the main thread with finished and total steps; calls may be merged, on a GPU into one at the end. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** A loaded artefact with memory of its own. State is zero until `initState` or `set`. */
export interface Artefact {
  readonly dir: string;
  readonly name: string;
  readonly arch: string;
  readonly meta: Readonly<Record<string, string>>;
  readonly programs: readonly ProgramInfo[];
  readonly state: readonly StateInfo[];
  /** Fills all state from the seed, as the training binary does. */
  initState(seed: number): void;
  /** Returns a copy of a state tensor. Throws if the name is unknown or a run is in progress. */
  get(name: string): Values;
  /**
   * Replaces a state tensor. Throws if the name is unknown, length or element type differ, or a run is in progress.
   */
  set(name: string, values: Values): void;
  /**
   * Writes all state except derived state as safetensors, under the names of `state`. An older state file at `path` is
   * replaced once the new one is complete. Throws if something else is there, or if it cannot be written.
   */
  save(path: string): void;
  /**
   * Replaces all state by that of a file: one that `save`, `OUT/run` or a training run wrote, or a checkpoint of
   * PyTorch. Checks names, types and shapes of all tensors before it changes the first one. Returns notes, for example
   * that a file without momentum lets it begin with zero. Throws, naming file and tensor, if something is missing, does
   * not fit or is left over.
   */
  load_state(path: string): string[];
  /**
   * Runs a program off the main thread; resolves with its outputs by name. Every input must be given. Rejects with an
   * Error that names program and tensor if an input does not fit, and if another run is in progress.
   */
  run(program: string, inputs: Readonly<Record<string, Values>>, options?: RunOptions): Promise<Record<string, Values>>;
}

/**
 * Loads `dir/program.so`. Throws if it is missing, has another version, or is compiled for a CPU or GPU that this
 * machine does not have.
 */
export function load(dir: string, options?: LoadOptions): Artefact;
