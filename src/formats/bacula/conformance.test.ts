/** Jobs and their files against the suites that every tree and source must pass. */
import { deflateSync } from 'node:zlib';
import { lookupPath, type NodeId, readRange, utf8 } from '../../core/index.ts';
import { blockSourceSuite, type ExpectedNode, fileTreeSuite } from '../../core/conformance/index.ts';
import { sharedBlockHasher } from './checksum.ts';
import type { BaculaTree } from './job-tree.ts';
import { STREAM } from './stream.ts';
import { fixtureContext, fixtureManifest, fixtureVolume, openBytes } from './testdata/fixture.ts';
import { encodeAttributes, encodeLstat, SessionWriter, VolumeWriter } from './testing/volume-writer.ts';

for (const [set, manifest] of [['special-files', 'manifest-special.jsonl'], ['b15-acl-xattr', 'manifest-aclx.jsonl'], ['sparsegzip', 'manifest-sparse.jsonl']] as const) {
  fileTreeSuite(`Bacula job of ${set}`, async () => {
    const volumes = await openBytes([await fixtureVolume(set)], await fixtureContext());
    const lines = await fixtureManifest(`${set}/${manifest}`);
    const expected = lines.filter((line) => line['type'] === 'file' && line['path_b64'] === undefined).map((line): ExpectedNode => (
      { path: utf8(String(line['path']).slice(1)), stat: { uid: Number(line['uid']), gid: Number(line['gid']), size: Number(line['size']) } }
    ));
    return { tree: volumes.jobTree({ jobId: volumes.jobs()[0]?.jobId ?? 0 }), expected, cleanup: () => volumes.close() };
  });
}

const content = new Uint8Array(300_000).map((_byte, i) => (i * 31) >>> 5);
const CHUNK = 65_528;

/** A job with one file in three forms. */
async function job(): Promise<BaculaTree> {
  const blocks: Uint8Array[] = [];
  const writer = new VolumeWriter({ version: 'BB02', blockBytes: 64_512, hasher: await sharedBlockHasher(), emit: (block) => { blocks.push(block); } });
  const names = { id: 1, time: 1_700_000_000, jobId: 1 };
  writer.label('V', names, 0, 1.7e15);
  const session = new SessionWriter(writer, names);
  session.start();
  for (const [i, stream] of [STREAM.FILE_DATA, STREAM.GZIP_DATA, STREAM.SPARSE_GZIP_DATA].entries()) {
    const fileIndex = i + 1;
    session.record(fileIndex, STREAM.UNIX_ATTRIBUTES, encodeAttributes({ fileIndex, type: 3, name: utf8(`/${stream}`) }, encodeLstat({ mode: 0o100600, size: content.length })));
    for (let at = 0; at < content.length; at += CHUNK) {
      const part = content.subarray(at, at + CHUNK);
      const address = Buffer.alloc(8);
      address.writeBigUInt64BE(BigInt(at));
      if (stream === STREAM.SPARSE_GZIP_DATA && at > 0 && at < 2 * CHUNK) continue;
      session.record(fileIndex, stream, stream === STREAM.FILE_DATA ? part : Buffer.concat([stream === STREAM.GZIP_DATA ? new Uint8Array() : address, deflateSync(part)]));
    }
  }
  session.end();
  return (await openBytes([Buffer.concat(blocks)])).jobTree({ jobId: 1 });
}

for (const stream of [STREAM.FILE_DATA, STREAM.GZIP_DATA, STREAM.SPARSE_GZIP_DATA]) {
  blockSourceSuite(`content of stream ${stream}`, async () => {
    const tree = await job();
    const source = await tree.open(await lookupPath(tree, utf8(`/${stream}`)) as NodeId);
    const expected = content.slice();
    if (stream === STREAM.SPARSE_GZIP_DATA) expected.fill(0, CHUNK, 2 * CHUNK);
    await readRange(source, 0, 1);
    return { source, expected, cleanup: () => tree.close() };
  });
}
