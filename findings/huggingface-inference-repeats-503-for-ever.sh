#!/bin/sh
# @huggingface/inference 4.13.30 (npm): a request that is answered 503 is sent again at once, and so on until another answer comes: no pause,
# no Retry-After, no bound (innerRequest calls itself). A service that is full is asked hundreds of times a second by each waiting client.
# Seen: thousands of requests in two seconds.
# Exits with 1 if more than 20 requests come in two seconds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund @huggingface/inference@4.13.30
cat > try.mjs <<'JS'
import { createServer } from "node:http";
import { InferenceClient } from "@huggingface/inference";

let requests = 0;
const server = createServer((request, response) => {
  requests += 1;
  request.resume();
  response.writeHead(503, { "Retry-After": "30", "Content-Type": "application/json" });
  response.end('{"error": "busy"}');
});
server.listen(0, "127.0.0.1", () => {
  const url = `http://127.0.0.1:${server.address().port}/model`;
  new InferenceClient("any").endpoint(url).textToImage({ inputs: "a" }).catch(() => {});
  setTimeout(() => {
    console.log(`${requests} requests in 2 s`);
    process.exit(requests > 20 ? 1 : 0);
  }, 2000);
});
JS
node try.mjs
