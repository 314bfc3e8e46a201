/** Importing a parser must load no native code and no engine: integrators parse volumes where nothing can be compiled or installed. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Shared objects and packages that a fresh process has after importing `subpath` of the package. */
function loadedBy(subpath: string): { readonly native: readonly string[]; readonly exported: number } {
  const script = `
    const before = new Set(process.report.getReport().sharedObjects);
    const loaded = await import(${JSON.stringify(subpath)});
    const native = process.report.getReport().sharedObjects.filter((name) => !before.has(name));
    console.log(JSON.stringify({ native, exported: Object.keys(loaded).length }));`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { cwd: root, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as ReturnType<typeof loadedBy>;
}

describe('importing a part loads no native code', () => {
  for (const subpath of ['holdfast/core', 'holdfast/formats/bacula', 'holdfast/formats/compression', 'holdfast/formats/filesystems', 'holdfast/formats/images', 'holdfast/formats/partitions', 'holdfast/exports']) {
    test(subpath, () => {
      const { native, exported } = loadedBy(subpath);
      assert.deepEqual(native, []);
      assert.ok(exported > 0, 'it exports something');
    });
  }

  test('the probe is not blind: using the POSIX adapter does load native code', () => {
    const script = `
      const before = process.report.getReport().sharedObjects.length;
      const { PosixTree } = await import('holdfast/fs-adapters/posix');
      new PosixTree({ root: Buffer.from('/') });
      console.log(process.report.getReport().sharedObjects.length - before);`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { cwd: root, encoding: 'utf8' });
    assert.ok(Number(stdout) > 0, stderr);
  });
});
