// `make sdk-ts` writes the native part of the API document and runs this.
export default {
  input: "openapi.json",
  output: { path: "src/generated", module: { extension: ".js" } },
  plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "@hey-api/sdk"],
};
