/**
 * One process of the guest benchmark: `read LOCATION` reads a file from its first to its last byte, timed once it is open; `first LOCATION` its first 4 KiB,
 * timed from before `openLocation`, with all modules that it loads; `again LOCATION` the same a
 * second time, with all modules loaded; `digest LOCATION` prints its SHA-256.
 */
import { openLocation } from '../../src/services/locations/index.ts';
import { digestOf, pieceBytes } from '../../src/services/trees/content.ts';

const FIRST_BYTES = 4096;

/** Opens a file, does one role's work with it and closes it. Returns the line to print. */
async function play(role: string, text: string): Promise<string> {
  const begun = performance.now();
  const location = await openLocation(text);
  try {
    const { tree, id } = await location.node();
    const source = await tree.open(id);
    try {
      if (role === 'digest') return await digestOf(source, 'sha256');
      const end = role === 'read' ? source.size : Math.min(FIRST_BYTES, source.size);
      const opened = performance.now();
      const buffer = new Uint8Array(Math.min(pieceBytes, end));
      for (let offset = 0; offset < end; offset += buffer.length) {
        await source.readInto(offset, buffer.subarray(0, Math.min(buffer.length, end - offset)), { sequential: true });
      }
      return JSON.stringify({ seconds: (performance.now() - (role === 'read' ? opened : begun)) / 1000, bytes: end });
    } finally {
      await source.close();
    }
  } finally {
    await location.close();
  }
}

const [role = '', text = ''] = process.argv.slice(2);
if (role === 'again') await play(role, text);
console.log(await play(role, text));
