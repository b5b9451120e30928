// npm run scaling: the simulation's timelines against ones made by hand, bytes counted from a plan against bytes sent,
// and the page.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import test from "ava";
import { BUCKET_BYTES } from "../../compiler/lower/collectives.js";
import type { Plan, Program } from "../../compiler/lower/plan.js";
import { root } from "../../compiler/util/root.js";
import type { ScalingData } from "../../tools/report/scaling_data.js";
import { closeBrowser, fits, haveBrowser, openPage } from "../support/browser.js";
import { Shell } from "../support/cli.js";

type Event =
  | { readonly do: "compute"; readonly us: number }
  | {
      readonly do: "collective";
      readonly op: string;
      readonly kind: string;
      readonly bytes: number;
      readonly name: string;
    }
  | { readonly do: "await" };
interface Timeline {
  simulate(
    events: readonly Event[],
    of: { microseconds(e: { readonly bytes: number }): number; tax?: number },
  ): { readonly length: number; readonly compute: number; readonly communication: number; readonly waited: number };
  eventsOf(plan: Plan, program: Program): Event[];
  rebucket(plan: Plan, events: readonly Event[], bucketBytes: number, lastBytes?: number): Event[];
}
interface Plans {
  planOf(of: object): Plan;
  programOf(plan: Plan, name: string, ranks: number): Program;
}
interface Wire {
  sent(op: string, bytes: number, ranks: number): number;
  handedOver(plan: Plan, program: Program): { readonly total: number };
  wire(of: object): readonly {
    readonly sent: { readonly total: number };
    readonly least: number;
    readonly published: Readonly<Record<string, number>>;
  }[];
}
interface Nccl {
  readonly networks: Readonly<Record<"reckoned" | "measured", (op: string, bytes: number, ranks: number) => number>>;
  readonly measured: Readonly<
    Record<string, readonly { readonly ranks: number; readonly bytes: number; readonly us: number }[]>
  >;
}
interface Results {
  results(
    o: object,
    dir: string,
    say: (line: string) => void,
  ): Promise<{ readonly data: ScalingData; readonly text: string; html(): Promise<string> }>;
}
interface CoreLaunch {
  readonly name: string;
  readonly seconds: number;
  readonly bytes: number;
  readonly tasks: readonly number[];
  readonly small: boolean;
}
interface Cores {
  parseProfile(text: string): ReadonlyMap<string, number>;
  launchesOf(plan: unknown, program: unknown, seconds: ReadonlyMap<string, number>): readonly CoreLaunch[];
  predict(
    launches: readonly CoreLaunch[],
    of: { readonly cores: number; readonly perCore: number; readonly limit: number },
  ): { readonly seconds: number; readonly memory: number; readonly tasks: number };
}
const tool = async <T>(name: string): Promise<T> =>
  (await import(pathToFileURL(join(root, "tools", "scaling", name)).href)) as T;
const { simulate, eventsOf, rebucket } = await tool<Timeline>("timeline.mjs");
const { planOf, programOf } = await tool<Plans>("plans.mjs");
const { sent, handedOver, wire } = await tool<Wire>("wire.mjs");
const { parseProfile, launchesOf, predict } = await tool<Cores>("cores.mjs");
const { networks, measured } = await tool<Nccl>("nccl.mjs");

const shell = new Shell("scaling");
test.after.always(async () => {
  await closeBrowser();
  shell.remove();
});

const compute = (us: number): Event => ({ do: "compute", us });
const send = (bytes: number): Event => ({ do: "collective", op: "all_reduce", kind: "gradients", name: "g", bytes });
const wait: Event = { do: "await" };
const microseconds = (e: { readonly bytes: number }): number => e.bytes; // a byte takes a microsecond

