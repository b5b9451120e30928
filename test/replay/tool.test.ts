// tools/replay compare on traces that were made for it: every kind of planted difference is found at its place,
// differences within the tolerances are allowed, and bad input is refused.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { compareRuns, openRun, type Report, replayTool } from "../support/replay.js";

const scratch = join(root, "build", "test");
mkdirSync(scratch, { recursive: true });
const folder = mkdtempSync(join(scratch, "replay-tool-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

type Step = Record<string, unknown>;
interface Made {
  readonly steps: Step[];
  tensors: Record<string, { l2: number; mean: number; first: number[] }>;
}

/** A trace of three steps and two groups; margins as the PyTorch peer gives them. */
const trace = (): Made => ({
  steps: (["warmup", "proto", "clean"] as const).map((phase, i) => ({
    phase,
    loss: [3.5 + i, 3.25],
    loss_cls: [1.5, 1.25],
    loss_inst: [2, 2],
    loss_proto: phase === "warmup" ? [null, null] : [0.5, 0.25],
    acc_cls: [50, 25],
    acc_inst: [75, 0],
    acc_proto: phase === "warmup" ? [null, null] : [25, 25],
    gap_cls: [0.5, 0.5],
    gap_inst: [0.5, 0.5],
    gap_proto: [0.5, 0.5],
    clean: phase === "clean" ? [3, 2] : [null, null],
    target:
      phase === "clean"
        ? [
            [0, 1, 2, 3],
            [3, 2, 1, 0],
          ]
        : [null, null],
    kept:
      phase === "clean"
        ? [
            [1, 1, 1, 0],
            [0, 1, 1, 0],
          ]
        : [null, null],
    margin:
      phase === "clean"
        ? [
            [0.1, 0.1, 0.1, 0.1],
            [0.1, 0.1, 0.1, 0.1],
          ]
        : [null, null],
    grad_l2: { all: 5, "encoder_q.conv1.weight": 4 },
  })),
  tensors: {
    queue: { l2: 4, mean: 0.01, first: [0.5, 0.25, 0.1, 0.2] },
    queue_ptr: { l2: 3, mean: 3, first: [3] },
  },
});

let count = 0;
function write(change: (t: Made) => void = () => {}): string {
  const made = trace();
  change(made);
  const path = join(folder, `${count++}.json`);
  writeFileSync(path, JSON.stringify(made));
  return path;
}
const base = write();
const step = (t: Made, i: number): Record<string, never[]> => t.steps[i] as Record<string, never[]>;

const compare = (a: string, b: string, variants: readonly string[] = []): Report =>
  compareRuns(openRun(a), openRun(b), { variants: variants.map(openRun) });

/** [what is changed, where it must be found] */
const plants: readonly (readonly [(t: Made) => void, number, string])[] = [
  [(t) => Object.assign(step(t, 1), { loss_cls: [1.5, 1.2501] }), 1, "loss_cls[group 1]"],
  [(t) => Object.assign(step(t, 2), { loss: [5.6, 3.25] }), 2, "loss[group 0]"],
  [(t) => Object.assign(step(t, 0), { loss_proto: [null, 1] }), 0, "loss_proto[group 1]"],
  [(t) => Object.assign(step(t, 1), { loss_inst: [2, null] }), 1, "loss_inst[group 1]"],
  [(t) => Object.assign(step(t, 1), { loss_inst: [2] }), 1, "loss_inst"],
  [(t) => Object.assign(step(t, 1), { acc_inst: [50, 0] }), 1, "acc_inst[group 0]"],
  [(t) => Object.assign(step(t, 2), { clean: [3, 1] }), 2, "clean[1]"],
  [
    (t) =>
      Object.assign(step(t, 2), {
        target: [
          [0, 1, 2, 3],
          [3, 2, 2, 0],
        ],
      }),
    2,
    "target[6]",
  ],
  [
    (t) =>
      Object.assign(step(t, 2), {
        kept: [
          [1, 1, 0, 0],
          [0, 1, 1, 0],
        ],
      }),
    2,
    "kept[2]",
  ],
  [
    (t) => Object.assign(step(t, 1), { grad_l2: { all: 5, "encoder_q.conv1.weight": 4.01 } }),
    1,
    "norm of grad.encoder_q.conv1.weight",
  ],
  [
    (t) => Object.assign(t.tensors, { queue: { l2: 4.001, mean: 0.01, first: [0.5, 0.25, 0.1, 0.2] } }),
    2,
    "norm of queue",
  ],
  [(t) => Object.assign(t.tensors, { queue: { l2: 4, mean: 0.02, first: [0.5, 0.25, 0.1, 0.2] } }), 2, "mean of queue"],
  [(t) => Object.assign(t.tensors, { queue: { l2: 4, mean: 0.01, first: [0.5, 0.25, 0.11, 0.2] } }), 2, "queue[2]"],
  [(t) => void delete t.tensors.queue, 2, "queue"],
];

for (const [change, at, tensor] of plants) {
  test(`a planted difference is found: step ${at}, ${tensor}`, (t) => {
    const phase = ["warmup", "proto", "clean"][at] as string;
    t.like(compare(write(change), base).beyond, { step: at, phase, tensor });
    t.like(compare(base, write(change)).beyond, { step: at, phase, tensor });
  });
}

test("the report as text and as JSON, and its exit code", (t) => {
  const changed = write((m) => Object.assign(step(m, 1), { loss_cls: [1.5, 1.375] }));
  const text = replayTool("compare", changed, base);
  t.is(text.status, 1, text.err);
  const where =
    "step 1, proto, loss_cls[group 1]: 1.375 against 1.25: " +
    "absolute 1.3e-1, relative 1.0e-1, 1048576 ULP; allowed 1.0e-5";
  t.true(text.out.includes(`first difference: ${where}\n`), text.out);
  t.true(text.out.includes(`first beyond tolerance: ${where}\n`), text.out);
  const json = replayTool("compare", changed, base, "--json");
  t.is(json.status, 1);
  t.like(JSON.parse(json.out).beyond, { step: 1, tensor: "loss_cls[group 1]", ulp: 1048576 });
  const same = replayTool("compare", base, base);
  t.is(same.status, 0);
  t.regex(same.out, /first difference: none, equal to the last bit/);
});

test("what is within tolerance is named, and allowed", (t) => {
  const r = compare(
    write((m) => Object.assign(step(m, 1), { loss_cls: [1.5, 1.250001] })),
    base,
  );
  t.like(r.first, { step: 1, tensor: "loss_cls[group 1]" });
  t.is(r.beyond, undefined);
});

test("labels may differ only where the margin is below 1e-5", (t) => {
  const relabelled = (m: Made): void =>
    void Object.assign(step(m, 2), {
      target: [
        [0, 1, 2, 3],
        [3, 2, 2, 0],
      ],
      loss: [9, 9],
    });
  const margin =
    (x: number) =>
    (m: Made): void =>
      void Object.assign(step(m, 2), {
        margin: [
          [0.1, 0.1, 0.1, 0.1],
          [0.1, 0.1, x, 0.1],
        ],
      });
  t.like(compare(write(relabelled), write(margin(2e-5))).beyond, { step: 2, tensor: "target[6]" });
  const r = compare(write(relabelled), write(margin(5e-6)));
  t.is(r.beyond, undefined);
  t.true(r.notes.some((n) => n.includes("step 2: target differs at a margin of 5.0e-6")));
});

test("running freely: ten times the variants' spread, not more, and at least 1e-5", (t) => {
  const loss =
    (x: number) =>
    (m: Made): void =>
      void Object.assign(step(m, 1), { loss_cls: [1.5, 1.25 * (1 + x)] });
  const variants = [write(loss(1e-5)), write(loss(-2e-5))];
  t.is(compare(write(loss(1.9e-4)), base, variants).beyond, undefined);
  t.like(compare(write(loss(2.1e-4)), base, variants).beyond, { step: 1, tensor: "loss_cls[group 1]" });
  t.is(compare(write(loss(9e-6)), base, [base]).beyond, undefined);
  t.like(compare(write(loss(1.1e-5)), base, [base]).beyond, { step: 1, tensor: "loss_cls[group 1]" });
});

test("bad input is refused by name", (t) => {
  const text = join(folder, "text.json");
  writeFileSync(text, "{");
  const refused = (says: RegExp, ...args: readonly string[]): void => {
    const r = replayTool(...args);
    t.is(r.status, 2, `${args}: ${r.out}`);
    t.regex(r.err, says);
    t.is(r.err.trim().split("\n").length, 1);
  };
  refused(/unknown verb frob/, "frob");
  refused(/compare needs two runs/, "compare", base);
  refused(/--frob/, "compare", base, base, "--frob");
  refused(/cannot read .*nowhere\.json/, "compare", base, join(folder, "nowhere.json"));
  refused(/text\.json: bad JSON/, "compare", text, base);
  refused(
    /is not a trace/,
    "compare",
    write((m) => void delete (m as Partial<Made>).tensors),
    base,
  );
  refused(
    /has 2 steps, .* has 3/,
    "compare",
    write((m) => void m.steps.pop()),
    base,
  );
  refused(/not a safetensors file/, "bisect", base, base);
  t.is(replayTool("--help").status, 0);
});
