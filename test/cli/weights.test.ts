// moproc weights fetch from a local server: complete, interrupted, stalled, changed and wrong files.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { type Ran, Shell } from "../support/cli.js";

const shell = new Shell("weights");
let weights: Buffer;
test.before(() => {
  const model = "-a resnet10 --width 0.125 -b 8 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 16".split(" ");
  shell.done("data", "sample", "--out", "data", "--classes", "4", "--images", "16", "--val", "4", "--size", "40");
  shell.done(
    "train",
    ...model,
    "--data",
    "data",
    "--exp-dir",
    "exp",
    "--epochs",
    "1",
    "--checkpoint-format",
    "pth.tar",
    "--quiet",
  );
  weights = readFileSync(shell.at("exp", "checkpoint_0000.pth.tar"));
});
test.after.always(() => shell.remove());

interface Served {
  readonly url: string;
  readonly requests: readonly string[]; // their Range headers
}
type Answer = (req: IncomingMessage, res: ServerResponse, n: number) => void;

/** Serves until the test ends; `n` counts requests from 0. */
async function serve(t: { teardown(f: () => void): void }, answer: Answer): Promise<Served> {
  const requests: string[] = [];
  const server = createServer((req, res) => {
    requests.push(req.headers.range ?? "");
    answer(req, res, requests.length - 1);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/m.tar`, requests };
}

/** What an ordinary server does with a file, cut off behind `limit` bytes of the answer. */
function send(
  req: IncomingMessage,
  res: ServerResponse,
  bytes: Buffer,
  etag: string,
  limit = Number.POSITIVE_INFINITY,
): void {
  const from = Number(/^bytes=(\d+)-$/.exec(req.headers.range ?? "")?.[1] ?? 0);
  const partial = from > 0 && req.headers["if-range"] === etag;
  const body = partial ? bytes.subarray(from) : bytes;
  const range = partial ? { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {};
  res.writeHead(partial ? 206 : 200, { etag, "content-length": body.length, ...range });
  if (body.length <= limit) res.end(body);
  else res.write(body.subarray(0, limit), () => res.destroy());
}

const proxies = ["http_proxy", "https_proxy", "no_proxy"].flatMap((n) => [n, n.toUpperCase()]);
const direct = Object.fromEntries(Object.entries(process.env).filter(([name]) => !proxies.includes(name)));

/** The command, while this process serves. */
const fetchWeights = (...args: readonly string[]): Promise<Ran> => fetchWith({}, ...args);

function fetchWith(env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<Ran> {
  const main = join(root, "build", "js", "tools", "cli", "main.js");
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [main, "weights", "fetch", ...args], {
      cwd: shell.dir,
      env: { ...direct, ...env },
    });
    let [out, err] = ["", ""];
    child.stdout.on("data", (d) => (out += d));
    child.stderr.on("data", (d) => (err += d));
    child.on("close", (status) => resolve({ status, out, err }));
  });
}
/** Whether a file has the bytes of the served one. (deepEqual takes seconds, in which the server does not answer.) */
const hasWeights = (name: string): boolean => readFileSync(shell.at(name)).equals(weights);
const digest = (): string => createHash("sha256").update(weights).digest("hex");

test("a whole file is checked and its digest recorded; a second call finds it", async (t) => {
  const { url, requests } = await serve(t, (req, res) => send(req, res, weights, '"a"'));
  const first = await fetchWeights("--url", url, "-o", "whole.tar");
  t.is(first.status, 0, first.err);
  t.true(hasWeights("whole.tar"));
  t.is(shell.text("whole.tar.sha256"), `${digest()}  whole.tar\n`);
  t.regex(first.err, /MB\/s/);
  const again = await fetchWeights("--url", url, "-o", "whole.tar");
  t.regex(again.out, /exists already/);
  t.is(requests.length, 1);
  writeFileSync(shell.at("whole.tar"), weights.subarray(0, -1));
  t.regex((await fetchWeights("--url", url, "-o", "whole.tar")).err, /exists, but does not have the digest in/);
});

test("a connection that breaks is taken up where it broke, again and again", async (t) => {
  const { url, requests } = await serve(t, (req, res) => send(req, res, weights, '"a"', 700_000));
  const r = await fetchWeights("--url", url, "-o", "broken.tar");
  t.is(r.status, 0, r.err);
  t.true(hasWeights("broken.tar"));
  t.true(
    requests.length >= weights.length / 700_000 && requests.slice(1).every((range) => range !== ""),
    requests.join(),
  );
  t.false(existsSync(shell.at("broken.tar.part")));
});

test("a server that goes away leaves what has arrived, and a later call goes on", async (t) => {
  let up = true;
  const { url, requests } = await serve(t, (req, res) => {
    if (up) send(req, res, weights, '"a"', 500_000);
    else res.destroy();
    up = false;
  });
  const r = await fetchWeights("--url", url, "-o", "later.tar");
  t.is(r.status, 2);
  t.regex(r.err, /times in a row; \d+ bytes are kept in later\.tar\.part, from which the same command continues/);
  t.true(statSync(shell.at("later.tar.part")).size > 0);
  const kept = statSync(shell.at("later.tar.part")).size;
  const other = await serve(t, (req, res) => send(req, res, weights, '"a"'));
  t.is((await fetchWeights("--url", other.url, "-o", "later.tar")).status, 0);
  t.deepEqual(other.requests, [`bytes=${kept}-`]);
  t.true(hasWeights("later.tar"));
  t.true(requests.length > 1);
});

test("a server that falls silent is given up and asked again", async (t) => {
  const { url } = await serve(t, (req, res, n) => {
    if (n > 0) return send(req, res, weights, '"a"');
    res.writeHead(200, { etag: '"a"', "content-length": weights.length });
    res.write(weights.subarray(0, 1000));
  });
  const r = await fetchWeights("--url", url, "-o", "silent.tar", "--timeout", "3");
  t.is(r.status, 0, r.err);
  t.regex(r.err, /nothing arrives; trying again/);
  t.true(hasWeights("silent.tar"));
});

test("another file under the same name, or a server without ranges: from the beginning", async (t) => {
  const older = Buffer.from(weights).fill(7);
  const changed = await serve(t, (req, res, n) =>
    n === 0 ? send(req, res, older, '"old"', 600_000) : send(req, res, weights, '"new"'),
  );
  t.is((await fetchWeights("--url", changed.url, "-o", "changed.tar")).status, 0);
  t.true(hasWeights("changed.tar"));
  const plain = await serve(t, (_req, res, n) => {
    res.writeHead(200, { "content-length": weights.length });
    if (n > 0) res.end(weights);
    else res.write(weights.subarray(0, 600_000), () => res.destroy());
  });
  t.is((await fetchWeights("--url", plain.url, "-o", "plain.tar")).status, 0);
  t.true(hasWeights("plain.tar"));
});

test("what is no checkpoint, or not the one that was asked for, is removed and refused", async (t) => {
  const html = await serve(t, (req, res) => send(req, res, Buffer.from("<html>please log in</html>"), '"a"'));
  const page = await fetchWeights("--url", html.url, "-o", "page.tar");
  t.is(page.status, 2);
  t.regex(page.err, /the file was removed/);
  t.false(existsSync(shell.at("page.tar")));
  t.false(existsSync(shell.at("page.tar.sha256")));
  const small = await serve(t, (req, res) => send(req, res, weights, '"a"'));
  t.regex(
    (await fetchWeights("v1", "--url", small.url, "-o", "small.tar")).err,
    /holds a resnet10 for 4 classes, not a resnet50 for 1000/,
  );
  const gone = await serve(t, (_req, res) => res.writeHead(404).end());
  const r = await fetchWeights("--url", gone.url, "-o", "gone.tar");
  t.regex(r.err, /the server says 404/);
  t.is(gone.requests.length, 1, "asking again would not help");
  t.regex((await fetchWeights("v3")).err, /known are v1 and v2/);
  t.regex((await fetchWeights()).err, /v1, v2 or --url URL is needed/);
});

test("the proxy of the environment is used, except for hosts that NO_PROXY names", async (t) => {
  const { url, requests } = await serve(t, (req, res) => send(req, res, weights, '"a"', 900_000));
  const { port, hostname } = new URL(url);
  const asked: string[] = [];
  const proxy = createServer((_, res) => res.writeHead(500).end());
  // the proxy alone knows the host weights.example
  proxy.on("connect", (req, client) => {
    asked.push(req.url ?? "");
    const server = connect(Number(port), hostname, () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      server.pipe(client).pipe(server);
    });
    client.on("error", () => server.destroy());
    server.on("error", () => client.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  t.teardown(() => proxy.close());
  const http_proxy = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const far = `http://weights.example:${port}/m.tar`;
  const r = await fetchWith({ http_proxy }, "--url", far, "-o", "far.tar");
  t.is(r.status, 0, r.err);
  t.true(hasWeights("far.tar"));
  t.true(asked.length >= 1 && asked.every((host) => host === `weights.example:${port}`), asked.join());
  const through = asked.length;
  t.is((await fetchWith({ http_proxy, NO_PROXY: hostname }, "--url", url, "-o", "near.tar")).status, 0);
  t.is(asked.length, through);
  t.true(hasWeights("near.tar") && requests.length > through);
  const gone = await fetchWith({ HTTP_PROXY: "http://127.0.0.1:1" }, "--url", far, "-o", "gone.tar", "--timeout", "1");
  t.is(gone.status, 2);
  t.regex(gone.err, /times in a row, through the proxy of \$HTTP_PROXY unless \$NO_PROXY excludes it/);
  const wrong = await fetchWith({ HTTP_PROXY: "proxy:3128" }, "--url", far, "-o", "gone.tar");
  t.is(wrong.status, 2);
  t.regex(wrong.err, /HTTP_PROXY=proxy:3128: the proxy must be a URL that begins with http/);
});
