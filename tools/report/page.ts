// Makes one HTML file with a page's data, script, charts and style, which can be mailed and opened without a network.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../compiler/util/root.js";

export interface PageSource {
  readonly title: string;
  readonly client: string; // NAME of tools/report/client/NAME.ts, which draws the page from the data
  readonly data: unknown; // JSON
}

/** The text of the page. Its script reads the data as JSON from the element `data`, and writes into `main`. */
export async function page({ title, client, data }: PageSource): Promise<string> {
  const { build } = await import("esbuild"); // only here: every command of the verbs that write pages would load it
  const bundled = await build({
    entryPoints: [join(root, "build", "js", "tools", "report", "client", `${client}.js`)],
    bundle: true,
    write: false,
    minify: true,
    format: "iife",
    target: "es2022",
    logLevel: "silent",
    legalComments: "none",
  });
  const script = (bundled.outputFiles[0]?.text ?? "").replaceAll("</script", "<\\/script");
  const style = readFileSync(join(root, "tools", "report", "client", "page.css"), "utf8");
  const json = JSON.stringify(data).replaceAll("<", "\\u003c");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="moproc">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${asText(title)}</title>
<style>
${style}</style>
</head>
<body>
<main></main>
<script type="application/json" id="data">${json}</script>
<script>${script}</script>
</body>
</html>
`;
}

const asText = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
