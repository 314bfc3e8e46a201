/** Recognising and opening filesystems of all families. */
import { FormatError, type BlockSource, type ProbeVerdict } from '../../core/index.ts';
import { btrfsDriver } from './btrfs/btrfs.ts';
import { exfatDriver } from './exfat/exfat.ts';
import { extDriver } from './ext/ext.ts';
import { fatDriver } from './fat/fat.ts';
import { ntfsDriver } from './ntfs/ntfs.ts';
import { refsDriver } from './refs/refs.ts';
import { xfsDriver } from './xfs/xfs.ts';
import { zfsDriver } from './zfs/zfs.ts';
import type { Filesystem, FilesystemContext, FilesystemDriver, FilesystemName, MemberFacts } from './filesystem.ts';

/** FAT last: it has the weakest mark. */
const drivers: readonly FilesystemDriver[] = [xfsDriver, ntfsDriver, refsDriver, exfatDriver, btrfsDriver, zfsDriver, extDriver, fatDriver];

/** What {@link probeFilesystem} recognised. */
export interface RecognisedFilesystem {
  readonly name: FilesystemName;
  readonly verdict: Exclude<ProbeVerdict, { readonly match: 'no' }>;
}

async function recognise(source: BlockSource): Promise<{ readonly driver: FilesystemDriver; readonly verdict: RecognisedFilesystem['verdict'] } | undefined> {
  let damaged: { readonly driver: FilesystemDriver; readonly verdict: RecognisedFilesystem['verdict'] } | undefined;
  for (const driver of drivers) {
    const verdict = await driver.probe(source);
    if (verdict.match === 'yes') return { driver, verdict };
    if (verdict.match === 'damaged') damaged ??= { driver, verdict };
  }
  return damaged;
}

/** Recognises a filesystem by its marks; one that is whole goes before one that is damaged. Reads little, and never throws for bad content. */
export async function probeFilesystem(source: BlockSource): Promise<RecognisedFilesystem | undefined> {
  const found = await recognise(source);
  return found === undefined ? undefined : { name: found.driver.name, verdict: found.verdict };
}

/** What a source says about the filesystem of several devices that it is part of; undefined where it is none of such. @throws {FormatError} */
export async function filesystemMember(source: BlockSource): Promise<MemberFacts | undefined> {
  const found = await recognise(source);
  return found?.verdict.match === 'yes' ? found.driver.member?.(source) : undefined;
}

/**
 * Opens a filesystem of any family, as the first source's marks say. It then owns the sources; on failure they remain the caller's.
 * @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} @throws {IntegrityError}
 */
export async function openFilesystem(sources: readonly [BlockSource, ...BlockSource[]], context: FilesystemContext): Promise<Filesystem> {
  const found = await recognise(sources[0]);
  if (found === undefined) throw new FormatError('Open filesystem', { structure: 'filesystem', field: 'magic', expected: drivers.map(({ name }) => name).join(', ') });
  return found.driver.open(sources, context);
}
