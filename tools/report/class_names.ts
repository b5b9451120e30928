// Names of classes as pages show them.

/**
 * Names of `count` classes, "" for those that have none. Of a synset, "n01440764 tench, Tinca tinca", that is the first
 * name, without the id and the synonyms.
 */
export const shownNames = (names: readonly string[] | null, count: number): readonly string[] =>
  Array.from({ length: count }, (_, c) => {
    const name = names?.[c] ?? "";
    const synset = /^n\d{8}\s+([^,]+)/.exec(name);
    return synset?.[1]?.trim() ?? name;
  });
