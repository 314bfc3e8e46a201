/** One entry that a workflow could not finish: the shape of `errors[]` in the CLI's JSON. */
import { AbortedError, HoldfastError, IntegrityError, type TreeProblem } from '../core/index.ts';
import { formatPathText, jsonPath } from './locations/path-text.ts';

/** `code` is an error's code (`INTEGRITY`, `TOOL` …) or a problem's kind (`unreadable`, `digest-mismatch` …). */
export interface EntryError {
  readonly path: string;
  readonly pathBase64?: string;
  readonly code: string;
  readonly message: string;
}

/** Describes what went wrong at `path`. */
export function entryError(path: Uint8Array, error: unknown): EntryError {
  return { ...jsonPath(path), code: errorCode(error), message: errorMessage(error) };
}

/** The same as a problem of a check: damage keeps its own kind, everything else is unreadable. */
export function problemFrom(path: Uint8Array, error: unknown): TreeProblem {
  const kind = error instanceof IntegrityError ? 'damaged-file' : 'unreadable';
  return { kind, where: formatPathText(path) || '/', message: errorMessage(error) };
}

/** A tree's own report in the same shape. */
export function problemError(problem: TreeProblem): EntryError {
  return { path: problem.where, code: problem.kind, message: problem.message };
}

/** The stable name of an error: ours, the system's, or `INTERNAL`. */
export function errorCode(error: unknown): string {
  if (error instanceof HoldfastError) return error.code;
  return (error as NodeJS.ErrnoException | undefined)?.code ?? 'INTERNAL';
}

/** The message on one line. */
export function errorMessage(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ');
}

/** Whether an error must end the whole workflow instead of one entry: asked to stop, or the disk is full. */
export function isFatal(error: unknown): boolean {
  if (error instanceof AbortedError) return true;
  const errno = error instanceof HoldfastError ? error.data['errno'] : (error as NodeJS.ErrnoException | undefined)?.code;
  return errno === 'ENOSPC' || errno === 'EDQUOT' || errno === 'EROFS';
}
