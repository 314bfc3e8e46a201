/** CRC-32C of headers and tables in TypeScript against zlib's CRC-32 of payloads. */
import { crc32c } from '../../src/core/index.ts';
import { crc32 } from '../../src/engine/containers/checksums.ts';
import { randomBytesOf } from './inputs.ts';
import type { Suite } from './suite.ts';

/** Checksums of a small header, a group's table and a bulk payload. */
export function crcSuite(): Suite {
  const sums = [['crc32 (payloads)', crc32], ['crc32c (headers)', crc32c]] as const;
  const cases = [64, 4096, 1 << 20].flatMap((length) => {
    const data = randomBytesOf(3, length);
    return sums.map(([name, sum]) => ({ name, group: `${length} bytes`, amount: length, run: () => { sum(data); } }));
  });
  return { title: 'Checksums', unit: 'bytes', cases };
}
