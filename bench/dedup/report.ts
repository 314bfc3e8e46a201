/** The results as Markdown. */
import type { FilterRow } from './filter.ts';
import type { GroupingRow } from './grouping.ts';
import type { LocalityRow } from './locality.ts';
import type { GrainRow, RetuneRow } from './retune.ts';

/** Everything a run found; a subject that was not asked for is absent. */
export interface Report {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string; readonly loadAverage: readonly number[] };
  readonly data: readonly { readonly name: string; readonly bytes: number; readonly change: string }[];
  readonly filter?: readonly FilterRow[];
  readonly retunes?: readonly RetuneRow[];
  readonly grains?: readonly GrainRow[];
  readonly grouping?: readonly GroupingRow[];
  readonly locality?: { readonly bytes: number; readonly rows: readonly LocalityRow[] };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

function kib(bytes: number): string {
  return bytes === 0 ? 'each chunk alone' : `${bytes / 1024} KiB`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  return [`| ${head.join(' | ')} |`, `|${head.map(() => '---').join('|')}|`, ...rows.map((row) => `| ${row.join(' | ')} |`), ''];
}

function filterLines(rows: readonly FilterRow[]): readonly string[] {
  return [
    '## Filter', '', 'Grown from empty in containers of 2,000 ids. Resident memory is the growth of the whole process, its highest so far; times are wall clock.', '',
    ...table(
      ['million ids', 'MB', 'resident MB', 'bits an id', 'false positives', 'add, ns', 'longest container, ms', 'ask for new, ns', 'ask for known, ns'],
      rows.map((row) => [
        String(row.ids / 1e6), megabytes(row.bytes), megabytes(row.residentBytesMax), row.bitsPerId.toFixed(1), `${(row.falsePositiveRate * 100).toFixed(4)} %`,
        row.addNanoseconds.toFixed(0), row.stepMillisecondsMax.toFixed(0), row.missNanoseconds.toFixed(0), row.hitNanoseconds.toFixed(0),
      ]),
    ),
  ];
}

function retuneLines(rows: readonly RetuneRow[]): readonly string[] {
  return [
    '## Retunes', '', 'New bytes, as a share of all bytes of the backup after the retune.', '',
    ...table(
      ['data', 'from', 'to', 'unchanged, other boundaries', 'unchanged, grains', 'changed, no retune', 'changed, other boundaries', 'changed, grains'],
      rows.map(({ data, from, to, unchanged, changed }) => [data, kib(from), kib(to), percent(unchanged.naive), percent(unchanged.nested), percent(changed.none), percent(changed.naive), percent(changed.nested)]),
    ),
  ];
}

function grainLines(rows: readonly GrainRow[]): readonly string[] {
  return [
    '## What a grain is worth', '', 'Two versions, both stored in it: new bytes of the second, and what index and recipes have to hold.', '',
    ...table(['data', 'average', 'second version new', 'chunks', 'references'], rows.map((row) => [row.data, kib(row.averageBytes), percent(row.changed), String(row.chunks), String(row.references)])),
  ];
}

function groupingLines(rows: readonly GroupingRow[]): readonly string[] {
  return [
    '## Compression in groups', '', 'zstd at level 3, one core. The last column is what it costs to read one chunk at random.', '',
    ...table(
      ['data', 'group', 'stored', 'compress, MB/s', 'decompress, MB/s', 'one group, ms'],
      rows.map((row) => [row.data, kib(row.groupBytes), percent(row.share), megabytes(row.compressPerSecond), megabytes(row.decompressPerSecond), row.oneChunkMilliseconds.toFixed(2)]),
    ),
  ];
}

function localityLines({ bytes, rows }: Required<Report>['locality']): readonly string[] {
  const best = (row: LocalityRow): number => rows.find((one) => one.placement === 'neighbours' && one.readAhead && one.cache === row.cache)?.bytesPerSecond ?? row.bytesPerSecond;
  return [
    '## Locality', '', `One file of ${megabytes(bytes)} MB read from front to back, verified. The ratio is to neighbours with read-ahead, the same cache.`, '',
    ...table(
      ['chunks lie', 'read-ahead', 'page cache', 'MB/s', 'ratio'],
      rows.map((row) => [row.placement, row.readAhead ? 'yes' : 'no', row.cache, megabytes(row.bytesPerSecond), (row.bytesPerSecond / best(row)).toFixed(3)]),
    ),
  ];
}

/** The whole page. */
export function renderReport(report: Report): string {
  const { cpu, cores, node, loadAverage } = report.machine;
  return [
    '# Deduplication', '', `\`npm run bench:dedup\` on ${cpu}, ${cores} cores, Node ${node}, load ${loadAverage.map((load) => load.toFixed(1)).join(' ')}.`,
    ...report.data.map(({ name, bytes, change }) => `${name}: ${megabytes(bytes)} MB; changed: ${change}.`), '',
    ...(report.filter === undefined ? [] : filterLines(report.filter)), ...(report.retunes === undefined ? [] : retuneLines(report.retunes)),
    ...(report.grains === undefined ? [] : grainLines(report.grains)), ...(report.grouping === undefined ? [] : groupingLines(report.grouping)),
    ...(report.locality === undefined ? [] : localityLines(report.locality)),
  ].join('\n');
}
