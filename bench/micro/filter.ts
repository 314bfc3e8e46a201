/** The membership filter at full load against npm bloom-filters at the same rate. */
import bloomFilters from 'bloom-filters';
import { ID_BYTES, idToHex } from '../../src/core/index.ts';
import type { IdBatch } from '../../src/core/index.ts';
import { MembershipFilter } from '../../src/engine/filter/index.ts';
import { randomBytesOf } from './inputs.ts';
import type { Case, Suite } from './suite.ts';

const BATCH = 1000;
const CAPACITY = 10_000_000;
/** bloom-filters takes a second for 35,000. */
const ORACLE_CAPACITY = 10_000;

/** Batches of 1,000 ids; each call takes the next batch, so that the processor's cache does not hold the answer. */
function batchesOf(seed: number, count: number): () => IdBatch {
  const bytes = randomBytesOf(seed, count * ID_BYTES);
  let next = 0;
  return () => {
    const start = next * ID_BYTES;
    next = (next + BATCH) % count;
    return { bytes: bytes.subarray(start, start + BATCH * ID_BYTES), count: BATCH };
  };
}

function textsOf(seed: number): readonly string[] {
  const bytes = randomBytesOf(seed, BATCH * ID_BYTES);
  return Array.from({ length: BATCH }, (_, i) => idToHex(bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES)));
}

function oracleCases(): readonly Case[] {
  const oracle = bloomFilters.BloomFilter.create(ORACLE_CAPACITY, 0.001);
  const [present, absent] = [textsOf(10), textsOf(1)];
  for (let seed = 10; seed < 10 + ORACLE_CAPACITY / BATCH; seed += 1) for (const text of textsOf(seed)) oracle.add(text);
  const name = `bloom-filters, ${ORACLE_CAPACITY / 1000} thousand ids`;
  return [
    { name, group: 'add', amount: BATCH, run: () => { for (const text of present) oracle.add(text); } },
    { name, group: 'hit', amount: BATCH, run: () => { for (const text of present) oracle.has(text); } },
    { name, group: 'miss', amount: BATCH, run: () => { for (const text of absent) oracle.has(text); } },
  ];
}

/** Adds, hits and misses in batches of 1,000. */
export function filterSuite(): Suite {
  const filter = new MembershipFilter(CAPACITY);
  for (let seed = 100; !filter.isFull; seed += 1) filter.add({ bytes: randomBytesOf(seed, 100_000 * ID_BYTES), count: 100_000 });
  const other = new MembershipFilter(CAPACITY);
  const [added, absent, fresh] = [batchesOf(100, 100_000), batchesOf(1, 100_000), batchesOf(2, 100_000)];
  const bitmap = new Uint8Array(BATCH / 8);
  const name = `ours, ${CAPACITY / 1e6} million ids`;
  const cases = [
    { name, group: 'add', amount: BATCH, run: () => { other.add(fresh()); } },
    { name, group: 'hit', amount: BATCH, run: () => { filter.mayHave(added(), bitmap); } },
    { name, group: 'miss', amount: BATCH, run: () => { filter.mayHave(absent(), bitmap); } },
  ];
  return { title: 'Membership filter', unit: 'ids', cases: [...oracleCases(), ...cases] };
}
