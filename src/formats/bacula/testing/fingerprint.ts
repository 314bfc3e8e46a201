/**
 * What a tree says about each of its entries, as text: to compare a damaged volume with the good one. Link counts and access
 * times are left out: a hard link whose data is lost stands for itself, with what its own record says.
 */
import { createHash } from 'node:crypto';
import { type BlockSource, type FileTree, HoldfastError, joinPath, type NodeId } from '../../../core/index.ts';

/** One entry. A part that cannot be read is `undefined`. */
export interface Fingerprint {
  readonly stat: string;
  readonly content: string | undefined;
  readonly attributes: string | undefined;
}

async function digest(source: BlockSource): Promise<string> {
  const hash = createHash('md5');
  const buffer = new Uint8Array(Math.min(source.size, 1 << 20));
  for (let offset = 0; offset < source.size; offset += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, source.size - offset));
    await source.readInto(offset, part);
    hash.update(part);
  }
  return hash.digest('hex');
}

/** Undefined for a documented error; anything else is a bug and goes on up. */
async function readable<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof HoldfastError) return undefined;
    throw error;
  }
}

async function fingerprint(tree: FileTree, id: NodeId): Promise<Fingerprint> {
  const stat = await readable(() => tree.stat(id));
  const content = await readable(async () => {
    if (stat?.type === 'symlink') return Buffer.from(await tree.readLink(id)).toString('hex');
    return stat?.type === 'file' ? digest(await tree.open(id)) : '';
  });
  const attributes = await readable(async () => JSON.stringify([...await tree.attributes(id)].map(([name, value]) => [name, Buffer.from(value).toString('hex')]).sort()));
  const { links: _links, accessed: _accessed, ...rest } = stat ?? { links: 0, accessed: undefined };
  return { stat: JSON.stringify(rest), content, attributes };
}

/** Fingerprints of all entries, by path in hexadecimal. */
export async function fingerprints(tree: FileTree): Promise<Map<string, Fingerprint>> {
  const all = new Map<string, Fingerprint>();
  const pending: { readonly id: NodeId; readonly path: Uint8Array }[] = [{ id: tree.rootId, path: new Uint8Array() }];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for await (const page of tree.list(directory.id)) {
      for (const entry of page) {
        const path = joinPath(directory.path, entry.name);
        const print = await fingerprint(tree, entry.id);
        all.set(Buffer.from(path).toString('hex'), print);
        if (JSON.parse(print.stat).type === 'directory') pending.push({ id: entry.id, path });
      }
    }
  }
  return all;
}
