// What a flag and a verb of the command line are: one record each, from which parsing, help and tests are made.
// A new verb is a file with such a record and its line in verbs.ts.

/** How the text of a value is read. */
export interface Kind {
  /** Which values there are, as help and errors say it. */
  readonly range?: string;
  /** The value of a text. Throws InvalidArgumentError, with the range in its message, for a text that has none. */
  readonly parse: (text: string) => unknown;
}

/** A flag of a verb. */
export interface Flag {
  /** All spellings; the option that a verb reads is called by the last: --batch-size is `batchSize`. */
  readonly names: readonly string[];
  /** Unit or kind of the value, in capitals; a flag without one is a switch. "N..." takes several values. */
  readonly unit?: string;
  readonly kind?: Kind; // any text where there is none
  readonly default?: unknown; // the value when the flag is not given
  readonly shown?: string; // the default as help says it, if it is no plain value
  readonly needed?: true;
  readonly section: string; // the heading of help that it stands under
  readonly help: string; // one sentence
  /** Of a verb that runs a training binary: the binary gets the flag as well. Otherwise it is used up here. */
  readonly passedOn?: true;
}

/** What stood on the command line for a verb. */
export interface Given {
  readonly options: Options;
  readonly args: readonly string[]; // without flags
  readonly argv: readonly string[]; // everything behind the verb, as it was typed
  readonly flags: readonly Flag[]; // those of the verb, with the training binary's where it runs one
  /** Whether an option was given, and is not the default. */
  said(option: string): boolean;
}

/** Values by the flags' names in camel case. */
export type Options = Readonly<Record<string, unknown>>;

/** A verb, or a family of verbs such as `data`. */
export interface Verb {
  readonly name: string;
  readonly usage: string; // what follows the name
  readonly purpose: string; // one sentence, also for the list of verbs
  readonly more?: string; // further sentences for its own page
  readonly arguments?: readonly { readonly name: string; readonly help: string }[]; // NAME, [NAME] or [NAME...]
  readonly flags?: readonly Flag[];
  /** It runs a training binary: the binary's flags of this verb are flags of it, too. */
  readonly trains?: true;
  /** Commands that can be run as they are printed; those of all verbs, in order, are one walk through everything. */
  readonly examples?: readonly string[];
  readonly verbs?: readonly Verb[]; // of a family
  /** Another verb of the same name, which a flag chooses. */
  readonly instead?: { readonly flag: string; readonly verb: Verb };
  /** A program of build/native that does it, with its own flags and help. */
  readonly native?: { readonly tool: string; readonly args: readonly string[] };
  run?(given: Given): Promise<void> | void;
}

/** The headings of help that flags of several verbs stand under. */
export const sections = {
  compiled: "network and device (compiled in: for other values another artefact is built)",
  run: "data and run",
  output: "output",
} as const;
