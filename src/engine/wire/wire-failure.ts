/** Errors on the wire: code, message and facts as JSON. */
import {
  AbortedError, BusyError, HoldfastError, IntegrityError, NotFoundError, ProtocolError, ToolError, UnsupportedError, UsageError, textOf, utf8, type ErrorData,
} from '../../core/index.ts';
import { numberOf } from '../containers/container.ts';
import { MissingContainerError } from '../store/container-records.ts';

/** Of a container that a collector removed: the client asks for places again. */
const MOVED = 'MOVED';
const TEXT_MAX = 4_096;

/** The code in the body that {@link encodeFailure} makes. */
export function failureCode(error: unknown): string {
  if (error instanceof MissingContainerError) return MOVED;
  return error instanceof HoldfastError ? error.code : 'INTERNAL';
}

/** The body of a failure. */
export function encodeFailure(error: unknown): Uint8Array {
  const message = (error instanceof Error ? error.message : String(error)).slice(0, TEXT_MAX);
  return utf8(JSON.stringify({ code: failureCode(error), message, data: error instanceof HoldfastError ? error.data : {} }));
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function dataOf(value: unknown): ErrorData {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(Object.entries(value).filter(([, one]) => ['string', 'number', 'boolean'].includes(typeof one)));
}

/** The error that a peer tells of; never throws. */
export function decodeFailure(body: Uint8Array): HoldfastError {
  let parsed: unknown;
  try {
    parsed = JSON.parse(textOf(body));
  } catch {
    return new ProtocolError('Read the answer of the daemon: it tells of a failure, and the text can\'t be read');
  }
  return failureError(String(field(parsed, 'code')), String(field(parsed, 'message')).slice(0, TEXT_MAX), dataOf(field(parsed, 'data')));
}

function movedError(message: string, data: ErrorData): HoldfastError {
  const [, high, low] = /^([0-9a-f]{8})([0-9a-f]{8})$/.exec(String(data['container'])) ?? [];
  if (high === undefined || low === undefined) return new IntegrityError(message, data);
  return new MissingContainerError(numberOf(Number.parseInt(high, 16), Number.parseInt(low, 16)), undefined);
}

/** An error of the class that goes with a code. */
export function failureError(code: string, message: string, data: ErrorData = {}): HoldfastError {
  switch (code) {
    case MOVED: return movedError(message, data);
    case 'NOT_FOUND': return new NotFoundError(message, data);
    case 'BUSY': return new BusyError(message, data);
    case 'INTEGRITY': return new IntegrityError(message, data);
    case 'UNSUPPORTED': return new UnsupportedError(message, data);
    case 'USAGE': return new UsageError(message, data);
    case 'PROTOCOL': return new ProtocolError(message, data);
    case 'TOOL': return new ToolError(message, data);
    case 'ABORTED': return new AbortedError(message);
    case 'FORMAT': case 'LIMIT': return new HoldfastError(code, message, { data });
    default: return new ToolError(`The daemon failed: ${message}`, data);
  }
}
