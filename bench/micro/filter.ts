/** The membership filter at ten million ids against npm bloom-filters at the rate that both are made for. */
import bloomFilters from 'bloom-filters';
import { ID_BYTES, idToHex } from '../../src/core/index.ts';
import type { IdBatch } from '../../src/core/index.ts';
import { ColdBuild, ColdFilter, coldShape, RATE_DEFAULT, TwoPartFilter } from '../../src/engine/filter/index.ts';
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

function emptyFilter(): TwoPartFilter {
  const cold = new ColdFilter(coldShape(0, RATE_DEFAULT));
  new ColdBuild(cold).finish();
  return new TwoPartFilter(cold);
}

/** Adds, hits and misses in batches of 1,000; adding includes merging. */
export function filterSuite(): Suite {
  const filter = emptyFilter();
  for (let seed = 100; filter.metrics.ids < CAPACITY; seed += 1) {
    filter.add({ bytes: randomBytesOf(seed, 100_000 * ID_BYTES), count: 100_000 });
    filter.step(100_000);
  }
  const other = emptyFilter();
  const [added, absent, fresh] = [batchesOf(100, 100_000), batchesOf(1, 100_000), batchesOf(2, 100_000)];
  const bitmap = new Uint8Array(BATCH / 8);
  const name = `ours, ${CAPACITY / 1e6} million ids`;
  const cases = [
    { name, group: 'add', amount: BATCH, run: () => { other.add(fresh()); other.step(BATCH); } },
    { name, group: 'hit', amount: BATCH, run: () => { filter.mayHave(added(), bitmap); } },
    { name, group: 'miss', amount: BATCH, run: () => { filter.mayHave(absent(), bitmap); } },
  ];
  return { title: 'Membership filter', unit: 'ids', cases: [...oracleCases(), ...cases] };
}
