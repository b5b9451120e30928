/// <reference lib="dom" />
// The images on the page of a cleaning: filters, cards, and decisions by mouse and keyboard.

import type { CleanData, Thumbnail, Verdict } from "../clean_data.js";
import { fromAddress, toAddress } from "./address.js";
import { type Decision, Decisions, saving } from "./decisions.js";
import { choice, classLabel, el, labelled, score, whole } from "./dom.js";

export const hues: Readonly<Record<Verdict, string>> = {
  kept: "#2f8f83",
  relabelled: "#d98e1f",
  dropped: "#c4513a",
  unreadable: "#7d8794",
};

/** The orders of cards: those with lower values of the function come first. */
const orders: Readonly<Record<string, (t: Thumbnail) => number>> = {
  "smallest margin": (t) => t.margin ?? 1,
  "largest margin": (t) => -(t.margin ?? 0),
  "lowest score of the given class": (t) => t.score?.[0] ?? 1,
  "highest best score": (t) => -(t.score?.[1] ?? 0),
  "given class": (t) => t.given,
};
const firstOrder = Object.keys(orders)[0] as string;

/** The filters, by their names in the address; "" shows everything. */
const filterNames = ["verdict", "given", "assigned", "decided", "find", "sort"] as const;
type Filters = Record<(typeof filterNames)[number], string>;

const filtersOfAddress = (): Filters => {
  const from = fromAddress();
  return Object.fromEntries(filterNames.map((n) => [n, from.get(n) ?? ""])) as Filters;
};

/** Filters, the images that they show, and the button that saves the decisions. */
export function gallery(data: CleanData): readonly HTMLElement[] {
  const label = (c: number): string => classLabel(c, data.classes[c]?.name);
  const decisions = new Decisions(data);
  const cards = el("div", { class: "cards" });
  // An image that the list has several times may have several cards.
  decisions.onChange(() => {
    for (const c of cards.children) if (!c.contains(document.activeElement)) c.dispatchEvent(new Event("decided"));
  });
  const count = el("span", { class: "count" });
  let filters = filtersOfAddress();

  const shows = (t: Thumbnail): boolean =>
    (filters.verdict === "" || t.verdict === filters.verdict) &&
    (filters.given === "" || `${t.given}` === filters.given) &&
    (filters.assigned === "" || `${t.pseudo ?? "none"}` === filters.assigned) &&
    (filters.decided === "" || (decisions.of(t.image)?.decision ?? "none") === filters.decided) &&
    t.image.toLowerCase().includes(filters.find.toLowerCase());
  const fill = (): void => {
    const by = orders[filters.sort] ?? (orders[firstOrder] as (t: Thumbnail) => number);
    const shown = data.thumbnails.filter(shows).toSorted((a, b) => by(a) - by(b));
    cards.replaceChildren(...shown.map((t) => card(t, label, decisions)));
    count.textContent = `${whole(shown.length)} of ${whole(data.thumbnails.length)} pictures`;
    for (const b of buttons) b.setAttribute("aria-pressed", String(b.dataset.only === (filters.verdict || "all")));
    for (const [name, field] of Object.entries(fields)) field.value = filters[name as keyof Filters];
  };
  const set = (name: keyof Filters, value: string): void => {
    filters = { ...filters, [name]: value };
    toAddress(filters);
    fill();
  };
  addEventListener("hashchange", () => {
    filters = filtersOfAddress();
    fill();
  });

  const button = (v: Verdict | undefined): HTMLElement =>
    el(
      "button",
      {
        type: "button",
        "data-only": v ?? "all",
        style: `--hue:${v ? hues[v] : "currentColor"}`,
        click: () => set("verdict", v ?? ""),
      },
      v ?? "all",
    );
  const buttons = [undefined, "kept", "relabelled", "dropped"].map((v) => button(v as Verdict | undefined));
  const classesOf = (of: (t: Thumbnail) => number | null): (readonly [string, string])[] =>
    [...new Set(data.thumbnails.map(of))]
      .filter((c) => c !== null)
      .sort((a, b) => a - b)
      .map((c) => [`${c}`, label(c)]);
  const any = ["", "any"] as const;
  const fields = {
    given: choice("given class", [any, ...classesOf((t) => t.given)], (v) => set("given", v)),
    assigned: choice("assigned class", [any, ["none", "none (dropped)"], ...classesOf((t) => t.pseudo)], (v) =>
      set("assigned", v),
    ),
    decided: choice(
      "decision",
      [any, ["none", "not yet"], ["keep", "keep"], ["drop", "drop"], ["relabel", "relabel"]],
      (v) => set("decided", v),
    ),
    find: el("input", {
      type: "search",
      placeholder: "part of the path",
      "aria-label": "path",
      input: (e) => set("find", (e.target as HTMLInputElement).value),
    }) as HTMLInputElement,
    sort: choice(
      "sort by",
      Object.keys(orders).map((o) => [o === firstOrder ? "" : o, o]),
      (v) => set("sort", v),
    ),
  };
  fill();
  return [
    el("div", { class: "controls" }, ...buttons, count),
    el(
      "div",
      { class: "controls" },
      labelled("given ", fields.given),
      labelled("assigned ", fields.assigned),
      labelled("decided ", fields.decided),
      labelled("path ", fields.find),
      labelled("sort by ", fields.sort),
    ),
    saving(decisions),
    el(
      "p",
      { class: "keys" },
      "On a picture, the keys ",
      ...["k", "d", "r", "u"].flatMap((k, i) => [
        el("kbd", {}, k),
        [" keep, ", " drop, ", " relabel, ", " undo; "][i] as string,
      ]),
      "the arrows go to the next one.",
    ),
    el("datalist", { id: "classes" }, ...data.classes.map((_, c) => el("option", { value: label(c) }))),
    cards,
  ];
}