test("timelines by hand", (t) => {
  const of = (events: readonly Event[], tax = 0): readonly number[] => {
    const { length, compute, communication, waited } = simulate(events, { microseconds, tax });
    return [length, compute, communication, waited];
  };
  t.deepEqual(of([compute(10), send(4), compute(10), wait, compute(1)]), [21, 21, 4, 0], "hidden");
  t.deepEqual(of([compute(10), send(15), compute(10), wait, compute(1)]), [26, 21, 15, 5], "5 of 15 stick out");
  t.deepEqual(of([send(3), send(4), compute(5), wait, compute(1)]), [8, 6, 7, 2], "one after the other");
  t.deepEqual(
    of([compute(2), send(3), compute(10), send(3), wait]),
    [15, 12, 6, 3],
    "the second begins when the network is long free",
  );
  t.deepEqual(of([compute(10), send(4)]), [14, 10, 4, 0], "a step ends when everything has");
  t.deepEqual(of([send(10), compute(9), wait], 0.1), [10, 9, 10, 0], "beside a collective 9 of work take 10");
  t.deepEqual(of([send(10), compute(19), wait], 0.1), [20, 19, 10, 0], "and the other 10 take 10");
});

test(
  "a step is never shorter than its kernels or its collectives, never longer than both, and never faster on a " +
    "slower network",
  (t) => {
    let x = 7;
    const draw = (n: number): number => {
      x = (x * 48271) % 2147483647;
      return x % n;
    };
    for (let i = 0; i < 500; i++) {
      const events = Array.from({ length: 30 }, () => [compute(draw(20)), send(draw(30)), wait][draw(3)] as Event);
      const r = simulate(events, { microseconds });
      t.true(r.length >= Math.max(r.compute, r.communication) && r.length <= r.compute + r.communication);
      t.true(simulate(events, { microseconds: (e) => 1.3 * e.bytes }).length >= r.length);
      t.true(simulate(events, { microseconds, tax: 0.1 }).length >= r.length);
    }
  },
);

test("times of collectives rise with bytes and ranks, and reproduce what was published", (t) => {
  const sizes = Array.from({ length: 27 }, (_, i) => 16 * 2 ** i);
  for (const [name, of] of Object.entries(networks)) {
    for (const op of ["all_reduce", "all_gather"]) {
      for (const ranks of [2, 8, 16, 64, 1024]) {
        sizes.forEach((bytes, i) =>
          t.true(
            i === 0 || of(op, bytes, ranks) >= of(op, sizes[i - 1] as number, ranks),
            `${name} ${op} ${bytes} on ${ranks}`,
          ),
        );
        for (const bytes of sizes) {
          t.true(of(op, bytes, 2 * ranks) >= of(op, bytes, ranks), `${name} ${op} ${bytes} on ${2 * ranks}`);
          t.true(networks.measured(op, bytes, ranks) >= networks.reckoned(op, bytes, ranks));
        }
      }
    }
    t.is(of("all_reduce", 1e6, 1), 0);
  }
  for (const { ranks, bytes, us } of Object.values(measured).flat()) {
    const is = networks.measured("all_reduce", bytes, ranks);
    t.true(Math.abs(is / us - 1) < 0.35, `${ranks} GPUs, ${bytes} bytes: ${is} instead of ${us}`);
  }
});

const tiny = { network: "resnet10", width: 0.125, imageSize: 32, numClass: 4, lowDim: 16, moco_queue: 64 };
const flags = [
  "-a",
  "resnet10",
  "--width",
  "0.125",
  "--image-size",
  "32",
  "--num-class",
  "4",
  "--low-dim",
  "16",
  "--moco_queue",
  "64",
  "-b",
  "16",
  "--ranks",
  "2",
];

test("cut as the compiler cuts, the buckets are the plan's; smaller ones carry the same gradients, earlier", (t) => {
  const plan = planOf({
    sizes: { ...tiny, network: "resnet18", width: 1, imageInput: "u8" },
    perRank: 8,
    ranks: 2,
    only: ["clean"],
  });
  const events = eventsOf(plan, programOf(plan, "clean", 2));
  const buckets = (of: readonly Event[]): readonly (readonly [number, number])[] =>
    of.flatMap((e, i) =>
      e.do === "collective" && e.kind === "gradients"
        ? [[of.slice(0, i).filter((f) => f.do === "compute").length, e.bytes] as const]
        : [],
    );
  t.true(buckets(events).length > 1);
  t.deepEqual(buckets(rebucket(plan, events, BUCKET_BYTES)), buckets(events));
  const bytes = (of: readonly Event[]): number => buckets(of).reduce((s, [, b]) => s + b, 0);
  const small = rebucket(plan, events, 1 << 20);
  t.true(buckets(small).length > 2 * buckets(events).length);
  t.true(bytes(small) <= bytes(events) && bytes(small) > 0.999 * bytes(events), "but for gaps between buckets");
  t.is(buckets(rebucket(plan, events, 1 << 30)).length, 1);
  const last = buckets(rebucket(plan, events, BUCKET_BYTES, 1 << 18)).at(-1) as readonly [number, number];
  t.true(last[1] <= 1 << 18 && last[0] === buckets(events).at(-1)?.[0]);
  t.deepEqual(
    events.flatMap((e) => (e.do === "collective" && e.op === "all_gather" ? [e.kind] : [])),
    ["keys", "small"],
    "neighbouring gathers are one message",
  );
});

