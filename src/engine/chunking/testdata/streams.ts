/** Repeatable input for chunking tests and benchmarks. */
import { createCipheriv } from 'node:crypto';

/** Random-looking bytes, the same for a seed everywhere: AES-128-CTR over zeros with the seed as key. */
export function seededBytes(seed: number, length: number): Uint8Array {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** SQL-like text, as a database dump has it. */
export function dumpText(seed: number, length: number): Uint8Array {
  const rows: string[] = [];
  for (let bytes = 0, row = seed; bytes < length; row += 1) {
    const text = `INSERT INTO account VALUES (${row},'customer ${Math.imul(row, 2_654_435_761) >>> 0}','2024-02-${row % 28 + 1}');\n`;
    rows.push(text);
    bytes += text.length;
  }
  return Buffer.from(rows.join('')).subarray(0, length);
}
