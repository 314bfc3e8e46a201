/**
 * Disks of a RAID that a firmware made: recognised and named, not read. What such a disk has at its start is the array's start, and a partition table there describes the
 * array, not the disk: read as if it stood alone it would give wrong bytes. A disk that has the whole volume, as each disk of a mirror has, is left to be read so.
 */
import { type BlockSource, FormatError, type ProbeVerdict, UnsupportedError } from '../../../core/index.ts';
import { onlySource, tableOf } from '../parts.ts';
import type { Volume, VolumeTable, VolumeTableDriver } from '../volume-table.ts';
import type { ArrayMark, ArrayVolume } from './array-mark.ts';
import { readDdf } from './ddf.ts';
import { readImsm } from './imsm.ts';

const NAME = 'firmware-raid';

/** The array of which a disk has only a part. A spare has no volumes, and nothing to be taken for one. */
async function arrayOf(disk: BlockSource): Promise<ArrayMark | undefined> {
  const mark = await readImsm(disk) ?? await readDdf(disk);
  return mark?.volumes.every(({ isWhole }) => isWhole) === true ? undefined : mark;
}

function volumeOf({ level, name, size }: ArrayVolume, number: number, version: string): Volume {
  const what = `${version}, ${level}${name === undefined ? '' : ` '${name}'`}`;
  return {
    step: `p${number}`, type: level, size, ...(name === undefined ? {} : { name }),
    open: () => Promise.reject(new UnsupportedError(`Open volume 'p${number}' of a RAID of the firmware (${what}): such arrays are not read; have the controller or mdadm show the volume, and read that`)),
  };
}

async function probe(disk: BlockSource): Promise<ProbeVerdict> {
  const mark = await arrayOf(disk);
  return mark === undefined ? { match: 'no' } : { match: 'yes', version: mark.version };
}

async function open(sources: readonly BlockSource[]): Promise<VolumeTable> {
  const disk = onlySource(sources, 'RAID of the firmware');
  const mark = await arrayOf(disk);
  if (mark === undefined) throw new FormatError('Open RAID of the firmware', { structure: 'disk', field: 'array metadata', expected: 'Intel Matrix RAID or DDF' });
  const { version, volumes } = mark;
  const remarks = ['this disk has a part of an array; what a table or filesystem at its start says is of the array'];
  return tableOf({
    facts: { format: NAME, version, sectorSize: disk.sectorSize, remarks }, sources, problems: [],
    volumes: volumes.map((volume, i) => volumeOf(volume, i + 1, version)),
  });
}

/** RAID of Intel's firmware (IMSM) and of controllers that write the Disk Data Format. */
export const firmwareRaidDriver: VolumeTableDriver = { name: NAME, probe, open };
