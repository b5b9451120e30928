// JSON from files nobody vouches for: JSON.parse keeps the last of two equal keys and nests without limit; here
// both are errors.

const MAX_DEPTH = 32;

/** The value of a JSON text. Throws when it is no JSON, repeats a key or nests more than 32 deep, saying which. */
export function parseJson(text: string): unknown {
  refuseRepetition(text);
  return JSON.parse(text);
}

/** One pass over what matters: brackets, strings, colons. What is no JSON at all is left to JSON.parse. */
function refuseRepetition(text: string): void {
  const open: (Set<string> | undefined)[] = []; // keys of each object around; undefined: an array
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
