import assert from 'node:assert';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';

interface WasmModuleRow {
  readonly target: string;
}

interface BuildWasm {
  readonly wasmModules: readonly WasmModuleRow[];
  generatedModule(row: WasmModuleRow): Promise<string>;
}

/** Tests run from the repository root; the generator is a development tool outside the build. */
const root = pathToFileURL(`${process.cwd()}/`);

describe('generated WebAssembly', () => {
  it('is what its source assembles to', async () => {
    const { wasmModules, generatedModule } = await import(new URL('tools/build-wasm.mjs', root).href) as BuildWasm;
    assert.ok(wasmModules.length > 0);
    for (const row of wasmModules) {
      assert.equal(readFileSync(new URL(row.target, root), 'utf8'), await generatedModule(row), `run 'node tools/build-wasm.mjs' for ${row.target}`);
    }
  });
});
