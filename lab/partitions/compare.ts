/** What our readers make of disks against what the kernel showed of the same disks. */
import { createHash } from 'node:crypto';
import { type BlockSource, defaultLimits, HoldfastError } from '../../src/core/index.ts';
import { openVolumeTable, type Volume, type VolumeTable } from '../../src/formats/partitions/index.ts';
import { fileSource } from '../../src/fs-adapters/posix/index.ts';
import { openLocation } from '../../src/services/locations/index.ts';
import type { VolumeJob, VolumeSum } from './volume-job.ts';

const PART_BYTES = 1 << 20;

/** SHA-256 of all bytes of a source, read in order. */
export async function digestOf(source: BlockSource): Promise<string> {
  const hash = createHash('sha256');
  const part = new Uint8Array(PART_BYTES);
  for (let at = 0; at < source.size; at += part.length) {
    const bytes = part.subarray(0, Math.min(part.length, source.size - at));
    await source.readInto(at, bytes);
    hash.update(bytes);
  }
  return hash.digest('hex');
}

/** What a volume reads as, or the class of the error. */
async function readVolume(volume: Volume): Promise<string> {
  try {
    return await digestOf(await volume.open());
  } catch (error) {
    if (error instanceof HoldfastError) return `${error.name}: ${error.message}`;
    throw error;
  }
}

/** Whether a volume of this type must be readable without one disk. */
function isRedundant(type: string): boolean {
  return /^(?:mirror|raid1|raid4|raid5|raid6|raid10)/.test(type);
}

async function openJob(files: readonly string[], job: VolumeJob): Promise<VolumeTable> {
  const sources: BlockSource[] = [];
  try {
    for (const file of files) sources.push(await fileSource(file));
    return await openVolumeTable(sources, { limits: defaultLimits, ...(job.key === undefined ? {} : { keys: [Buffer.from(`${job.key}\n`)] }) });
  } catch (error) {
    for (const source of sources) await source.close();
    throw error;
  }
}

/** Differences of one opening from the sums. With disks missing, only what has redundancy must be there; what is there must be right. */
async function differencesOf(table: VolumeTable, sums: readonly VolumeSum[], complete: boolean): Promise<readonly string[]> {
  const differences: string[] = [];
  for (const { step, sha256, size } of sums) {
    const volume = table.volumes.find((one) => (step === 'md' ? one.step.startsWith('md=') : one.step === step));
    if (volume === undefined) {
      differences.push(`${step}: not in the table`);
      continue;
    }
    const found = await readVolume(volume);
    if (found !== sha256 && !found.startsWith(`${sha256}: `) && (complete || isRedundant(volume.type) || !found.startsWith('NotFoundError'))) differences.push(`${step} (${volume.type}): '${found}', the kernel's is '${sha256}'`);
    if (complete && volume.size !== size) differences.push(`${step} (${volume.type}): size '${volume.size}', the kernel's is '${size}'`);
  }
  return differences;
}

/** Differences of volumes as a location names them, from the last disk to the first. */
async function locationDifferences(files: readonly string[], sums: readonly VolumeSum[]): Promise<readonly string[]> {
  const differences: string[] = [];
  for (const { step, sha256 } of sums) {
    let found: string;
    try {
      const location = await openLocation(`${files.toReversed().join(',')}::${step}`);
      try {
        const { tree, id } = await location.node();
        const source = await tree.open(id);
        found = await digestOf(source).finally(() => source.close());
      } finally {
        await location.close();
      }
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      found = `${error.name}: ${error.message}`;
    }
    if (found !== sha256 && !found.startsWith(`${sha256}: `)) differences.push(`as a location: ${step}: '${found}', the kernel's is '${sha256}'`);
  }
  return differences;
}

/** Reads the disks of a job, whole and without each spare set. @returns differences, and how many readings were compared. */
export async function compareJob(files: readonly string[], job: VolumeJob, sums: readonly VolumeSum[]): Promise<{ readonly differences: readonly string[]; readonly readings: number }> {
  const differences: string[] = [];
  let readings = 0;
  for (const missing of [[], ...job.spareSets]) {
    const given = files.filter((_, i) => !missing.includes(i));
    const how = missing.length === 0 ? 'all disks' : `without ${missing.join(', ')}`;
    try {
      const table = await openJob(given, job);
      try {
        differences.push(...(await differencesOf(table, sums, missing.length === 0)).map((one) => `${how}: ${one}`));
        readings += sums.length;
      } finally {
        await table.close();
      }
    } catch (error) {
      differences.push(`${how}: ${String(error)}`);
    }
  }
  if (job.byLocation === true) {
    differences.push(...await locationDifferences(files, sums));
    readings += sums.length;
  }
  return { differences, readings };
}
