/** Directories with their parents. Node's own `recursive` never returns where a parent refuses children, as /proc does. */
import * as fs from 'node:fs';

function isCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code;
}

function parentOf(path: Buffer): Buffer | undefined {
  let end = path.length;
  while (end > 1 && path[end - 1] === 0x2f) end -= 1;
  const slash = path.subarray(0, end).lastIndexOf(0x2f);
  if (slash < 0 || end <= 1) return undefined;
  return path.subarray(0, Math.max(1, slash));
}

/** Makes `path` and what is missing above it; one that exists is left alone. @throws what the system says. */
export function makeDirectories(path: Buffer | string): void {
  const bytes = Buffer.from(path as string);
  try {
    fs.mkdirSync(bytes);
  } catch (error) {
    if (isCode(error, 'EEXIST')) return;
    const parent = parentOf(bytes);
    if (!isCode(error, 'ENOENT') || parent === undefined) throw error;
    makeDirectories(parent);
    fs.mkdirSync(bytes);
  }
}
