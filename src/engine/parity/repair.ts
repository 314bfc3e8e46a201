/** Objects verified and rebuilt with their sidecars. An object is never changed: its repaired bytes go to a writer of the caller's. */
import { createHash } from 'node:crypto';
import { defaultLimits, equalBytes, type Limits, type ObjectReader, type ObjectStore, type ObjectWriter } from '../../core/index.ts';
import { absentObject, openIfPresent, slabsOf } from './block-reader.ts';
import { BLOCK_BYTES } from './geometry.ts';
import {
  excessDamage, inspectObject, inspectParity, sidecarReport, type BlockVisitor, type ParityReport, type SidecarReport,
} from './inspection.ts';
import { Reconstruction } from './reconstruction.ts';
import { readSidecar, sidecarName, type Sidecar, type SidecarFault } from './sidecar.ts';

/** What came of a repair. */
export interface ParityRepair {
  /**
   * `repaired`: the writer holds the object as it was first written, by its SHA-256; nobody sees it before the caller's `commit`.
   * In all other cases the writer was abandoned.
   */
  readonly outcome: 'sound' | 'repaired' | 'beyond-repair' | 'unknown';
  /** What was found before. */
  readonly report: ParityReport;
}

/** An object and its sidecar, both open; absent ones read as empty. */
interface Opened {
  readonly object: ObjectReader;
  readonly parity: ObjectReader;
  readonly sidecar: Sidecar | SidecarFault;
}

interface Found {
  readonly report: ParityReport;
  /** There is one when the object can be repaired; it has its parity. */
  readonly reconstruction?: Reconstruction;
}

async function withSidecar<T>(objects: Pick<ObjectStore, 'open'>, name: string, limits: Limits, body: (opened: Omit<Opened, 'object'>) => Promise<T>): Promise<T> {
  const parity = await openIfPresent(objects, sidecarName(name));
  try {
    return await body({ parity, sidecar: parity === absentObject ? 'absent' : await readSidecar(parity, name, limits) });
  } finally {
    await parity.close();
  }
}

function withOpened<T>(objects: Pick<ObjectStore, 'open'>, name: string, limits: Limits, body: (opened: Opened) => Promise<T>): Promise<T> {
  return withSidecar(objects, name, limits, async (opened) => {
    const object = await openIfPresent(objects, name);
    try {
      return await body({ object, ...opened });
    } finally {
      await object.close();
    }
  });
}

function unknown(reason: SidecarFault): ParityReport {
  return { state: 'unknown', reason, damagedBlocks: [], lostBlocks: 0, excessBytes: 0, sidecar: { state: 'unusable', damagedParityBlocks: 0 } };
}

/** Makes the report; with `collect`, also what is needed to repair. */
async function inspect({ object, parity }: Opened, sidecar: Sidecar, collect: boolean): Promise<Found> {
  const { geometry } = sidecar;
  const { damagedBlocks, isExact, wrongChecksums } = await inspectObject(object, sidecar);
  const mayHeal = excessDamage(geometry, damagedBlocks, () => geometry.parityShards) === 0;
  const reconstruction = collect && damagedBlocks.length > 0 && mayHeal ? new Reconstruction(geometry, damagedBlocks) : undefined;
  const visit: BlockVisitor = (block, bytes) => reconstruction?.addParity(block, bytes);
  const sound = await inspectParity(parity, sidecar, visit);
  const lostBlocks = excessDamage(geometry, damagedBlocks, (group) => sound[group] as number);
  const facts = { damagedBlocks, lostBlocks, excessBytes: Math.max(0, object.size - geometry.size), sidecar: sidecarReport(sidecar, sound, wrongChecksums) };
  if (isExact) return { report: { state: facts.excessBytes > 0 ? 'damaged' : 'sound', ...facts } };
  if (lostBlocks > 0) {
    reconstruction?.release();
    return { report: { state: 'beyond-repair', ...facts } };
  }
  if (damagedBlocks.length === 0 && object !== absentObject) return { report: { state: 'beyond-repair', reason: 'digest', ...facts } };
  return { report: { state: 'damaged', ...facts }, ...(reconstruction === undefined ? {} : { reconstruction }) };
}

