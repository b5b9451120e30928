// The records of flags and verbs. Parsing, help and tests are made from them. A new verb is a file with such a record,
// and a line in verbs.ts.

/** How the text of a value is parsed. */
export interface Kind {
  /** The possible values, in the words of help and errors. */
  readonly range?: string;
  /** The value of a text. Throws InvalidArgumentError, with the range in its message, if the text is not valid. */
  readonly parse: (text: string) => unknown;
}

/** A flag of a verb. */
export interface Flag {
  /** All names. The last one names the option that a verb reads: --batch-size is `batchSize`. */
  readonly names: readonly string[];
  /** Unit or kind of the value, in capitals; a flag without one is a switch. "N..." takes several values. */
  readonly unit?: string;
  readonly kind?: Kind; // absent: any text
  readonly repeated?: true; // it may be given several times, and its value is the list of all
  readonly default?: unknown; // the value if the flag is not given
  readonly shown?: string; // the default in the words of help, if it is not a plain value
  readonly needed?: true;
  readonly section: string; // its heading in help
  readonly help: string; // one sentence
  /** For a verb that runs a training binary: whether the flag is passed on to the binary too. */
  readonly passedOn?: true;
}

/** The command line of a verb. */
export interface Given {
  readonly options: Options;
  readonly args: readonly string[]; // without flags
  readonly argv: readonly string[]; // everything after the verb, as it was typed
  readonly flags: readonly Flag[]; // those of the verb, with the training binary's if it runs one
  /** Whether an option was given, so that its value is not the default. */
  said(option: string): boolean;
}

/** Values by the flags' names in camel case. */
export type Options = Readonly<Record<string, unknown>>;

/** A verb, or a family of verbs such as `data`. */
export interface Verb {
  readonly name: string;
  readonly usage: string; // what follows the name
  readonly purpose: string; // one sentence, also for the list of verbs
  readonly more?: string; // further sentences, only for its own page
  readonly arguments?: readonly { readonly name: string; readonly help: string }[]; // NAME, [NAME] or [NAME...]
  readonly flags?: readonly Flag[];
  /** Whether it runs a training binary; the binary's flags for this verb are then flags of the verb, too. */
  readonly trains?: true;
  /** Commands that run as they are printed. Those of all verbs, in order, use each other's results. */
  readonly examples?: readonly string[];
  readonly verbs?: readonly Verb[]; // of a family
  /** Another verb of the same name, which a flag selects. */
  readonly instead?: { readonly flag: string; readonly verb: Verb };
  /** A program of the native part that implements the verb, with its own flags and help. */
  readonly native?: { readonly tool: string; readonly args: readonly string[] };
  run?(given: Given): Promise<void> | void;
}

/** Headings in help for flags that several verbs have. */
export const sections = {
  compiled: "network and device (compiled in: for other values another artefact is built)",
  run: "data and run",
  output: "output",
} as const;
