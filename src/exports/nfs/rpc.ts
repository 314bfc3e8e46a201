/** ONC RPC version 2 over TCP: record marking, calls and replies. Source: RFC 5531, sections 9 to 11. */
import { ProtocolError } from '../../core/index.ts';
import { XdrReader, XdrWriter } from './xdr.ts';

/** Who calls, as AUTH_SYS says; nobody proves it. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/** One procedure: reads its arguments, writes its results. @throws {ProtocolError} the arguments cannot be decoded. */
export type Procedure = (args: XdrReader, results: XdrWriter, caller: Caller) => Promise<void> | void;

/** Procedures of one version of a program, by number. */
export interface Program {
  readonly program: number;
  readonly version: number;
  readonly procedures: Readonly<Record<number, Procedure>>;
}

const CALL = 0;
const REPLY = 1;
const RPC_VERSION = 2;
const AUTH_NONE = 0;
const AUTH_SYS = 1;
const AUTH_BYTES_MAX = 400;
const GROUPS_MAX = 16;
const accepted = { success: 0, programUnavailable: 1, programMismatch: 2, procedureUnavailable: 3, garbageArguments: 4, systemError: 5 } as const;
const denied = { rpcMismatch: 0, authError: 1 } as const;
const AUTH_REJECTED_CREDENTIALS = 2;

const nobody: Caller = { uid: 65_534, gid: 65_534, groups: [] };

/** The caller that credentials name; undefined for a flavour that nobody understands here. */
function callerOf(flavour: number, body: Uint8Array): Caller | undefined {
  if (flavour === AUTH_NONE) return nobody;
  if (flavour !== AUTH_SYS) return undefined;
  const credentials = new XdrReader(body);
  credentials.u32(); // a stamp
  credentials.opaque(255); // the client's name for itself
  const [uid, gid, count] = [credentials.u32(), credentials.u32(), credentials.u32()];
  if (count > GROUPS_MAX) throw new ProtocolError(`Decode RPC credentials: '${count}' groups, expected at most '${GROUPS_MAX}'`);
  return { uid, gid, groups: Array.from({ length: count }, () => credentials.u32()) };
}

function reply(xid: number): XdrWriter {
  return new XdrWriter().u32(0).u32(xid).u32(REPLY); // the first word becomes the record mark
}

function acceptedReply(xid: number, state: number): XdrWriter {
  return reply(xid).u32(0).u32(AUTH_NONE).u32(0).u32(state);
}

function deniedReply(xid: number, ...words: readonly number[]): XdrWriter {
  const answer = reply(xid).u32(1);
  for (const word of words) answer.u32(word);
  return answer;
}

/** The reply as one record: its mark says that it is the last fragment. */
function asRecord(answer: XdrWriter): Buffer {
  const { bytes } = answer;
  bytes.writeUInt32BE((0x8000_0000 | (bytes.length - 4)) >>> 0, 0);
  return bytes;
}

/** Finds programs and runs their procedures. */
export class RpcDispatcher {
  readonly #programs: readonly Program[];
  readonly #onError: (error: unknown) => void;

  /** `onError` hears of procedures that threw something else than that their arguments are wrong. */
  constructor(programs: readonly Program[], onError: (error: unknown) => void) {
    this.#programs = programs;
    this.#onError = onError;
  }

  /** Answers one call: a whole record, with its mark. @throws {ProtocolError} it is no call: the connection is good for nothing. */
  async answer(message: Uint8Array): Promise<Buffer> {
    const call = new XdrReader(message);
    const xid = call.u32();
    if (call.u32() !== CALL) throw new ProtocolError('Serve RPC: a client sent what is no call');
    if (call.u32() !== RPC_VERSION) return asRecord(deniedReply(xid, denied.rpcMismatch, RPC_VERSION, RPC_VERSION));
    const [program, version, number] = [call.u32(), call.u32(), call.u32()];
    const flavour = call.u32();
    const caller = callerOf(flavour, call.opaque(AUTH_BYTES_MAX));
    call.u32();
    call.opaque(AUTH_BYTES_MAX); // the verifier, which AUTH_SYS leaves empty
    if (caller === undefined) return asRecord(deniedReply(xid, denied.authError, AUTH_REJECTED_CREDENTIALS));
    return asRecord(await this.#run({ xid, program, version, number }, call, caller));
  }

  async #run({ xid, program, version, number }: { readonly xid: number; readonly program: number; readonly version: number; readonly number: number }, args: XdrReader, caller: Caller): Promise<XdrWriter> {
    const versions = this.#programs.filter((one) => one.program === program);
    if (versions.length === 0) return acceptedReply(xid, accepted.programUnavailable);
    const found = versions.find((one) => one.version === version);
    if (found === undefined) {
      const numbers = versions.map((one) => one.version);
      return acceptedReply(xid, accepted.programMismatch).u32(Math.min(...numbers)).u32(Math.max(...numbers));
    }
    const procedure = found.procedures[number];
    if (procedure === undefined) return acceptedReply(xid, accepted.procedureUnavailable);
    const answer = acceptedReply(xid, accepted.success);
    try {
      await procedure(args, answer, caller);
      return answer;
    } catch (error) {
      if (error instanceof ProtocolError) return acceptedReply(xid, accepted.garbageArguments);
      this.#onError(error);
      return acceptedReply(xid, accepted.systemError);
    }
  }
}
