/** Errors as the kernel takes them. What cannot be told apart is EIO; nothing becomes a success. */
import { constants } from 'node:os';
import { AbortedError, BusyError, UnsupportedError } from '../../core/index.ts';

/** Numbers of errors, positive. Source: errno(3). */
export const errors: typeof constants.errno = constants.errno;

/** An answer that is an error and no failure, such as ENOENT: the program that asked gets it, nobody else needs to know. */
export class Refusal {
  readonly errno: number;
  constructor(errno: number) {
    this.errno = errno;
  }
}

/** Made once for each error number. */
const refusals = new Map<number, Refusal>();

/** The refusal with an error number of {@link errors}. */
export function refuse(errno: number): Refusal {
  const known = refusals.get(errno) ?? new Refusal(errno);
  refusals.set(errno, known);
  return known;
}

function namedErrno(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, data } = error as { readonly code?: unknown; readonly data?: { readonly errno?: unknown } };
  for (const name of [data?.errno, code]) {
    if (typeof name === 'string' && name in errors) return errors[name as keyof typeof errors];
  }
  return undefined;
}

/** The error number that stands for something thrown. A NotFoundError is EIO: names that are absent are answers, not errors, so data is missing. */
export function errnoOf(error: unknown): number {
  const named = namedErrno(error);
  if (named !== undefined) return named;
  if (error instanceof UnsupportedError) return errors.EOPNOTSUPP;
  if (error instanceof BusyError) return errors.EBUSY;
  if (error instanceof AbortedError) return errors.EINTR;
  return errors.EIO;
}
