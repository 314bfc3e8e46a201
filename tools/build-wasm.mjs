/**
 * Assembles the WebAssembly sources into committed modules: `node tools/build-wasm.mjs` writes them, a test compares them
 * (`fastcdc.wasm.test.ts`), so that nobody needs wabt to build and the committed bytes are the source's.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import wabt from 'wabt';

const root = new URL('../', import.meta.url);
const features = Object.freeze({ threads: true });

/** Source → generated module and the name it exports. */
export const wasmModules = Object.freeze([
  { source: 'src/engine/chunking/fastcdc.wat', target: 'src/engine/chunking/fastcdc.wasm.ts', name: 'fastCdcWasm' },
  { source: 'src/engine/parity/multiply.wat', target: 'src/engine/parity/multiply.wasm.ts', name: 'multiplyWasm' },
]);

/** Text of the TypeScript module for one row of {@link wasmModules}. @returns {Promise<string>} */
export async function generatedModule({ source, name }) {
  const toolkit = await wabt();
  const module = toolkit.parseWat(source, readFileSync(new URL(source, root), 'utf8'), features);
  try {
    module.validate(features);
    const bytes = module.toBinary({ write_debug_names: false }).buffer;
    return `/** Generated from ${source.split('/').at(-1)} by tools/build-wasm.mjs; base64 of the binary. */\n`
      + `export const ${name}: string =\n  '${Buffer.from(bytes).toString('base64')}';\n`;
  } finally {
    module.destroy();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const row of wasmModules) writeFileSync(new URL(row.target, root), await generatedModule(row));
}
