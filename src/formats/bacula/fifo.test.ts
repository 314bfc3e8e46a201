/**
 * Volumes written into a FIFO. The story: on a device that cannot go back, the storage daemon does not write the label's block at once but fills it with the
 * first records; we took a first block with a label for a block with nothing else, and lost the start of the job. Seen with real daemons, 9.6.7 and 15.0.3.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { gunzipSync } from 'node:zlib';
import { readRange } from '../../core/index.ts';
import { fixtureFile, openBytes } from './testdata/fixture.ts';

for (const name of ['fifo-0002', 'b15-fifo-0002']) {
  test(`${name}: the records behind the label are read`, async () => {
    const volumes = await openBytes([new Uint8Array(gunzipSync(await fixtureFile(`fifo/${name}.gz`)))]);
    assert.deepEqual(volumes.problems(), []);
    const [job] = volumes.jobs();
    assert.ok(job !== undefined && job.complete);
    const tree = volumes.jobTree({ jobId: job.jobId });
    let id = tree.rootId;
    for (let type = 'directory'; type === 'directory'; type = (await tree.stat(id)).type) for await (const [entry] of tree.list(id)) id = entry?.id ?? id;
    const source = await tree.open(id);
    assert.deepEqual(Buffer.from(await readRange(source, 0, source.size)), Buffer.alloc(500_000, 7));
    for await (const problem of volumes.verifyContents()) assert.fail(problem.message);
    await volumes.close();
  });
}
