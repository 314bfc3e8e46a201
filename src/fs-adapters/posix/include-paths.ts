/** Which part of a filesystem a tree shows: a trie of the included paths. */
import { compareBytes, splitPath, textOf, UsageError } from '../../core/index.ts';

/** A directory on the way to included paths. `all`: it is one of them, everything below belongs to the tree. */
export interface IncludeNode {
  all: boolean;
  /** By name as Latin-1 text, one character a byte. */
  readonly children: Map<string, IncludeNode>;
}

/** Latin-1 text of bytes: a map key without loss. */
export function byteKey(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/**
 * Builds the trie. @throws {UsageError} when a path is not below `root` or has `.` or `..` in it.
 */
export function includeTrie(root: Uint8Array, paths: readonly Uint8Array[] | undefined): IncludeNode {
  const top: IncludeNode = { all: paths === undefined, children: new Map() };
  const prefix = splitPath(root).map(byteKey);
  for (const path of paths ?? []) {
    const parts = splitPath(path).map(byteKey);
    const below = path[0] === 0x2f && prefix.every((part, i) => parts[i] === part);
    if (!below || parts.includes('.') || parts.includes('..')) {
      throw new UsageError(`Include '${textOf(path)}': expected an absolute path below '${textOf(root)}' without '.' and '..'`);
    }
    let node = top;
    for (const part of parts.slice(prefix.length)) {
      let child = node.children.get(part);
      if (child === undefined) node.children.set(part, (child = { all: false, children: new Map() }));
      node = child;
    }
    node.all = true;
  }
  return top;
}

/** The included names of a directory on the way, in ascending byte order. */
export function includedNames(node: IncludeNode): readonly Uint8Array[] {
  return [...node.children.keys()].map((key) => new Uint8Array(Buffer.from(key, 'latin1'))).sort(compareBytes);
}
