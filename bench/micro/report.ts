/** The result as Markdown. */
import type { ComparisonRow } from './chunker-c.ts';
import type { Row, Suite } from './suite.ts';

/** Everything a run found, as in the JSON file. */
export interface Report {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string; readonly loadAverage: readonly number[] };
  readonly timeMs: number;
  readonly suites: readonly { readonly title: string; readonly unit: Suite['unit']; readonly harness: string; readonly rows: readonly Row[] }[];
  /** Absent where there is no C compiler. */
  readonly kernelAgainstC?: readonly ComparisonRow[];
}

function rateText(perSecond: number, unit: Suite['unit']): string {
  if (unit === 'handshakes') return `${(1000 / perSecond).toFixed(3)} ms`;
  const millions = perSecond / 1e6;
  return `${millions >= 100 ? millions.toFixed(0) : millions.toPrecision(3)} ${unit === 'bytes' ? 'MB/s' : 'M ids/s'}`;
}

function ratioText(ratio: number): string {
  return ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(2);
}

function spreadText(spread: number | undefined): string {
  return spread === undefined ? '–' : `+${(spread * 100).toFixed(0)} %`;
}

function suiteLines(suite: Report['suites'][number]): readonly string[] {
  return [
    `## ${suite.title} (${suite.harness})`, '', '| work | way | rate | slow quarter | ratio |', '|---|---|---|---|---|',
    ...suite.rows.map((row) => `| ${row.group} | ${row.name} | ${rateText(row.perSecond, suite.unit)} | ${spreadText(row.spread)} | ${ratioText(row.ratio)} |`), '',
  ];
}

function kernelLines(rows: readonly ComparisonRow[] | undefined): readonly string[] {
  if (rows === undefined) return ['## Kernel against C', '', 'Skipped: no C compiler (`cc`) on this machine.', ''];
  return [
    '## Kernel against C (CPU time, in turns, same cuts)', '', '| data | WebAssembly | cc -O3 | ratio | of all rounds |', '|---|---|---|---|---|',
    ...rows.map((row) => `| ${row.data} | ${rateText(row.wasm, 'bytes')} | ${rateText(row.c, 'bytes')} | ${ratioText(row.ratio)} | ${ratioText(row.ratioMin)}–${ratioText(row.ratioMax)} |`), '',
  ];
}

/** The whole page. */
export function renderReport(report: Report): string {
  const { cpu, cores, node, loadAverage } = report.machine;
  return [
    '# Micro benchmarks', '',
    `\`npm run bench:micro\` on ${cpu}, ${cores} cores, Node ${node}, load ${loadAverage.map((load) => load.toFixed(1)).join(' ')}; ${report.timeMs} ms a case.`,
    'Rates are medians. A ratio is to the first way of the same work, in the same run; rates of this machine mean little elsewhere.', '',
    ...report.suites.flatMap(suiteLines), ...kernelLines(report.kernelAgainstC),
  ].join('\n');
}
