// The error that tells a model which is not supported from one that is not valid.

/** A model is valid, as far as it was read, but something in it is not supported. */
export class Unsupported extends Error {
  constructor(
    message: string,
    readonly operators: readonly string[] = [], // that are not supported as they are used
    readonly needed: readonly string[] = [], // values that would have to be constants
  ) {
    super(message);
  }

  /** The same error with the name of the file in front of its message. */
  in(file: string): Unsupported {
    return new Unsupported(`${file}: ${this.message}`, this.operators, this.needed);
  }
}
