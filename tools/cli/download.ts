// Downloads a large file over HTTP and continues after broken connections. The bytes received so far stay in FILE.part,
// and the next attempt, in this process or a later one, requests the rest. The server's ETag or date shows if the file
// at the URL has changed meanwhile. The proxy of $HTTP_PROXY, $HTTPS_PROXY and $NO_PROXY is used.

import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Dispatcher, Response } from "undici";
import { marks, requireFile } from "../../compiler/util/own.js";

export interface DownloadOptions {
  readonly attempts: number; // attempts in a row without a new byte after which the download fails
  readonly stalled: number; // milliseconds without a byte after which an attempt ends
  readonly progress: (done: number, total: number | undefined) => void; // bytes
  readonly say: (line: string) => void;
}

/**
 * Downloads `url` to `file`, which must not exist. Rejects if FILE.part or FILE.part.from is not of a download by
 * moproc. Rejects, naming the URL, if the server refuses or `attempts` attempts in a row receive nothing.
 */
export async function download(url: string, file: string, options: DownloadOptions): Promise<void> {
  const part = `${file}.part`;
  requirePart(part);
  const { dispatcher, note } = await connection(url);
  for (let failures = 0; ; ) {
    const before = sizeOf(part);
    try {
      await attempt(url, part, options, dispatcher);
      requireFile(file, () => false);
      renameSync(part, file);
      rmSync(noteOf(part), { force: true });
      return await dispatcher.destroy();
    } catch (e) {
      if (e instanceof Refused) throw new Error(`${url}: ${e.message}${note}`);
      failures = sizeOf(part) > before ? 1 : failures + 1;
      const why = (e as Error).cause instanceof Error ? ((e as Error).cause as Error).message : (e as Error).message;
      if (failures >= options.attempts) {
        const kept =
          sizeOf(part) > 0 ? `; ${sizeOf(part)} bytes are kept in ${part}, from which the same command continues` : "";
        throw new Error(`${url}: ${why}, ${failures} times in a row${note}${kept}`);
      }
      options.say(`${why}; trying again`);
      await sleep(Math.min(options.stalled, 250 * 2 ** failures));
    }
  }
}

/**
 * What sends the requests for `url`: directly, or through the proxy that the environment names. Messages about failures
 * end with `note`, which names the variable with the proxy. Throws, naming the variable, if it holds no URL.
 */
async function connection(url: string): Promise<{ dispatcher: Dispatcher; note: string }> {
  const { Agent, EnvHttpProxyAgent } = await import("undici"); // only here: it would be loaded by every command
  const names = ["http_proxy", "HTTP_PROXY"];
  const name = (url.startsWith("https:") ? ["https_proxy", "HTTPS_PROXY", ...names] : names).find(
    (n) => process.env[n],
  );
  if (name === undefined) return { dispatcher: new Agent(), note: "" };
  const proxy = process.env[name] as string;
  if (!/^https?:\/\//.test(proxy) || !URL.canParse(proxy))
    throw new Error(`${name}=${proxy}: the proxy must be a URL that begins with http:// or https://`);
  return { dispatcher: new EnvHttpProxyAgent(), note: `, through the proxy of $${name} unless $NO_PROXY excludes it` };
}

/** The path of FILE.part.from, which has JSON {format, version}: the mark of moproc, and the version of the file. */
const noteOf = (part: string): string => `${part}.from`;
const NOTE = "moproc-download-1";

/** The version (ETag or date) of the file on the server that the part is of; "" if it is not known. */
function versionOf(part: string): string {
  const text = existsSync(noteOf(part)) ? readFileSync(noteOf(part), "utf8") : "";
  try {
    return (JSON.parse(text) as { version: string }).version;
  } catch {
    return ""; // incomplete, because the process that wrote it was killed
  }
}

function requirePart(part: string): void {
  const note = noteOf(part);
  requireFile(note, marks.json(NOTE));
  requireFile(part, () => sizeOf(note) > 0);
}

/** An answer that another attempt would not change. */
class Refused extends Error {}

const sizeOf = (file: string): number => (existsSync(file) ? statSync(file).size : 0);

/** Makes one request for the missing rest of `part`. Resolves when the part is complete. */
async function attempt(url: string, part: string, options: DownloadOptions, dispatcher: Dispatcher): Promise<void> {
  const { fetch } = await import("undici");
  const known = versionOf(part);
  const have = known === "" ? 0 : sizeOf(part);
  const quiet = new AbortController();
  let timer = setTimeout(() => quiet.abort(new Error("nothing arrives")), options.stalled);
  try {
    const headers: Record<string, string> = have > 0 ? { range: `bytes=${have}-`, "if-range": known } : {};
    const answer = await fetch(url, {
      headers: { ...headers, "accept-encoding": "identity" },
      signal: quiet.signal,
      dispatcher,
    });
    if (answer.status === 416) {
      rmSync(part, { force: true }); // it is longer than the file, so it is of another one
      throw new Error("the file on the server is shorter than the part that was received");
    }
    if (answer.status >= 400 && answer.status < 500 && answer.status !== 408 && answer.status !== 429)
      throw new Refused(`the server says ${answer.status} ${answer.statusText}`);
    if (!answer.ok || !answer.body) throw new Error(`the server says ${answer.status} ${answer.statusText}`);
    const resumed = answer.status === 206;
    const start = resumed ? have : 0;
    const total = totalOf(answer, start);
    const version = answer.headers.get("etag") ?? answer.headers.get("last-modified") ?? "";
    writeFileSync(noteOf(part), `${JSON.stringify({ format: NOTE, version })}\n`);
    const fd = openSync(part, resumed ? "a" : "w");
    let done = start;
    try {
      for await (const chunk of answer.body) {
        clearTimeout(timer);
        timer = setTimeout(() => quiet.abort(new Error("nothing arrives")), options.stalled);
        for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
        done += chunk.length;
        options.progress(done, total);
      }
    } finally {
      closeSync(fd);
    }
    if (total !== undefined && done !== total) throw new Error(`the connection ended after ${done} of ${total} bytes`);
  } finally {
    clearTimeout(timer);
  }
}

/** The size of the whole file, if the server states it. */
function totalOf(answer: Response, start: number): number | undefined {
  const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(answer.headers.get("content-range") ?? "");
  if (answer.status === 206 && Number(range?.[1]) !== start)
    throw new Refused("the server sent another range than the requested one");
  if (range) return Number(range[2]);
  const length = answer.headers.get("content-length");
  return length === null ? undefined : Number(length);
}
