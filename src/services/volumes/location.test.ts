/** A volume in a repository, as locations show it: one file byte for byte, and the jobs in it. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';
import { readRange, utf8 } from '../../core/index.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { openLocation } from '../locations/index.ts';
import { createRepository } from '../repositories.ts';
import { lookupBelow } from '../trees/walk.ts';
import { VolumeShelf } from './shelf.ts';
import { numberedBlocks } from './testing/numbered-volume.ts';

test('a stored volume is a file, and a Bacula volume below it', async () => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-shelf-'));
  const place = path.join(root, 'repository');
  const repository = await createRepository(place);
  const shelf = await VolumeShelf.open(repository, { spool: path.join(root, 'spool') });
  const volume = await shelf.open('Vol-0001', { create: true });
  const bytes = Buffer.concat(await numberedBlocks('Vol-0001', 30));
  await volume.write(0, bytes);
  await volume.close();
  await shelf.close();
  await repository.close();

  const file = await openLocation(`${place}::latest::/Vol-0001`);
  const view = await file.node();
  const source = await view.tree.open(view.id);
  assert.equal(Buffer.compare(await readRange(source, 0, source.size), bytes), 0);
  await file.close();

  const snapshot = await openLocation(`${place}::latest`);
  const { tree, id } = await snapshot.node();
  const names: string[] = [];
  for await (const page of tree.list(id)) names.push(...page.map(({ name }) => Buffer.from(name).toString()));
  assert.deepEqual(names, ['Vol-0001']);
  await snapshot.close();

  const job = await openLocation(`${place}::latest::/Vol-0001::job=501`);
  const inner = await job.node();
  const found = await lookupBelow(inner, utf8('/file-7')) ?? assert.fail('the job has it');
  const content = await inner.tree.open(found);
  assert.equal(Buffer.compare(await readRange(content, 0, content.size), seededBytes(20_000, 7 * 65_537)), 0);
  await content.close();
  assert.deepEqual(job.problems(), []);
  await job.close();
  fs.rmSync(root, { recursive: true });
});
