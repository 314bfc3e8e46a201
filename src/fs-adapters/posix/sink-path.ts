/** Paths that a tree wants to be restored to: checked here, before anything touches the target. */
import { FormatError, textOf } from '../../core/index.ts';
import { byteKey } from './include-paths.ts';

/** A checked path. `parent` is a map key (Latin-1); `name` is NUL-terminated, empty only for the root. */
export interface SinkPath {
  readonly parent: string;
  readonly name: Uint8Array;
}

/**
 * Splits a path below the sink's root.
 * @throws {FormatError} on an empty part, `.`, `..` or NUL: such a path could lead out of the target.
 */
export function sinkPath(path: Uint8Array): SinkPath {
  let start = 0;
  for (let i = 0; i <= path.length; i += 1) {
    const byte = path[i];
    if (byte === 0) throw refused(path, i, 'NUL');
    if (i < path.length && byte !== 0x2f) continue;
    const length = i - start;
    if (length === 0 && path.length > 0) throw refused(path, start, 'an empty name');
    if (length <= 2 && path[start] === 0x2e && (length === 1 || path[start + 1] === 0x2e)) {
      throw refused(path, start, textOf(path.subarray(start, i)));
    }
    if (i < path.length) start = i + 1;
  }
  const name = new Uint8Array(path.length - start + 1);
  name.set(path.subarray(start));
  return { parent: start === 0 ? '' : byteKey(path.subarray(0, start - 1)), name };
}

function refused(path: Uint8Array, offset: number, found: string): FormatError {
  return new FormatError(`Restore '${textOf(path)}'`, { structure: 'path', field: 'name', offset, found, expected: "names without '/', NUL, '.' and '..'" });
}
