// JSON from untrusted files. JSON.parse keeps the last of two equal keys and has no limit on nesting; here both are
// errors.

const MAX_DEPTH = 32;

/** The value of a JSON text. Throws, with the reason, if the text is not JSON, repeats a key or nests over 32 deep. */
export function parseJson(text: string): unknown {
  refuseRepetition(text);
  return JSON.parse(text);
}

/** Looks at brackets, strings and colons only; JSON.parse finds all other errors afterwards. */
function refuseRepetition(text: string): void {
  const open: (Set<string> | undefined)[] = []; // the keys so far of each open object; undefined for an open array
  let string = "";
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "{" || c === "[") {
      if (open.push(c === "{" ? new Set() : undefined) > MAX_DEPTH)
        throw new Error(`nested more than ${MAX_DEPTH} deep`);
    } else if (c === "}" || c === "]") {
      open.pop();
    } else if (c === '"') {
      const start = i++;
      for (; i < text.length && text[i] !== '"'; i++) if (text[i] === "\\") i++;
      string = text.slice(start, i + 1);
    } else if (c === ":") {
      const keys = open.at(-1);
      const key = JSON.parse(string || "null") as string;
      if (keys?.has(key)) throw new Error(`the key ${JSON.stringify(key.slice(0, 100))} appears twice`);
      keys?.add(key);
    }
  }
}
