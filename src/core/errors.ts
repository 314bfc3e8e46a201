/**
 * Every error holdfast throws on purpose. The class says what the caller can do about it, `code` names the case,
 * `data` holds the facts. Programmer errors are `assert`s from `node:assert` and are never caught.
 *
 * Message style: action first, what was found, what was expected, where; values quoted; no final full stop.
 */

/** Facts that go with an error: JSON-safe, so that `--json` and logs can carry them. */
export type ErrorData = Readonly<Record<string, string | number | boolean | null | undefined>>;

interface ErrorDetails {
  readonly data?: ErrorData;
  readonly cause?: unknown;
  readonly retryable?: boolean;
}

/** Base of all deliberate errors. `retryable` is true only when the same call may succeed later unchanged. */
export class HoldfastError extends Error {
  readonly code: string;
  readonly data: ErrorData;
  readonly retryable: boolean;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.data = details.data ?? {};
    this.retryable = details.retryable ?? false;
  }
}

/** Where bytes departed from a format. `offset` is absolute in the outermost file that the reader knows of. */
export interface FormatFault {
  readonly structure: string;
  readonly field: string;
  readonly offset?: number;
  readonly found?: string | number;
  readonly expected?: string | number;
}

/** The input is not what its format says. The caller can only use another input. */
export class FormatError extends HoldfastError {
  readonly fault: FormatFault;

  constructor(action: string, fault: FormatFault, cause?: unknown) {
    const where = fault.offset === undefined ? '' : ` at offset ${fault.offset}`;
    const found = fault.found === undefined ? '' : `: found '${fault.found}'`;
    const expected = fault.expected === undefined ? '' : `${found === '' ? ':' : ','} expected '${fault.expected}'`;
    super('FORMAT', `${action}: ${fault.structure}.${fault.field}${where}${found}${expected}`, { data: { ...fault }, cause });
    this.fault = fault;
  }
}

/** Well formed, but a feature, version or platform facility that this build does not handle. */
export class UnsupportedError extends HoldfastError {
  constructor(message: string, data: ErrorData = {}, cause?: unknown) {
    super('UNSUPPORTED', message, { data, cause });
  }
}

/** Bytes do not match their checksum, digest, id or authentication tag. Never retried, never repaired silently. */
export class IntegrityError extends HoldfastError {
  constructor(message: string, data: ErrorData = {}, cause?: unknown) {
    super('INTEGRITY', message, { data, cause });
  }
}

/** A count, size or chain in the input exceeds a cap of {@link Limits}. */
export class LimitError extends HoldfastError {
  constructor(limit: string, found: number, allowed: number, where: string) {
    super('LIMIT', `Read ${where}: ${limit} is '${found}', allowed at most '${allowed}'`, { data: { limit, found, allowed, where } });
  }
}

/** A named thing is absent: file, job, snapshot, chunk, key. */
export class NotFoundError extends HoldfastError {
  constructor(message: string, data: ErrorData = {}, cause?: unknown) {
    super('NOT_FOUND', message, { data, cause });
  }
}

/** Someone else holds it; try again later. */
export class BusyError extends HoldfastError {
  constructor(message: string, data: ErrorData = {}) {
    super('BUSY', message, { data, retryable: true });
  }
}

/** A peer broke a wire protocol. */
export class ProtocolError extends HoldfastError {
  constructor(message: string, data: ErrorData = {}, cause?: unknown) {
    super('PROTOCOL', message, { data, cause });
  }
}

/** An operating-system call or external tool failed: ENOSPC, EACCES, a child's exit code. `data.errno` has its name. */
export class ToolError extends HoldfastError {
  constructor(message: string, data: ErrorData = {}, cause?: unknown) {
    super('TOOL', message, { data, cause });
  }
}

/** The caller's AbortSignal fired. */
export class AbortedError extends HoldfastError {
  constructor(message = 'Stop as asked: the operation was aborted') {
    super('ABORTED', message);
  }
}

/** The call itself is wrong: unknown option, bad location syntax, contradictory arguments. Exit code 2 in the CLI. */
export class UsageError extends HoldfastError {
  constructor(message: string, data: ErrorData = {}) {
    super('USAGE', message, { data });
  }
}
