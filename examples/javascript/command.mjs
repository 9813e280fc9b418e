// What the command lines of client.mjs and worker.mjs have in common.

import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

/** Run `main(options, files)` if the module at `moduleUrl` is the program; an error is one line and exit code 1. */
export function command(moduleUrl, defaults, main) {
  if (moduleUrl !== pathToFileURL(process.argv[1]).href) return;
  const entries = Object.entries({ url: process.env.VOXPOOL_URL, ...defaults });
  const options = Object.fromEntries(entries.map(([name, value]) => [name, { type: "string", default: value }]));
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  main({ token: process.env.VOXPOOL_TOKEN, ...values }, positionals).catch((error) => {
    console.error(error.message);
    process.exit(1);
  });
}
