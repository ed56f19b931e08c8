/** The README's programs compile as strictly as `tsc --init` has it. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const ROOT = new URL("..", import.meta.url).pathname;
const STRICT = "--noEmit --strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --isolatedModules";
const TARGET = "--target es2022 --module nodenext --types node";

test("every program compiles", () => {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const blocks = [...readme.matchAll(/```ts\n(.*?)```/gs)].map((found) => found[1]);
  const ours = blocks.filter((text) => !text.includes('from "undici"')); // which is not installed here
  assert.ok(ours.length >= 3);
  const folder = mkdtempSync(join(ROOT, "dist", "readme-"));
  try {
    const files = ours.map((text, number) => {
      const file = join(folder, `${number}.ts`);
      // What a block goes on with is what the first one made.
      const isWhole = text.includes("new Latentry");
      writeFileSync(file, (isWhole ? "" : 'import { Latentry } from "latentry";\nconst latentry = new Latentry();\n') + text);
      return file;
    });
    const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
    execFileSync(process.execPath, [tsc, ...STRICT.split(" "), ...TARGET.split(" "), ...files], { encoding: "utf8" });
  } catch (error) {
    assert.fail(error.stdout || error);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
