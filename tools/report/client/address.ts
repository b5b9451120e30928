/// <reference lib="dom" />
// The choices of a page in its address, behind the #. A copied link and a reload show the same view.

/** The values by name; a name that is not there has "". */
export function fromAddress(): URLSearchParams {
  return new URLSearchParams(location.hash.slice(1));
}

/** Puts the values that are not "" into the address, without an entry in the history. */
export function toAddress(values: Readonly<Record<string, string>>): void {
  const given = Object.entries(values).filter(([, v]) => v !== "");
  const hash = new URLSearchParams(given).toString();
  if (hash !== location.hash.slice(1)) history.replaceState(null, "", hash === "" ? location.pathname : `#${hash}`);
}
