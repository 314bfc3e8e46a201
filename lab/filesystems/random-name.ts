/** Names and other small random things for grown trees. */

/** Numbers from 0 to below 1. */
export type Random = () => number;

/** A whole number from 0 to below `count`. */
export function below(random: Random, count: number): number {
  return Math.floor(random() * count);
}

/** One of a list that is not empty. */
export function pick<T>(random: Random, list: readonly T[]): T {
  return list[below(random, list.length)] as T;
}

/** Bytes; every third time ones that compress. */
export function randomBytes(random: Random, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  if (below(random, 3) === 0) return bytes.fill(Buffer.from(`${random()} line of text\n`));
  for (let at = 0; at < length; at += 4) {
    const word = below(random, 2 ** 32);
    for (let i = 0; i < 4 && at + i < length; i += 1) bytes[at + i] = (word >>> (8 * i)) & 0xff;
  }
  return bytes;
}

const letters: Readonly<Record<'bytes' | 'utf8' | 'windows', readonly string[]>> = {
  windows: [...'abcxyzABCXYZ0189 _-+,;=[]{}()!#$%&\'@^~`éüßñøåЖяλ日本語한글ءعש😀🧪', 'é', 'á'],
  utf8: [...'abcxyzABCXYZ0189 _-+,;=[]{}()!#$%&\'@^~`éüßñøåЖяλ日本語한글ءعש😀🧪\\:*?"<>|\n\t.\x7f', 'é', '‮', '​'],
  bytes: [],
};

/**
 * A name that no other call with another `serial` gives, not even in another case: it begins with the serial in digits. `lengthMax` in
 * bytes, for `windows` in UTF-16 units.
 */
export function randomName(random: Random, kind: 'bytes' | 'utf8' | 'windows', lengthMax: number, serial: number): Buffer {
  const long = below(random, 12) === 0;
  const length = long ? lengthMax - below(random, 3) : below(random, 24);
  // Something must end the number, or another name could go on with its digits.
  const head = `${serial}${pick(random, ['-', '.', '_', '~'])}`;
  if (kind === 'bytes' && below(random, 3) === 0) {
    const bytes = randomBytes(random, Math.max(0, Math.min(length, lengthMax) - head.length)).map((byte) => (byte === 0 || byte === 0x2f ? 0xff : byte));
    return Buffer.concat([Buffer.from(head), bytes]);
  }
  let name = head;
  const alphabet = letters[kind === 'windows' ? 'windows' : 'utf8'];
  const plain = below(random, 2) === 0;
  for (;;) {
    const next = name + (plain ? String.fromCharCode(0x61 + below(random, 26)) : pick(random, alphabet));
    if ((kind === 'windows' ? next.length : Buffer.byteLength(next)) > Math.min(lengthMax, Math.max(length, head.length))) break;
    name = next;
  }
  return Buffer.from(kind === 'windows' ? name.replace(/[ .]+$/, 'x') : name);
}

/** An access control list in the kernel's version 2 form, with named users and groups. */
export function randomAcl(random: Random): Buffer {
  const entries: (readonly [tag: number, permissions: number, id: number])[] = [[1, below(random, 8), 0xffff_ffff]];
  const ids = (tag: number): void => {
    const count = below(random, 4);
    for (let i = 0; i < count; i += 1) entries.push([tag, below(random, 8), 1000 * tag + 7 * i + below(random, 7)]);
  };
  ids(2);
  entries.push([4, below(random, 8), 0xffff_ffff]);
  ids(8);
  entries.push([0x10, below(random, 8), 0xffff_ffff], [0x20, below(random, 8), 0xffff_ffff]);
  const acl = Buffer.alloc(4 + 8 * entries.length);
  acl.writeUInt32LE(2, 0);
  for (const [i, [tag, permissions, id]] of entries.entries()) {
    acl.writeUInt16LE(tag, 4 + 8 * i);
    acl.writeUInt16LE(permissions, 6 + 8 * i);
    acl.writeUInt32LE(id, 8 + 8 * i);
  }
  return acl;
}
