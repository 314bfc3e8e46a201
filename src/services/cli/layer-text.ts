/** A layer of `info` for people: names and values in columns, jobs and volumes one a line, times as dates, bytes with units. */
import type { LayerInfo } from '../locations/index.ts';
import { formatTime } from '../entry-record.ts';
import { jobLines, type JobFacts } from './listings.ts';
import { formatBytes } from './progress.ts';
import { alignColumns } from './table.ts';

/** Fields that hold times, and how many units of theirs make a second. */
const timeUnits: Readonly<Record<string, number>> = { time: 1e3, created: 1e3, started: 1, ended: 1, labelTime: 1e6, writeTime: 1e6 };

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function valueText(name: string, value: unknown): string {
  const unit = timeUnits[name];
  if (typeof value === 'number') {
    if (unit !== undefined) return value === 0 ? '-' : `${formatTime(Math.floor(value / unit))} UTC`;
    if (/^(?:bytes|size$)|Bytes$/.test(name)) return value < 1_000 ? `${value} B` : `${value} (${formatBytes(value)})`;
  }
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map((one) => valueText('', one)).join(', ');
  if (isObject(value)) return Object.entries(value).map(([key, one]) => `${key} ${valueText(key, one)}`).join(', ');
  return String(value) === '' ? '-' : String(value);
}

/** Nested objects become `outer inner` names. */
function rowsOf(fields: Readonly<Record<string, unknown>>, prefix = ''): string[][] {
  return Object.entries(fields).flatMap(([name, value]) => {
    if (value === undefined) return [];
    return isObject(value) && Object.keys(value).length > 3 ? rowsOf(value, `${prefix}${name} `) : [[`${prefix}${name}`, valueText(name, value)]];
  });
}

function isJobs(name: string, value: unknown): value is readonly (JobFacts & { readonly step: string })[] {
  return name === 'jobs' && Array.isArray(value) && value.every((job) => isObject(job) && typeof job['step'] === 'string');
}

function volumeLines(volumes: readonly unknown[]): readonly string[] {
  const rows = volumes.filter(isObject).map(({ volume, volumeName, poolName, mediaType, labelTime, hostName, programVersion }) => [
    String(volume), ...(volumeName === undefined ? ['label lost'] : [
      volumeName === volume ? '' : `label ${String(volumeName)}`, `pool ${String(poolName)}`, `media ${String(mediaType)}`, `labelled ${valueText('labelTime', labelTime)}`, `${String(hostName)}, ${String(programVersion).trim()}`,
    ]),
  ]);
  return alignColumns(rows.every((row) => row[1] === '') ? rows.map(([name = '', , ...rest]) => [name, ...rest]) : rows);
}

function partWords({ step, type, name, size, holds, missing, locked, error }: Readonly<Record<string, unknown>>): string[] {
  const state = locked === true ? 'locked' : error === undefined ? undefined : 'unreadable';
  const content = [holds, missing === undefined ? undefined : `${Number(missing)} missing`, state].filter((word) => word !== undefined).map(String).join(', ');
  return [String(step), formatBytes(Number(size)), String(type), name === undefined ? '' : `'${String(name)}'`, content];
}

/** The lines of one layer: its kind, then what is known of it, indented. */
export function layerLines({ layer, ...fields }: LayerInfo): readonly string[] {
  const { volumes, jobs, parts, ...plain } = fields;
  const lists: (readonly [string, readonly string[]])[] = [];
  if (Array.isArray(volumes)) lists.push(['volumes', volumeLines(volumes)]);
  if (Array.isArray(parts)) lists.push(['parts', alignColumns(parts.filter(isObject).map(partWords))]);
  if (isJobs('jobs', jobs)) lists.push(['jobs', jobLines(jobs, jobs.map((job) => job.step))]);
  const rest = { ...plain, ...(Array.isArray(volumes) ? {} : { volumes }), ...(isJobs('jobs', jobs) ? {} : { jobs }) };
  return [
    layer,
    ...alignColumns(rowsOf(rest)).map((line) => `  ${line}`),
    ...lists.flatMap(([name, lines]) => [`  ${name}${lines.length === 0 ? '  none' : ''}`, ...lines.map((line) => `    ${line}`)]),
  ];
}
