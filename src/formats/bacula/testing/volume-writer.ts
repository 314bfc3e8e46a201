/**
 * Writes Bacula volumes for tests: what the readers must understand, built from the same tables. Not a storage daemon: it
 * exists so that properties can say "parse what was built" and so that damage can be put anywhere.
 */
import { createCipheriv } from 'node:crypto';
import type { IHasher } from 'hash-wasm';
import { utf8 } from '../../../core/index.ts';
import { crc32 } from '../../crc32.ts';
import { BB03_OPTIONS, bb02Layout, bb03Layout, LABEL, recordLayout } from '../block.layout.ts';
import { sessionEndLayout, sessionKindLayout, sessionLabelLayout, volumeLabelLayout } from '../label.layout.ts';
import type { VolumeKey } from '../volume-key.ts';

/** How blocks are written. */
export interface WriterOptions {
  readonly version: 'BB02' | 'BB03';
  /** Bytes of a full block; Bacula's default is 64,512. */
  readonly blockBytes: number;
  /** XXH3-64 hasher for BB03. */
  readonly hasher: IHasher;
  readonly checksum?: boolean;
  readonly key?: VolumeKey;
  /** Receives each block; the bytes belong to the receiver. */
  emit(block: Uint8Array): void;
}

/** Which job a session is. */
export interface SessionNames {
  readonly id: number;
  readonly time: number;
  readonly jobId: number;
  readonly level?: string;
  /** Microseconds after its first start at which the job was restarted; default 0. */
  readonly restarted?: number;
}

const ID = 'Bacula 1.0 immortal\n';

function cstr(...texts: readonly string[]): Uint8Array {
  return utf8(texts.map((text) => `${text}\0`).join(''));
}

/** Encodes a number as Bacula's radix 64. */
export function encodeRadix64(value: number): string {
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  let rest = Math.abs(value);
  let text = '';
  do {
    text = `${digits[rest % 64] ?? ''}${text}`;
    rest = Math.floor(rest / 64);
  } while (rest > 0);
  return value < 0 ? `-${text}` : text;
}

/** The fields of LStat that tests set; the others are zero. */
export interface LstatValues {
  readonly mode: number;
  readonly size?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly rdev?: number;
  readonly mtime?: number;
  readonly atime?: number;
  readonly ctime?: number;
  readonly linkFileIndex?: number;
  readonly dataStream?: number;
}

/** LStat as text. */
export function encodeLstat(values: LstatValues): string {
  const { mode, size = 0, uid = 0, gid = 0, rdev = 0, mtime = 0, atime = 0, ctime = 0, linkFileIndex = 0, dataStream = 2 } = values;
  return [0, 0, mode, 1, uid, gid, rdev, size, 4096, 0, atime, mtime, ctime, linkFileIndex, 0, dataStream].map(encodeRadix64).join(' ');
}

/** What an attribute record says. */
export interface AttributeValues {
  readonly fileIndex: number;
  readonly type: number;
  readonly name: Uint8Array;
  readonly link?: Uint8Array;
}

/** An attribute record. */
export function encodeAttributes(values: AttributeValues, lstat: string): Uint8Array {
  const { fileIndex, type, name, link = new Uint8Array() } = values;
  return Buffer.concat([utf8(`${fileIndex} ${type} `), name, utf8(`\0${lstat}\0`), link, utf8('\0\x000\0\0')]);
}

/** One volume; sessions write into it by turns. */
export class VolumeWriter {
  readonly #options: WriterOptions;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  get payloadBytes(): number {
    return this.#options.blockBytes - (this.#options.version === 'BB02' ? bb02Layout.size : bb03Layout.size);
  }

  /** The volume's label block. `ordinal` counts the volumes of the session's job from 0; `time` in microseconds. */
  label(name: string, session: { readonly id: number; readonly time: number }, ordinal: number, time: number): void {
    const body = Buffer.concat([
      cstr(ID), volumeLabelLayout.encode({ VerNum: 11, label_btime: time, write_btime: time, write_date: 0, write_time: 0 }),
      cstr(name, '', 'pool', 'Backup', 'FileMT', 'host', 'sd', 'Ver. 15', 'Build'),
    ]);
    this.emit(session, 0, Buffer.concat([recordLayout.encode({ FileIndex: LABEL.VOL_LABEL, Stream: ordinal, DataSize: body.length }), body]), false);
  }

  /** Writes one block; the label block is never encrypted. */
  emit(session: { readonly id: number; readonly time: number }, number: number, payload: Uint8Array, encrypt = true): void {
    const { version, checksum = true, key, hasher } = this.#options;
    const head = { BlockNumber: number, Id: utf8(version), VolSessionId: session.id, VolSessionTime: session.time };
    if (version === 'BB02') {
      const block = Buffer.concat([bb02Layout.encode({ CheckSum: 0, BlockSize: bb02Layout.size + payload.length, ...head }), payload]);
      if (checksum) block.writeUInt32BE(crc32(block.subarray(4)), 0);
      this.#options.emit(block);
      return;
    }
    const secret = key !== undefined && encrypt;
    const options = (checksum ? BB03_OPTIONS.checksum : 0) | (key === undefined ? 0 : BB03_OPTIONS.volumeEncrypted) | (secret ? BB03_OPTIONS.blockEncrypted : 0);
    const block = Buffer.concat([bb03Layout.encode({ Options: options, BlockSize: bb03Layout.size + payload.length, ...head, CheckSum: new Uint8Array(8) }), payload]);
    if (checksum) block.set(hasher.init().update(block).digest('binary'), 24);
    if (secret) {
      const tweak = Buffer.concat([block.subarray(8, 12), block.subarray(16, 24), new Uint8Array(4)]);
      block.set(createCipheriv(key.cipher, key.key, tweak).update(block.subarray(32)), 32);
    }
    this.#options.emit(block);
  }
}

