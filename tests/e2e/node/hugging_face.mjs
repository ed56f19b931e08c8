// Hugging Face's npm client against the service at argv[2]: writes pictures to the folder argv[3],
// and to its standard output what it saw.
import { readFile, writeFile } from "node:fs/promises";
import { InferenceClient } from "@huggingface/inference";

const [url, folder] = process.argv.slice(2);
const client = new InferenceClient("any").endpoint(`${url}/hf/shapes`);
const parameters = { num_inference_steps: 6, seed: 3 };
const write = async (name, blob) =>
  writeFile(`${folder}/${name}.png`, Buffer.from(await blob.arrayBuffer()));

const inputs = "a red circle on a blue background";
const image = await client.textToImage({ inputs, parameters }, { outputType: "blob" });
await write("text", image);

const photo = new Blob([await readFile(`${folder}/text.png`)], { type: "image/png" });
const prompt = { ...parameters, prompt: "a green square", strength: 0.5 };
await write("edited", await client.imageToImage({ inputs: photo, parameters: prompt }));
await write("plain", await client.imageToImage({ inputs: photo }));

let refusal = "";
try {
  await client.textToImage({ inputs, parameters: { width: 100 } });
} catch (error) {
  refusal = error.message;
}
console.log(JSON.stringify({ type: image.type, refusal }));