/** A picture with its classes, scores and decision. */
function card(t: Thumbnail, label: (c: number) => string, decisions: Decisions): HTMLElement {
  const named = (c: number | null | undefined): string => (c === null || c === undefined ? "none" : label(c));
  const both = (pair: Thumbnail["cls"]): string => `${score(pair?.[0])} / ${score(pair?.[1])}`;
  const hint =
    `${t.image}\nbest ${named(t.best)}\nof the given and the best class:\nclassifier ${both(t.cls)}\nprototypes ` +
    `${both(t.proto)}`;
  const decided = el("div", { class: "decided" });
  const choices = el("div", { class: "choices" });
  const line = (what: string, text: string, name: string): HTMLElement =>
    el("div", { class: "line", [`data-${name}`]: "" }, el("span", {}, what), el("b", { title: text }, text));
  const self = el(
    "div",
    {
      class: "card",
      style: `--hue:${hues[t.verdict]}`,
      title: hint,
      tabindex: "0",
      "data-verdict": t.verdict,
      "data-image": t.image,
      keydown: (e) => keys(e as KeyboardEvent),
      decided: () => show(),
    },
    el("img", { src: t.jpeg, alt: t.image, loading: "lazy" }),
    line("given", named(t.given), "given"),
    line("assigned", t.pseudo === null ? "none (dropped)" : named(t.pseudo), "assigned"),
    el("div", {}, `given ${score(t.score?.[0])}  best ${score(t.score?.[1])}`),
    el("div", {}, `margin ${score(t.margin)}`),
    decided,
    choices,
  );
  const decide = (d: Decision | undefined): void => {
    decisions.set(t.image, d);
    show();
  };
  const act: Readonly<Record<string, () => void>> = {
    k: () => decide({ decision: "keep" }),
    d: () => decide({ decision: "drop" }),
    r: () => ask(),
    u: () => decide(undefined),
  };
  const press = (key: string, text: string, name: string): HTMLElement => {
    const pressed = decisions.of(t.image)?.decision === name;
    return el(
      "button",
      {
        type: "button",
        tabindex: "-1",
        "data-decide": name,
        "aria-pressed": String(pressed),
        click: () => act[key]?.(),
      },
      text,
    );
  };
  const show = (): void => {
    const d = decisions.of(t.image);
    self.dataset.decision = d?.decision ?? "";
    decided.textContent = d ? `by hand: ${d.decision}${d.decision === "relabel" ? ` to ${named(d.class)}` : ""}` : "";
    choices.replaceChildren(
      press("k", "keep", "keep"),
      press("d", "drop", "drop"),
      press("r", "relabel", "relabel"),
      ...(d ? [press("u", "undo", "undo")] : []),
    );
  };
  /** Asks for the new class: by number, or as the list of classes has it. */
  const ask = (): void => {
    const field = el("input", {
      list: "classes",
      placeholder: "class",
      "aria-label": "new class",
      input: () => field.setCustomValidity(""),
      keydown: (e) => {
        e.stopPropagation();
        const { key } = e as KeyboardEvent;
        if (key === "Escape") end();
        if (key === "Enter") take();
      },
      change: () => take(),
    }) as HTMLInputElement;
    const end = (): void => {
      show();
      self.focus();
    };
    const take = (): void => {
      const c = classOf(field.value);
      if (c === undefined) {
        field.setCustomValidity("not one of the classes");
        field.reportValidity();
        return;
      }
      decisions.set(t.image, { decision: "relabel", class: c });
      end();
    };
    choices.replaceChildren(field);
    field.focus();
  };
  const classOf = (text: string): number | undefined => {
    const options = [...document.querySelectorAll<HTMLOptionElement>("#classes option")].map((o) => o.value);
    const named_ = options.findIndex((o) => o === text.trim() || o.replace(/^\d+ /, "") === text.trim());
    if (named_ >= 0) return named_;
    return /^\d+$/.test(text.trim()) && Number(text) < options.length ? Number(text) : undefined;
  };
  const keys = (e: KeyboardEvent): void => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
    const next = step === undefined ? undefined : step > 0 ? self.nextElementSibling : self.previousElementSibling;
    if (step === undefined && !act[e.key]) return;
    e.preventDefault();
    act[e.key]?.();
    (next as HTMLElement | null | undefined)?.focus();
  };
  show();
  return self;
}
