/** A plan as text for people. */
import { Calendar, isInstant } from './calendar.ts';
import type { RetentionGroup, RetentionPlan, RetentionRow } from './plan.ts';

const ID_DIGITS = 12;

/** Hosts, sources and tags come from whoever made the snapshot: control characters must not reach a terminal. */
function shown(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (letter) => `\\u{${(letter.codePointAt(0) ?? 0).toString(16)}}`);
}

function titleOf(group: RetentionGroup): string {
  const parts = [
    group.host === undefined ? '' : `host ${group.host}`,
    group.sources === undefined ? '' : `sources ${group.sources.join(' ')}`,
    group.tags === undefined ? '' : `tags ${group.tags.join(',') || '(none)'}`,
  ].filter((part) => part !== '');
  return parts.length === 0 ? 'all snapshots' : shown(parts.join(', '));
}

function cellsOf(row: RetentionRow, calendar: Calendar): readonly string[] {
  const { snapshot } = row;
  return [
    row.keep ? 'keep' : 'remove', snapshot.id.slice(0, ID_DIGITS), isInstant(row.time) ? calendar.text(row.time) : String(row.time), snapshot.host,
    snapshot.tags.join(','), row.reasons.join(', '), snapshot.sources.join(' '),
  ].map(shown);
}

/** Lines of tables with a heading, one table a group. @param timeZone as in the policy. @throws {UsageError} no such zone. */
export function previewLines(plan: RetentionPlan, timeZone = 'UTC'): readonly string[] {
  const calendar = new Calendar(timeZone);
  const lines: string[] = [];
  for (const group of plan.groups) {
    const table = [['', 'id', `time (${timeZone})`, 'host', 'tags', 'reasons', 'sources'], ...group.rows.map((row) => cellsOf(row, calendar))];
    const widths = table[0]?.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0))) ?? [];
    lines.push(`${titleOf(group)}: keep ${group.rows.filter((row) => row.keep).length}, remove ${group.rows.filter((row) => !row.keep).length}`);
    for (const cells of table) lines.push(`  ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()}`);
  }
  return lines;
}