/** What an end label says where it does not tell the truth. */
export interface EndValues {
  readonly files?: number;
  readonly bytes?: number;
  readonly status?: string;
}

/** One session: packs records into blocks, splits what does not fit. `volume` may be replaced between blocks. */
export class SessionWriter {
  readonly #names: SessionNames;
  #volume: VolumeWriter;
  readonly #parts: Uint8Array[] = [];
  #filled = 0;
  #number: number;
  #files = 0;
  #bytes = 0;

  /** `firstNumber` is 1 for the session that wrote the label of its first volume. */
  constructor(volume: VolumeWriter, names: SessionNames, firstNumber = 1) {
    this.#volume = volume;
    this.#names = names;
    this.#number = firstNumber;
  }

  /** Goes on in another volume with the next block. */
  changeVolume(volume: VolumeWriter): void {
    this.#volume = volume;
  }

  /** `jobId`: another job's label, as a VirtualFull has one for each of its source jobs. */
  start(jobId: number = this.#names.jobId): void {
    this.#label(LABEL.SOS_LABEL, this.#labelBody(jobId));
  }

  /** One record of a file. */
  record(fileIndex: number, stream: number, bytes: Uint8Array): void {
    this.#files = fileIndex;
    this.#bytes += bytes.length;
    this.#append(fileIndex, stream, bytes);
  }

  /** Ends the session with true counts, or with the ones given. */
  end(counts: EndValues = {}): void {
    const tail = sessionEndLayout.encode({
      JobFiles: counts.files ?? this.#files, JobBytes: counts.bytes ?? this.#bytes, StartBlock: 0, EndBlock: 0, StartFile: 0, EndFile: 0,
      JobErrors: 0, JobStatus: (counts.status ?? 'T').charCodeAt(0),
    });
    this.#label(LABEL.EOS_LABEL, Buffer.concat([this.#labelBody(), tail]));
    this.flush();
  }

  /** Counts blocks from 0 again, beginning with the one that is being filled, as with every spool that Bacula has emptied. */
  spoolAgain(): void {
    this.#number = 0;
  }

  /** Writes the block that is being filled, if it holds anything. */
  flush(): void {
    if (this.#filled === 0) return;
    this.#volume.emit(this.#names, this.#number, Buffer.concat(this.#parts));
    this.#number += 1;
    this.#parts.length = 0;
    this.#filled = 0;
  }

  #labelBody(jobId: number = this.#names.jobId): Uint8Array {
    const { level = 'F', time, restarted = 0 } = this.#names;
    return Buffer.concat([
      cstr(ID), sessionLabelLayout.encode({ VerNum: 11, JobId: jobId, write_btime: time * 1e6 + jobId + restarted, write_time: 0 }),
      cstr('pool', 'Backup', `job-${jobId}`, 'client', `job-${jobId}.unique`, 'fileset'),
      sessionKindLayout.encode({ JobType: 'B'.charCodeAt(0), JobLevel: level.charCodeAt(0) }), cstr('digest'),
    ]);
  }

  /** A label is never split. */
  #label(fileIndex: number, body: Uint8Array): void {
    if (this.#volume.payloadBytes - this.#filled < 12 + body.length) this.flush();
    this.#put(fileIndex, this.#names.jobId, body.length, body);
  }

  #append(fileIndex: number, stream: number, bytes: Uint8Array): void {
    if (this.#volume.payloadBytes - this.#filled < 12) this.flush();
    // A head may be the last thing in a block: its record then goes on with all of its bytes in the next one.
    for (let at = 0, sign = 1; ; sign = -1) {
      const room = this.#volume.payloadBytes - this.#filled - 12;
      const piece = bytes.subarray(at, at + room);
      this.#put(fileIndex, sign * stream, bytes.length - at, piece);
      at += piece.length;
      if (at >= bytes.length) return;
      this.flush();
    }
  }

  #put(fileIndex: number, stream: number, size: number, piece: Uint8Array): void {
    this.#parts.push(recordLayout.encode({ FileIndex: fileIndex, Stream: stream, DataSize: size }), piece);
    this.#filled += 12 + piece.length;
  }
}
