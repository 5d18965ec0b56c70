// Sparkplug payloads by the npm package `sparkplug-payload`: a line of JSON in, a line of JSON out.
// {"encode": {...}} is answered with {"bytes": "<base64>"}, {"decode": "<base64>"} with {"payload": {...}}.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const sparkplug = createRequire(import.meta.url)("sparkplug-payload").get("spBv1.0");
const plain = (key, value) => (typeof value === "bigint" || value?.constructor?.name === "Long" ? Number(value) : value);

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const told =
    asked.encode === undefined
      ? { payload: sparkplug.decodePayload(Buffer.from(asked.decode, "base64")) }
      : { bytes: Buffer.from(sparkplug.encodePayload(asked.encode)).toString("base64") };
  process.stdout.write(JSON.stringify(told, plain) + "\n");
}
