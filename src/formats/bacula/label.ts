/** Labels of volumes and sessions. Source: Bacula Developer's Guide, "Storage Media Output Format". */
import { type Fields, FormatError, type Layout, textOf, UnsupportedError, type View } from '../../core/index.ts';
import { sessionEndLayout, sessionKindLayout, sessionLabelLayout, volumeLabelLayout } from './label.layout.ts';

const ID_VOLUME = 'Bacula 1.0 immortal\n';
const ID_OLD = 'Bacula 0.9 mortal\n';

/** Volumes whose label says that their data lies elsewhere or in another layout. */
const unsupportedIds: ReadonlyMap<string, string> = new Map([
  ['Bacula 1.0 Metadata\n', 'aligned volume (metadata part)'],
  ['Bacula 1.0 Aligned Data\n', 'aligned volume (data part)'],
  ['Bacula 1.0 Dedup Metadata\n', 'deduplicating volume'],
  ['Bacula 1.0 S3 Cloud Data\n', 'cloud volume'],
]);

/** A volume's own label. Times in microseconds since 1970. */
export interface VolumeLabel {
  readonly volumeName: string;
  readonly previousVolumeName: string;
  readonly poolName: string;
  readonly poolType: string;
  readonly mediaType: string;
  readonly hostName: string;
  readonly program: string;
  readonly programVersion: string;
  readonly labelTime: number;
  readonly writeTime: number;
  /** Session that wrote the label; 0 in the id when none did. */
  readonly sessionId: number;
  readonly sessionTime: number;
  /** Which volume of that session's job this is: 2, 3 … for a continuation, else 0 (or 1). */
  readonly ordinal: number;
}

/** What a start-of-session and an end-of-session label have in common. Time in microseconds since 1970. */
export interface SessionLabel {
  readonly jobId: number;
  readonly time: number;
  readonly poolName: string;
  readonly jobName: string;
  readonly clientName: string;
  /** The job's unique name: name, date and number. */
  readonly uniqueName: string;
  readonly fileSetName: string;
  readonly fileSetDigest: string;
  /** One letter, as Bacula's catalog has it: B backup, V verify, C copy … */
  readonly type: string;
  /** One letter: F full, D differential, I incremental … */
  readonly level: string;
}

/** An end-of-session label: what the storage daemon counted. */
export interface SessionEnd extends SessionLabel {
  readonly files: number;
  readonly bytes: number;
  readonly errors: number;
  /** One letter: T finished, f failed, A cancelled … */
  readonly status: string;
}

class LabelCursor {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  text(field: string): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw new FormatError(`Read ${this.#what}`, { structure: this.#what, field, offset: this.#at, expected: 'text that ends with NUL' });
    const text = textOf(this.#bytes.subarray(this.#at, end));
    this.#at = end + 1;
    return text;
  }

  part<F extends Fields>(table: Layout<F>): View<F> {
    const view = table.view(this.#bytes, this.#at, this.#at);
    this.#at += table.size;
    return view;
  }
}

function checkId(id: string, what: string): void {
  const other = unsupportedIds.get(id) ?? ([...unsupportedIds.keys()].some((known) => id.startsWith(known.trimEnd())) ? 'special volume' : undefined);
  if (other !== undefined || /^Bacula 1\.0 (?!immortal)/.test(id)) {
    throw new UnsupportedError(`Read ${what}: label '${id.trimEnd()}' is that of a volume type that is not supported (${other ?? 'unknown type'})`, { label: id.trimEnd() });
  }
  if (id !== ID_VOLUME && id !== ID_OLD) {
    throw new FormatError(`Read ${what}`, { structure: what, field: 'Id', offset: 0, found: id.slice(0, 40), expected: ID_VOLUME.trimEnd() });
  }
}

/**
 * Reads a VOL_LABEL or PRE_LABEL record.
 * @throws {FormatError} not a label. @throws {UnsupportedError} an aligned, cloud or deduplicating volume.
 */
export function parseVolumeLabel(bytes: Uint8Array, session: { readonly id: number; readonly time: number }, stream: number): VolumeLabel {
  const cursor = new LabelCursor(bytes, 'volume label');
  checkId(cursor.text('Id'), 'volume label');
  const head = cursor.part(volumeLabelLayout);
  return {
    labelTime: head.label_btime, writeTime: head.write_btime,
    volumeName: cursor.text('VolumeName'), previousVolumeName: cursor.text('PrevVolumeName'), poolName: cursor.text('PoolName'),
    poolType: cursor.text('PoolType'), mediaType: cursor.text('MediaType'), hostName: cursor.text('HostName'), program: cursor.text('LabelProg'),
    programVersion: cursor.text('ProgVersion'), sessionId: session.id, sessionTime: session.time, ordinal: stream,
  };
}

function letter(code: number): string {
  return code >= 0x21 && code <= 0x7e ? String.fromCharCode(code) : `#${code}`;
}

function sessionPart(cursor: LabelCursor, what: string): SessionLabel {
  checkId(cursor.text('Id'), what);
  const head = cursor.part(sessionLabelLayout);
  const names = {
    poolName: cursor.text('PoolName'), poolType: cursor.text('PoolType'), jobName: cursor.text('JobName'), clientName: cursor.text('ClientName'),
    uniqueName: cursor.text('Job'), fileSetName: cursor.text('FileSetName'),
  };
  const kind = cursor.part(sessionKindLayout);
  return { ...names, jobId: head.JobId, time: head.write_btime, type: letter(kind.JobType), level: letter(kind.JobLevel), fileSetDigest: cursor.text('FileSetMD5') };
}

/** Reads an SOS_LABEL record. @throws {FormatError} */
export function parseSessionStart(bytes: Uint8Array): SessionLabel {
  return sessionPart(new LabelCursor(bytes, 'start-of-session label'), 'start-of-session label');
}

/** Reads an EOS_LABEL record. @throws {FormatError} */
export function parseSessionEnd(bytes: Uint8Array): SessionEnd {
  const cursor = new LabelCursor(bytes, 'end-of-session label');
  const label = sessionPart(cursor, 'end-of-session label');
  const end = cursor.part(sessionEndLayout);
  return { ...label, files: end.JobFiles, bytes: end.JobBytes, errors: end.JobErrors, status: letter(end.JobStatus) };
}
