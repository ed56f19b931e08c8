#!/bin/sh
# replicate 1.4.0 (npm) types `aborted` as a state of a prediction, but its wait(), and so run(), ends at succeeded, failed and canceled only: an
# aborted prediction is polled twice a second for ever. replicate 1.0.7 (Python) cannot read one: ValidationError, as its type has no such state.
# Seen: run() still polls after five seconds.
# Exits with 1 if run() has not ended after five seconds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund replicate@1.4.0
cat > try.mjs <<'JS'
import { createServer } from "node:http";
import Replicate from "replicate";

let requests = 0;
const server = createServer((request, response) => {
  requests += 1;
  request.resume();
  const status = request.method === "POST" ? "starting" : "aborted";
  response.writeHead(200, { "Content-Type": "application/json" });
  response.end(JSON.stringify({ id: "p", status, output: null, urls: {} }));
});
server.listen(0, "127.0.0.1", () => {
  const baseUrl = `http://127.0.0.1:${server.address().port}/v1`;
  new Replicate({ auth: "any", baseUrl }).run("a/b", { input: {} }).then(
    () => process.exit(0),
    () => process.exit(0),
  );
  setTimeout(() => {
    console.log(`still polling after ${requests} requests`);
    process.exit(1);
  }, 5000);
});
JS
node try.mjs