async function addSoundData({ object }: Opened, { geometry }: Sidecar, reconstruction: Reconstruction): Promise<void> {
  for await (const { first, bytes, lost } of slabsOf(object, { offset: 0, size: geometry.size })) {
    for (let i = 0; i < lost.length; i += 1) {
      if (reconstruction.block(first + i) === undefined) reconstruction.addData(first + i, bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES));
    }
  }
}

/** Appends the repaired object; answers whether it has the right digest. */
async function writeRepaired({ object }: Opened, { geometry, sha256 }: Sidecar, reconstruction: Reconstruction | undefined, target: ObjectWriter): Promise<boolean> {
  const hash = createHash('sha256');
  for await (const { first, bytes, lost } of slabsOf(object, { offset: 0, size: geometry.size })) {
    for (let i = 0; i < lost.length; i += 1) {
      const healed = reconstruction?.block(first + i);
      const rest = bytes.length - i * BLOCK_BYTES;
      if (healed !== undefined) bytes.set(healed.subarray(0, rest), i * BLOCK_BYTES);
    }
    hash.update(bytes);
    await target.append(bytes);
  }
  return equalBytes(hash.digest(), sha256);
}

async function repair(opened: Opened, target: ObjectWriter): Promise<ParityRepair> {
  const { sidecar } = opened;
  if (typeof sidecar === 'string') return { outcome: 'unknown', report: unknown(sidecar) };
  const { report, reconstruction } = await inspect(opened, sidecar, true);
  try {
    if (report.state !== 'damaged') return { outcome: report.state, report };
    if (reconstruction !== undefined) {
      await addSoundData(opened, sidecar, reconstruction);
      reconstruction.solve();
    }
    const isExact = await writeRepaired(opened, sidecar, reconstruction, target);
    return isExact ? { outcome: 'repaired', report } : { outcome: 'beyond-repair', report: { ...report, state: 'beyond-repair', reason: 'digest' } };
  } finally {
    reconstruction?.release();
  }
}

/**
 * Reads an object and its sidecar and says what is damaged. An object that is absent counts as wholly damaged. Memory: 1 MiB, the sidecar's tables
 * (0.2 % of the object) and the list of damaged blocks.
 * @throws {HoldfastError} of the store, when it cannot be reached; single blocks that cannot be read only count as damaged.
 */
export function verifyWithParity(objects: Pick<ObjectStore, 'open'>, name: string, limits: Limits = defaultLimits): Promise<ParityReport> {
  return withOpened(objects, name, limits, async (opened) => {
    if (typeof opened.sidecar === 'string') return unknown(opened.sidecar);
    return (await inspect(opened, opened.sidecar, false)).report;
  });
}

/** Reads the sidecar of an object without the object. A fault says why it can't be used; `absent`: there is none. */
export function verifySidecar(objects: Pick<ObjectStore, 'open'>, name: string, limits: Limits = defaultLimits): Promise<SidecarReport | SidecarFault> {
  return withSidecar(objects, name, limits, async ({ parity, sidecar }) => {
    if (typeof sidecar === 'string') return sidecar;
    return sidecarReport(sidecar, await inspectParity(parity, sidecar, () => undefined), 0);
  });
}

/**
 * Writes the object `name` as it once was to `target`, an empty writer, which is then the caller's to `commit` or `abandon`. The object is read three times. Memory:
 * as `verifyWithParity`, and a block for each damaged one, at most `limits.parityBytesMax` and half a MiB.
 * @throws {HoldfastError} of the store; then `target` was abandoned.
 */
export async function repairWithParity(objects: Pick<ObjectStore, 'open'>, name: string, target: ObjectWriter, limits: Limits = defaultLimits): Promise<ParityRepair> {
  let isKept = false;
  try {
    const result = await withOpened(objects, name, limits, (opened) => repair(opened, target));
    isKept = result.outcome === 'repaired';
    return result;
  } finally {
    if (!isKept) await target.abandon();
  }
}
