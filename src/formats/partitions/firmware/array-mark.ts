/** What the metadata of a firmware's array says of its volumes. */
import { HoldfastError } from '../../../core/index.ts';

/** A volume of an array. */
export interface ArrayVolume {
  readonly level: string;
  readonly name?: string;
  /** Bytes. */
  readonly size: number;
  /** A disk has all of it, from its first byte on. */
  readonly isWhole: boolean;
}

/** An array that a disk is a member of. */
export interface ArrayMark {
  readonly version: string;
  readonly volumes: readonly ArrayVolume[];
}

/** What `read` finds; undefined where what it reads contradicts itself. Failures of the disk are thrown on. */
export async function unlessMalformed(read: () => Promise<ArrayMark | undefined>): Promise<ArrayMark | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof HoldfastError && ['FORMAT', 'LIMIT'].includes(error.code)) return undefined;
    throw error;
  }
}
