/** Recognising and opening tables of volumes of all kinds. */
import { type BlockSource, defaultLimits, FormatError, HoldfastError, type OpenContext, type ProbeVerdict } from '../../core/index.ts';
import { firmwareRaidDriver } from './firmware/firmware-raid.ts';
import { gptDriver } from './gpt/gpt.ts';
import { ldmDriver } from './ldm/ldm.ts';
import { luksDriver } from './luks/luks.ts';
import { lvmDriver } from './lvm/lvm.ts';
import { isPartitionedSince, mbrDriver, readMbr } from './mbr/mbr.ts';
import { mdDriver } from './md/md.ts';
import { findSuperblock } from './md/superblock.ts';
import type { VolumeMember, VolumeTable, VolumeTableDriver, VolumeTableName } from './volume-table.ts';

/** Arrays of the firmware before what stands on them, containers and members before tables, dynamic disks before the table that protects them, GPT before its MBR. */
const drivers: readonly VolumeTableDriver[] = [firmwareRaidDriver, luksDriver, mdDriver, lvmDriver, ldmDriver, gptDriver, mbrDriver];

/** What {@link probeVolumeTable} recognised. */
export interface RecognisedVolumeTable {
  readonly name: VolumeTableName;
  readonly verdict: Exclude<ProbeVerdict, { readonly match: 'no' }>;
}

/** Whether one of the disk's partitions holds byte `at`. */
async function isInPartition(source: BlockSource, at: number): Promise<boolean> {
  for (const driver of [gptDriver, mbrDriver]) {
    if ((await driver.probe(source)).match !== 'yes') continue;
    try {
      const { volumes } = await driver.open([source], { limits: defaultLimits });
      return volumes.some(({ offset = 0, size }) => offset <= at && at < offset + size);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
    }
  }
  return false;
}

/** Whether what was recognised belongs to something else on the disk: to a partition at its end, or to the disk's life before it was partitioned. */
async function isForeign(name: VolumeTableName, source: BlockSource): Promise<boolean> {
  // A 0.90 superblock does not say where it is, and the last partition's is where the disk's would be.
  const md = name === 'md' ? await findSuperblock(source) : undefined;
  if (md?.version === '0.90') return isInPartition(source, md.at);
  if (name === 'luks') return isPartitionedSince(source);
  // LVM's own tools refuse a label behind a partition table.
  return name === 'lvm' && await readMbr(source) !== undefined;
}

/** Recognises a table by its magic numbers and the plausibility of its entries. Reads little, and never throws for bad content. */
export async function probeVolumeTable(source: BlockSource): Promise<RecognisedVolumeTable | undefined> {
  let damaged: RecognisedVolumeTable | undefined;
  for (const { name, probe } of drivers) {
    const verdict = await probe(source);
    if (verdict.match === 'no' || await isForeign(name, source)) continue;
    // Behind a damaged GPT, only the MBR that protects it would be left.
    if (verdict.match === 'yes' || name === 'gpt') return { name, verdict };
    damaged ??= { name, verdict };
  }
  return damaged;
}

function driverOf(name: VolumeTableName): VolumeTableDriver {
  return drivers.find((one) => one.name === name) as VolumeTableDriver;
}

/**
 * Opens a table; `name` undefined: the kind that the first source says. The table then owns the sources; on failure they remain the caller's.
 * @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} @throws {IntegrityError}
 */
export async function openVolumeTable(sources: readonly BlockSource[], context: OpenContext, name?: VolumeTableName): Promise<VolumeTable> {
  const [first] = sources;
  const kind = name ?? (first === undefined ? undefined : (await probeVolumeTable(first))?.name);
  if (kind === undefined) throw new FormatError('Open volumes', { structure: 'disk', field: 'partition table', expected: drivers.map((one) => one.name).join(', ') });
  return driverOf(kind).open(sources, context);
}

/**
 * What a disk says about the array or group that it belongs to; undefined for disks that stand alone. `known`: what {@link probeVolumeTable} said of
 * it. @throws {FormatError}
 */
export async function memberOf(source: BlockSource, known?: RecognisedVolumeTable): Promise<(VolumeMember & { readonly name: VolumeTableName }) | undefined> {
  const found = known ?? await probeVolumeTable(source);
  const driver = found?.verdict.match === 'yes' ? driverOf(found.name) : undefined;
  return driver?.member === undefined ? undefined : { name: driver.name, ...await driver.member(source) };
}
