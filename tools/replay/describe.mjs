// Reports as text.

import { exponent } from "./numbers.mjs";

/**
 * "step 3, clean, loss_cls[group 1]: 1.5 against 1.4: absolute 1.0e-1, relative 7.1e-2, 838860 ULP; allowed
 * 1.0e-5"
 */
export function line(q) {
  const at = q.step === undefined ? "" : `step ${q.step}, ${q.phase}, `;
  const element = q.index && q.index.length > 0 ? ` [${q.index}]` : "";
  const [absolute, relative, allowed] = [q.absolute, q.error, q.allowed].map(exponent);
  const numbers = `absolute ${absolute}, relative ${relative}, ${q.ulp} ULP; allowed ${allowed}`;
  return `${at}${q.tensor}:${element} ${q.a} against ${q.b}: ${numbers}`;
}

export function summarise(a, b, r) {
  const how = r.free ? "free-running, within 10 times the variants' spread" : "each step by its own tolerance";
  return [
    `${a} against ${b}: ${r.steps} steps, ${how}`,
    ...r.notes.map((n) => `  note: ${n}`),
    ...Object.entries(r.worst).map(([kind, q]) => `  worst ${kind}: ${line(q)}`),
    `first difference: ${r.first ? line(r.first) : "none, equal to the last bit"}`,
    `first beyond tolerance: ${r.beyond ? line(r.beyond) : "none"}`,
  ].join("\n");
}

export function describe(a, b, r) {
  return [
    `${a} against ${b}: ${r.compared} values in both,` + ` ${r.onlyA.length} only in A, ${r.onlyB.length} only in B`,
    ...(r.list ?? []).map((q) => `  ${line(q)}`),
    ...(r.worst ? [`worst: ${line(r.worst)}`] : []),
    `first difference: ${r.first ? line(r.first) : "none, equal to the last bit"}`,
    `first beyond tolerance: ${r.beyond ? line(r.beyond) : "none"}`,
  ].join("\n");
}
