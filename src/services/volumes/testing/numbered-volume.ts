/** A volume that two processes can compute alike: a label, then blocks of one session with a file each. */
import { utf8 } from '../../../core/index.ts';
import { seededBytes } from '../../../core/testing/random.ts';
import { sharedBlockHasher } from '../../../formats/bacula/index.ts';
import { SessionWriter, VolumeWriter, encodeAttributes, encodeLstat } from '../../../formats/bacula/testing/volume-writer.ts';

/** Blocks in order; the first is the label, the last ends the job. `run` is what differs when the same files are backed up again. */
export async function numberedBlocks(name: string, files: number, run = 1, fileBytes = 20_000): Promise<readonly Uint8Array[]> {
  const blocks: Uint8Array[] = [];
  const volume = new VolumeWriter({ version: 'BB02', blockBytes: 64_512, hasher: await sharedBlockHasher(), emit: (block) => { blocks.push(block); } });
  const session = new SessionWriter(volume, { id: run, time: 1000 + run, jobId: 500 + run });
  volume.label(name, { id: run, time: 1000 + run }, 0, run * 1e6);
  session.start();
  for (let i = 0; i < files; i += 1) {
    const data = seededBytes(fileBytes, i * 65_537);
    session.record(i + 1, 1, encodeAttributes({ fileIndex: i + 1, type: 3, name: utf8(`/file-${i}`) }, encodeLstat({ mode: 0o100644, size: data.length, atime: 1_600_000_000 + run })));
    session.record(i + 1, 2, data);
  }
  session.end();
  return blocks;
}
