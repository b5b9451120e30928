// Pages in a real browser: a headless Chromium, if one is installed.

import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";

const installed = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = installed.find((f) => f !== undefined && existsSync(f));
/** Whether there is a browser. */
export const haveBrowser = executablePath !== undefined;

/** Screens that every page must fit. */
export const screens = {
  desktop: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "dark" },
} as const;

let browser: Promise<Browser> | undefined;
/** Ends the browser. Must be called after the tests. */
export const closeBrowser = async (): Promise<void> => void (await (await browser)?.close());

/**
 * Opens a file and returns its page, with all messages of its console and all its errors. No request leaves the
 * machine.
 */
export async function openPage(
  file: string,
  screen: keyof typeof screens,
): Promise<{ readonly page: Page; readonly complaints: readonly string[] }> {
  browser ??= chromium.launch({ executablePath: executablePath as string, args: ["--no-sandbox"] });
  const page = await (await browser).newPage(screens[screen]);
  const complaints: string[] = [];
  page.on("console", (m) => complaints.push(m.text()));
  page.on("pageerror", (e) => complaints.push(e.message));
  page.on("request", (r) => {
    if (!/^(file|data):/.test(r.url())) complaints.push(`asks for ${r.url()}`);
  });
  await page.goto(pathToFileURL(file).href);
  return { page, complaints };
}

/** Whether the page is no wider than its screen. */
export const fits = (page: Page): Promise<boolean> =>
  page.evaluate("document.documentElement.scrollWidth <= innerWidth");
