/**
 * Repositories as this format's first version wrote them: every later build must read them. `HOLDFAST_MAKE_GOLDEN=1` makes those that are absent; one that exists is
 * never made anew, a newer format gets new ones beside it.
 */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MemoryTree, directoryNode, fileNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { passphraseCredential } from '../crypto/index.ts';
import { nodeWorld } from '../world/index.ts';
import { Repository } from './repository.ts';

const testdata = fileURLToPath(new URL('../../../../src/engine/repository/testdata', import.meta.url));
const credential = passphraseCredential(Buffer.from('golden'), 'golden');
const root = directoryNode({
  text: fileNode(Buffer.from('all of it\n'.repeat(3_000))), random: fileNode(seededBytes(40_000, 1)),
  directory: directoryNode({ empty: fileNode(new Uint8Array(0)), small: fileNode(Buffer.from('small')) }),
  holes: fileNode(new Uint8Array(200_000), { holes: [[0, 200_000]] }),
});
const kinds = [
  ['golden-1-plain', {}], ['golden-1-sha256', { hash: 'sha256', compression: 'none' }],
  ['golden-1-encrypted', { encryption: { slots: [{ credential }] } }], ['golden-1-parity', { parity: 10 }],
] as const;

async function make(directory: string, choices: Parameters<typeof Repository.create>[1]): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const repository = await Repository.create(nodeWorld(directory), choices, { workers: 0, index: 'memory' });
  await repository.backup(new MemoryTree(root), { sources: ['/golden'], host: 'golden', tags: ['kept'] });
  await repository.close();
  for (const cache of ['cache', 'index', 'locks', 'temporary', 'sessions']) rmSync(path.join(directory, cache), { recursive: true, force: true });
  for (const prefix of readdirSync(path.join(directory, 'containers'))) {
    const folder = path.join(directory, 'containers', prefix);
    if (readdirSync(folder).length === 0) rmSync(folder, { recursive: true });
  }
}

for (const [name, choices] of kinds) {
  test(`'${name}' stays readable`, async (t) => {
    const directory = path.join(testdata, name);
    if (process.env['HOLDFAST_MAKE_GOLDEN'] === '1' && !existsSync(directory)) await make(directory, choices);
    const copy = mkdtempSync(path.join(tmpdir(), 'holdfast-golden-')); // check keeps a cache
    t.after(() => { rmSync(copy, { recursive: true }); });
    cpSync(directory, copy, { recursive: true });
    const repository = await Repository.open(nodeWorld(copy), { mode: 'read', workers: 0, ...('encryption' in choices ? { credentials: [credential] } : {}) });
    const [snapshot, ...more] = await repository.snapshots();
    assert.deepEqual([snapshot?.host, snapshot?.sources, snapshot?.tags, more.length], ['golden', ['/golden'], ['kept'], 0]);
    await assertSameTree(await repository.openSnapshot(snapshot?.id ?? ''), new MemoryTree(root));
    const problems: string[] = [];
    await repository.check({ readData: true, onProblem: ({ kind, where }) => { problems.push(`${kind} ${where}`); } });
    assert.deepEqual(problems, []);
    await repository.close();
  });
}
