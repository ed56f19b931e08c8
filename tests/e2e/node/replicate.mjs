// Replicate's npm client against the service at argv[2]: writes pictures to the folder argv[3], and
// to its standard output what it saw.
import { readFile, writeFile } from "node:fs/promises";
import Replicate from "replicate";

const [url, folder] = process.argv.slice(2);
const client = new Replicate({ auth: "any", baseUrl: `${url}/replicate/v1` });
const input = { prompt: "a red circle on a blue background", num_inference_steps: 6, seed: 3 };

const [image] = await client.run("latentry/shapes", { input });
await writeFile(`${folder}/run.png`, image);

const polled = await client.run("latentry/shapes:shapes", { input, wait: { mode: "poll", interval: 50 } });
await writeFile(`${folder}/polled.png`, await polled[0].blob().then((blob) => blob.stream()));

const photo = await readFile(`${folder}/run.png`);
const [edited] = await client.run("latentry/shapes", { input: { ...input, image: photo, prompt_strength: 0.5 } });
await writeFile(`${folder}/edited.png`, edited);

const events = [];
for await (const event of client.stream("latentry/shapes", { input })) {
  events.push(event.event);
  if (event.event === "output") {
    const picture = await fetch(String(event.data));
    await writeFile(`${folder}/streamed.png`, Buffer.from(await picture.arrayBuffer()));
  }
}

let refusal = "";
try {
  await client.run("latentry/shapes", { input: { ...input, width: 100 } });
} catch (error) {
  refusal = error.message;
}
const pages = [];
for await (const page of client.paginate(client.predictions.list)) pages.push(page.length);
const account = await client.accounts.current();
const model = await client.models.get("latentry", "shapes");
console.log(JSON.stringify({ events, refusal, pages, account: account.type, model: model.name }));
