// What messages say of names and other texts of a model. A model is not trusted: its names may be of any length and may
// have characters that a terminal takes for commands.

const MOST_NAME = 100; // characters of one name
const MOST_WORD = 300; // of a word in a message
const MOST_MESSAGE = 8000;

/** The text with control characters and invisible ones as JSON escapes them. */
const escaped = (s: string): string =>
  s.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => {
    const short = JSON.stringify(c).slice(1, -1);
    const code = (c.codePointAt(0) as number).toString(16);
    return short !== c ? short : code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
  });

const cut = (s: string, most: number): string => (s.length > most ? `${s.slice(0, most)}...` : s);

/** A text of a model as messages show it: escaped, and cut after `most` characters. */
export const shown = (text: string | null | undefined, most: number = MOST_NAME): string =>
  cut(escaped((text ?? "").slice(0, most + 1)), most);

/** The result of `f`. The message of an error that it throws is escaped and cut. */
export function withShownErrors<T>(f: () => T): T {
  try {
    return f();
  } catch (e) {
    if (e instanceof Error) {
      const few = cut(e.message, 100 * MOST_MESSAGE).replace(/\S{301,}/g, (word) => cut(word, MOST_WORD));
      e.message = cut(escaped(few), MOST_MESSAGE);
    }
    throw e;
  }
}
