/** What host and guest say to each other. */
import type { CompareOptions } from '../filesystems/entry-facts.ts';

/** One run of the guest. */
export interface KernelTask {
  /** Of servers on the host; each serves its root. */
  readonly ports: readonly number[];
}

/** Names of files in the guest's folder. */
export const kernelFiles = { task: 'task.json', facts: (port: number): string => `facts-${port}.json`, done: 'NFS-DONE' } as const;

/** NFS 3 has no attributes and no times of birth, numbers of inodes are those of the server's handles, and names of more than 255 bytes are left out. */
export const nfsCompare: CompareOptions = { omit: ['inode', 'attributes', 'created', 'accessed', 'changed', 'directory links'], ignore: (name) => Buffer.byteLength(name.slice(name.lastIndexOf('/') + 1)) > 255 };
