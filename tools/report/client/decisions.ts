/// <reference lib="dom" />
// Decisions about images, taken on the page of a cleaning. They are kept in the browser, and saved as a file that
// `moproc clean --decisions FILE` applies.

import type { CleanData, DecidedImage } from "../clean_data.js";
import { el, whole } from "./dom.js";

export type Decision = Omit<DecidedImage, "image">;

export class Decisions {
  private readonly key: string;
  private readonly all: Map<string, Decision>;
  private readonly listeners: (() => void)[] = [];

  constructor(private readonly data: CleanData) {
    this.key = `moproc decisions ${data.sha256.report}`;
    this.all = new Map(
      this.stored()
        .filter((d) => d.decision !== "relabel" || typeof d.class === "number")
        .map(({ image, ...d }) => [image, d]),
    );
  }

  of(image: string): Decision | undefined {
    return this.all.get(image);
  }

  get size(): number {
    return this.all.size;
  }

  /** Decides about an image, or takes a decision back. */
  set(image: string, decision: Decision | undefined): void {
    if (decision) this.all.set(image, decision);
    else this.all.delete(image);
    try {
      localStorage.setItem(this.key, JSON.stringify(this.list()));
    } catch {
      // a browser without storage for files: the decisions last as long as the page
    }
    for (const f of this.listeners) f();
  }

  onChange(f: () => void): void {
    this.listeners.push(f);
  }

  /** The content of the file. */
  text(): string {
    const lines = this.list().map((d) => `  ${JSON.stringify(d)}`);
    return `{"format": "moproc-decisions-1",\n "decisions": [\n${lines.join(",\n")}\n]}\n`;
  }

  private list(): readonly DecidedImage[] {
    const named = (d: Decision): Decision => {
      const name = typeof d.class === "number" ? this.data.names?.[d.class] : undefined;
      return name === undefined ? d : { ...d, name };
    };
    return [...this.all].map(([image, d]) => ({ image, ...named(d) })).sort((a, b) => (a.image < b.image ? -1 : 1));
  }

  /** What this browser has from an earlier visit, or else what the cleaning has applied. */
  private stored(): readonly DecidedImage[] {
    try {
      const text = localStorage.getItem(this.key);
      if (text !== null) return JSON.parse(text) as readonly DecidedImage[];
    } catch {
      // no storage, or not ours
    }
    return this.data.decided;
  }
}

/** The button that saves the file, with the number of decisions, and how to apply it. */
export function saving(decisions: Decisions): HTMLElement {
  const name = "decisions.json";
  const button = el("button", { type: "button", "data-save": "", click: () => download(name, decisions.text()) });
  const show = (): void => {
    const n = decisions.size;
    button.textContent = `Save ${whole(n)} ${n === 1 ? "decision" : "decisions"}`;
    button.toggleAttribute("disabled", n === 0);
  };
  decisions.onChange(show);
  show();
  const how = el("span", {}, "then repeat the command with ", el("code", {}, `--decisions ${name}`));
  return el("div", { class: "controls" }, button, how);
}

function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = el("a", { href: url, download: name });
  link.click();
  URL.revokeObjectURL(url);
}
