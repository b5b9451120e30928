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

const SHOWN = 20; // reasons in one message

/** One message of these reasons, one for each node that is not supported. */
export function refusalText(all: readonly string[]): string {
  const more = all.length > SHOWN ? `; and ${all.length - SHOWN} more` : "";
  const few = all.slice(0, SHOWN).join("; ");
  return all.length === 1 ? few : `${all.length} of its nodes are not supported: ${few}${more}`;
}
