/**
 * The location syntax `ROOT[::STEP]…`: a serialisable stack of steps shared by the CLI, the API and the audit log.
 * This module only splits and joins; `src/services/locations` gives steps their meaning.
 */
import { UsageError } from './errors.ts';

/** `root` as the user wrote it; each step goes one layer deeper; a step that begins with `/` is a path in a tree. */
export interface SourcePath {
  readonly root: string;
  readonly steps: readonly string[];
}

/**
 * Splits a location at `::`. A path step takes the rest of the text up to the next `::` as it is.
 * @throws {UsageError} on an empty root or an empty step.
 */
export function parseSourcePath(text: string): SourcePath {
  const [root = '', ...steps] = text.split('::');
  if (root === '') throw new UsageError(`Parse location '${text}': the root before '::' is empty`);
  const empty = steps.indexOf('');
  if (empty >= 0) throw new UsageError(`Parse location '${text}': step ${empty + 1} is empty`);
  return { root, steps };
}

/** The inverse of {@link parseSourcePath}. */
export function formatSourcePath(path: SourcePath): string {
  return [path.root, ...path.steps].join('::');
}
