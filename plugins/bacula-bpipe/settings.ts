/**
 * The adapter's configuration file. It exists because Bacula cuts a plugin line at its colons, so that `holdfast://host:9104` cannot stand there; and
 * because keys and places are the same for every line of a FileSet.
 */
import { readFileSync, statSync } from 'node:fs';
import * as path from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { UsageError } from '../../src/core/index.ts';

const text: z.ZodString = z.string().min(1);

/** What the file says; paths are absolute. */
export interface Settings {
  /** A directory, `s3://…` or `holdfast://…`. */
  readonly repository: string;
  /** A directory of this host for the ledger. */
  readonly state: string;
  /** Files of keys that open the repository. */
  readonly keys: readonly string[];
  /** Key file for `holdfast://`. */
  readonly wireKey?: string | undefined;
  readonly cacheDirectory?: string | undefined;
  /** Recorded in snapshots instead of this host's name. */
  readonly host?: string | undefined;
  readonly tags: readonly string[];
  /** Patterns of what to leave out. */
  readonly exclude: readonly string[];
  readonly oneFileSystem: boolean;
}

const schema: z.ZodType<Settings> = z.strictObject({
  repository: text,
  state: text,
  keys: z.array(text).default([]),
  wireKey: text.optional(),
  cacheDirectory: text.optional(),
  host: text.optional(),
  tags: z.array(text).default([]),
  exclude: z.array(text).default([]),
  oneFileSystem: z.boolean().default(false),
});

/** Permission bits with which somebody else could send backups elsewhere. */
const WRITABLE_BY_OTHERS = 0o022;
const SETTINGS_BYTES_MAX = 1 << 20;

/** Understands the file's text; relative paths begin at its directory. @throws {UsageError} with a line for each thing that is wrong. */
export function parseSettings(content: string, file: string): Settings {
  let value: unknown;
  try {
    value = parse(content, { maxAliasCount: 0 });
  } catch (error) {
    throw new UsageError(`Read settings '${file}': it is not YAML: ${(error as Error).message}`, { path: file });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `Read settings '${file}': ${issue.path.length === 0 ? 'the file' : `key '${issue.path.map(String).join('.')}'`}: ${issue.message}`);
    throw new UsageError(faults.join('\n'), { path: file });
  }
  const absolute = (name: string): string => path.resolve(path.dirname(path.resolve(file)), name);
  const { repository, state, keys, wireKey, cacheDirectory, ...rest } = parsed.data;
  return {
    ...rest, repository: repository.includes('://') ? repository : absolute(repository), state: absolute(state), keys: keys.map(absolute),
    ...(wireKey === undefined ? {} : { wireKey: absolute(wireKey) }), ...(cacheDirectory === undefined ? {} : { cacheDirectory: absolute(cacheDirectory) }),
  };
}

/** @throws {UsageError} it can't be read, others may change it, or it says something wrong. */
export function readSettings(file: string): Settings {
  try {
    const { mode, size } = statSync(file);
    if ((mode & WRITABLE_BY_OTHERS) !== 0) throw new UsageError(`Read settings '${file}': others may change it: chmod go-w ${file}`, { path: file });
    if (size > SETTINGS_BYTES_MAX) throw new UsageError(`Read settings '${file}': found '${size}' bytes, expected at most '${SETTINGS_BYTES_MAX}'`, { path: file });
    return parseSettings(readFileSync(file, 'utf8'), file);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`Read settings '${file}': ${(error as NodeJS.ErrnoException).code ?? String(error)}`, { path: file });
  }
}
