/** Reed–Solomon sidecars at 5 percent: made, and a burst of 5 percent healed, in memory; SHA-256 of the same bytes is the baseline. */
import { createHash } from 'node:crypto';
import { createParity } from '../../src/engine/parity/index.ts';
import { BLOCK_BYTES, blockLength, dataBlocks, foldedGeometry, parityBlocks, planParity, type Geometry } from '../../src/engine/parity/geometry.ts';
import { borrowKernel, plainKernel, type GaloisKernel } from '../../src/engine/parity/kernel.ts';
import { Reconstruction } from '../../src/engine/parity/reconstruction.ts';
import { defaultLimits } from '../../src/core/index.ts';
import { randomBytesOf } from './inputs.ts';
import type { Case, Suite } from './suite.ts';

const SIZE = 8 << 20;
const PART_BYTES = 1 << 20;
const PERCENT = 5;
const kernels = { wasm: borrowKernel, plain: plainKernel } as const;

type MakeKernel = (bytes: number) => GaloisKernel;

function seal(data: Uint8Array, makeKernel: MakeKernel): readonly Uint8Array[] {
  const writer = createParity({ name: 'containers/ab/00000000000000ab.hfc', sizeMax: SIZE, percent: PERCENT, makeKernel });
  for (let at = 0; at < data.length; at += PART_BYTES) writer.append(data.subarray(at, at + PART_BYTES));
  const parts = writer.seal();
  writer.release();
  return parts;
}

/** All parity is offered, as a repair does. */
function heal(data: Uint8Array, geometry: Geometry, parity: Uint8Array, makeKernel: MakeKernel): void {
  const lost = Array.from({ length: Math.floor(dataBlocks(geometry) * PERCENT / 100) }, (_, i) => 1000 + i);
  const reconstruction = new Reconstruction(geometry, lost, makeKernel);
  for (let i = 0; i < parityBlocks(geometry); i += 1) reconstruction.addParity(i, parity.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES));
  for (let block = 0; block < dataBlocks(geometry); block += 1) {
    const at = block * BLOCK_BYTES;
    if (reconstruction.block(block) === undefined) reconstruction.addData(block, data.subarray(at, at + blockLength(geometry, block)));
  }
  reconstruction.solve();
  reconstruction.release();
}

/** Sidecars of an object of 8 MiB, 7 blocks of parity for 128 of data. Making one includes SHA-256 and the checksums of all blocks. */
export function paritySuite(): Suite {
  const data = randomBytesOf(7, SIZE);
  const geometry = foldedGeometry(planParity(SIZE, PERCENT, defaultLimits), SIZE);
  const parity = Buffer.concat(seal(data, plainKernel).slice(2, -2));
  const baseline = (group: string): Case => ({ name: 'sha256 openssl', group, amount: SIZE, run: () => { createHash('sha256').update(data).digest(); } });
  const ways = Object.entries(kernels);
  return {
    title: 'Parity', unit: 'bytes',
    cases: [
      baseline('make'), ...ways.map(([name, make]) => ({ name, group: 'make', amount: SIZE, run: () => { seal(data, make); } })),
      baseline('heal'), ...ways.map(([name, make]) => ({ name, group: 'heal', amount: SIZE, run: () => { heal(data, geometry, parity, make); } })),
    ],
  };
}