for (const shuffle of ["load", "exchange"])
  test.serial(`bytes counted from the plan are those that ranks sent, keys by ${shuffle}`, (t) => {
    shell.done("compile", ...flags, "--shuffle-bn", shuffle, "-o", shuffle);
    const run = [
      "--synthetic",
      "--steps",
      "25",
      "--start_clean_epoch",
      "2",
      "--threads",
      "1",
      "--workers",
      "1",
      "--nproc-per-node",
      "2",
    ];
    const r = spawnSync(shell.at(shuffle, "train"), [...run, "--json-log", `${shuffle}.jsonl`], {
      cwd: shell.dir,
      encoding: "utf8",
    });
    t.is(r.status, 0, r.stderr);
    const log = shell
      .text(`${shuffle}.jsonl`)
      .trim()
      .split("\n")
      .map((l) => JSON.parse(l) as Record<string, number | string>);
    const record = log.find((l) => l.event === "ranks");
    const plan = JSON.parse(readFileSync(shell.at(shuffle, "plan.json"), "utf8")) as Plan;
    const of = (phase: string): number => handedOver(plan, programOf(plan, phase, 2)).total;
    t.is(record?.ranks, 2);
    t.is(record?.steps, 25);
    t.is(
      record?.sent_bytes,
      10 * of("warmup") + 10 * of("proto") + 5 * of("clean"),
      "an epoch of 10 steps a phase, and 5",
    );
    t.true((record?.waited_s as number) > 0);
    t.regex(r.stdout, /2 ranks: this one sent .* per step and waited \d+\.\d\d ms per step for the others/);
  });

test("what a rank sends: by hand, and for the whole step within a hundredth of the least", (t) => {
  t.is(sent("all_reduce", 800, 4), 1200);
  t.is(sent("all_gather", 100, 4), 300);
  t.is(sent("broadcast", 100, 4), 75);
  for (const row of wire({ ranks: [2, 8], perRank: [4], sizes: { ...tiny, imageInput: "u8" } })) {
    const ratio = row.sent.total / row.least;
    t.true(ratio > 0.99 && ratio < 1.01, `${ratio}`);
    t.true((row.published.total as number) > row.sent.total);
  }
  const [row] = wire({ ranks: [4], perRank: [4], sizes: { ...tiny, imageInput: "u8" }, only: ["clean"] });
  t.is(row?.published.images, 3 * 4 * 3 * 32 * 32 * 4);
  t.is(row?.published.keys, 3 * 2 * 4 * 16 * 4);
  t.is(row?.published.permutation, (3 / 4) * 8 * 16);
});

