/**
 * One process of the guest benchmark: `read LOCATION` reads a file from its first to its last byte, `first LOCATION` its first 4 KiB, `digest LOCATION` prints
 * its SHA-256. The time is that from before `openLocation`, without the start of Node.
 */
import { openLocation } from '../../src/services/locations/index.ts';
import { digestOf, pieceBytes } from '../../src/services/trees/content.ts';

const FIRST_BYTES = 4096;
const [role = '', text = ''] = process.argv.slice(2);
const begun = performance.now();
const location = await openLocation(text);
try {
  const { tree, id } = await location.node();
  const source = await tree.open(id);
  try {
    if (role === 'digest') console.log(await digestOf(source, 'sha256'));
    else {
      const end = role === 'read' ? source.size : Math.min(FIRST_BYTES, source.size);
      const buffer = new Uint8Array(Math.min(pieceBytes, end));
      for (let offset = 0; offset < end; offset += buffer.length) {
        await source.readInto(offset, buffer.subarray(0, Math.min(buffer.length, end - offset)), { sequential: true });
      }
      console.log(JSON.stringify({ seconds: (performance.now() - begun) / 1000, bytes: end }));
    }
  } finally {
    await source.close();
  }
} finally {
  await location.close();
}