test.serial("all parts of a small network, as text and on a page", async (t) => {
  const { results } = await tool<Results>("results.mjs");
  const more = ["--width", "0.125", "--num-class", "4", "--low-dim", "16", "--moco_queue", "64"];
  const o = {
    parts: ["measure", "wire", "simulate"],
    sizes: { ...tiny, imageInput: "u8" },
    images: [4],
    ranks: [2],
    gpus: [8, 16, 32],
    measure: { network: "resnet10", imageSize: 32, perRank: 8, rounds: 2, steps: 4, tries: 1, patience: 0, more },
  };
  const { data, text, html } = await results(o, shell.at("measured"), () => {});
  t.regex(text, /weak scaling: one rank \/ two ranks +\d+\.\d %/);
  t.regex(text, /Simulated, nothing of it was run/);
  t.is(data.simulate?.steps.length, 6);
  for (const s of data.simulate?.steps ?? [])
    t.true(s.efficiency > 0 && s.efficiency <= 1.0001 && s.step_us >= s.kernels_us);
  writeFileSync(shell.at("page.html"), await html());
  t.true(shell.text("page.html").includes(JSON.stringify(data).replaceAll("<", "\\u003c")));
  for (const screen of haveBrowser ? (["desktop", "phone"] as const) : []) {
    const { page, complaints } = await openPage(shell.at("page.html"), screen);
    await page.locator(".chart svg").nth(5).waitFor();
    t.deepEqual(await page.locator("h2").allInnerTexts(), [
      "Measured: two ranks on this machine",
      "On the wire: what a rank sends in a step",
      "Simulated: 8 GPUs per node",
    ]);
    t.is(
      await page.locator(".tile[data-what^='weak scaling'] b").innerText(),
      `${(100 * (data.measure?.efficiency.median ?? 0)).toFixed(1)} %`,
    );
    for (const svg of await page.locator(".chart svg").all())
      t.true((await svg.locator("path").count()) > 3, "something is drawn");
    t.true(await fits(page));
    t.deepEqual(complaints, []);
    await page.close();
  }
});

test("a step on more cores, by hand: tasks that do not divide, memory that is full, launches on one core", (t) => {
  const text = `profile of clean: 2 runs, 12.0 ms each
          ms   share   GFLOP/s     GB/s  calls  template
      12.000 100.00%      29.0      0.5      3  conv_fprop
          ms   share   GFLOP/s     GB/s  calls  step
       8.000  66.67%      29.0      0.5      1  conv_fprop   encoder_q.conv1
       4.000  33.33%       0.6     12.8      2  pointwise  optimizer.a .. b
       1.000   0.00%       0.0      0.0      1  copy  not a launch
`;
  const step = (kernel: number, name: string, bytes: number, tasks: readonly number[], flops = 1e9) =>
    ({ do: "launch", kernel, name, bytes, tasks, flops }) as const;
  const plan = { kernels: [{ template: "conv_fprop" }, { template: "pointwise" }] };
  const steps = [
    step(0, "encoder_q.conv1", 1e6, [5, 2]),
    step(1, "optimizer.a .. b", 20e6, [100]),
    step(1, "optimizer.a .. b", 20e6, [100]),
    { do: "copy" },
    step(0, "absent", 1, [1]),
  ];
  const launches = launchesOf(plan, { steps }, parseProfile(text));
  t.deepEqual(launches, [
    { name: "conv_fprop encoder_q.conv1", seconds: 8e-3, bytes: 1e6, tasks: [5, 2], small: false },
    { name: "pointwise optimizer.a .. b", seconds: 4e-3, bytes: 40e6, tasks: [100], small: false },
  ]);
  const memory = { perCore: 10e9, limit: 25e9 };
  // Two cores: 3 of 5 tasks one after the other; 40 MB at 20 GB/s take no longer than half of 4 ms.
  const two = predict(launches, { cores: 2, ...memory });
  t.true(Math.abs(two.seconds - (4.8e-3 + 2e-3)) < 1e-12 && two.memory === 0);
  t.true(Math.abs(two.tasks - 0.8e-3 / 6.8e-3) < 1e-12);
  // Ten cores: one task of five each; memory has 25 GB/s for all.
  const ten = predict(launches, { cores: 10, ...memory });
  t.true(Math.abs(ten.seconds - (1.6e-3 + 1.6e-3)) < 1e-12);
  t.is(ten.memory, 0.5);
  const small = launches.map((l) => ({ ...l, small: true }));
  t.true(Math.abs(predict(small, { cores: 10, ...memory }).seconds - 12e-3) < 1e-12, "small launches do not grow");
});

test("a part or a number that there is not", (t) => {
  const run = (...args: readonly string[]): { readonly status: number | null; readonly stderr: string } =>
    spawnSync(process.execPath, [join(root, "tools", "scaling.mjs"), "--no-setup", ...args], { encoding: "utf8" });
  for (const [args, says] of [
    [["gpu"], /gpu: the parts are measure, cores, wire, simulate/],
    [["--gpus", "8,x"], /--gpus x: expected integers of at least 2/],
  ] as const) {
    const r = run(...args);
    t.is(r.status, 2);
    t.regex(r.stderr, says);
    t.regex(r.stderr, /Usage: npm run scaling/);
  }
});
