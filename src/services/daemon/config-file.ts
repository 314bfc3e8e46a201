/**
 * Reads the configuration file of a daemon. Every complaint names file, line and key, what was found and what is expected; all of them at once.
 * Files that decide who may connect must not be writable by others, and keys must not even be readable by them.
 */
import { readFileSync, statSync } from 'node:fs';
import * as path from 'node:path';
import { isMap, isScalar, LineCounter, parseDocument, visit, type Document, type Node } from 'yaml';
import type { z } from 'zod';
import { UsageError } from '../../core/index.ts';
import { IDENTITY_FILE, judgeConfig, type DaemonConfig, type DomainConfig } from './config.ts';

/** Permission bits that a file must not have. */
const WRITABLE_BY_OTHERS = 0o022;
const ANYTHING_FOR_OTHERS = 0o077;
const CONFIG_BYTES_MAX = 1 << 20;

type Path = readonly PropertyKey[];

interface Complaint {
  readonly line: number;
  readonly text: string;
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}

/** @throws {UsageError} it can't be looked at, or others may do more with it than `forbidden` allows. */
function checkMode(file: string, what: string, forbidden: number): void {
  let mode: number;
  try {
    mode = statSync(file).mode;
  } catch (error) {
    throw new UsageError(`Read ${what} '${file}': ${(error as NodeJS.ErrnoException).code ?? 'failed'}`, { path: file });
  }
  if ((mode & forbidden) === 0) return;
  const allowed = octal(0o777 & ~forbidden);
  throw new UsageError(`Read ${what} '${file}': found mode '${octal(mode)}', expected at most '${allowed}': others must not ${forbidden === WRITABLE_BY_OTHERS ? 'change' : 'read'} it (chmod ${forbidden === WRITABLE_BY_OTHERS ? 'go-w' : '600'} ${file})`, { path: file });
}

/** Refuses a key file that anybody but its owner may read. @throws {UsageError} also when it is absent. */
export function checkKeyFile(file: string): void {
  checkMode(file, 'key file', ANYTHING_FOR_OTHERS);
}

/** The node at a path, or the nearest one above it. For a key of a mapping, the key itself. */
function nodeAt(document: Document, at: Path): Node | null {
  for (let length = at.length; length > 0; length -= 1) {
    const parent = document.getIn(at.slice(0, length - 1), true);
    const holder = length === 1 ? document.contents : parent;
    if (isMap(holder)) {
      const pair = holder.items.find(({ key }) => isScalar(key) && String(key.value) === String(at[length - 1]));
      if (pair !== undefined) return pair.key as Node;
    } else {
      const node = document.getIn(at.slice(0, length), true) as Node | undefined;
      if (node !== undefined) return node;
    }
  }
  return document.contents;
}

function nameOf(at: Path): string {
  return at.length === 0 ? 'the whole file' : `key '${at.map(String).join('.')}'`;
}

function foundAt(document: Document, at: Path): string {
  const value: unknown = at.length === 0 ? document.toJS() : document.getIn(at);
  if (value === undefined) return 'nothing';
  return typeof value === 'object' && value !== null ? (Array.isArray(value) || 'items' in value && !isMap(value) ? 'a list' : 'a mapping') : `'${String(value)}'`;
}

/** Names that may stand in the mapping at a path: those of the schema, and where domains are named, of a domain. */
function namesAt(at: Path): readonly string[] {
  const names: Readonly<Record<string, readonly string[]>> = {
    '': ['listen', 'log', 'identity', 'hosts', 'domains', 'gc', 'check', 'cacheDirectory', 'state', 'workers', 'connections', 'resume', 'drain'], listen: ['wire', 'http'], log: ['level'], gc: ['every', 'at', 'maxUnused', 'wait'], check: ['every', 'at', 'budget'],
  };
  return at[0] === 'domains' ? ['repository', 'siteKey', 'keys'] : names[at.map(String).join('.')] ?? [];
}

function complaintsOf(issue: z.core.$ZodIssue, document: Document, lines: LineCounter): readonly Complaint[] {
  const lineOf = (at: Path): number => lines.linePos(nodeAt(document, at)?.range?.[0] ?? 0).line;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const at = [...issue.path, key];
      return { line: lineOf(at), text: `${nameOf(at)} is not known, expected '${namesAt(issue.path).join("', '")}'` };
    });
  }
  const expected = issue.code === 'invalid_key' ? issue.issues[0]?.message ?? issue.message : issue.message;
  return [{ line: lineOf(issue.path), text: `${nameOf(issue.path)}: found ${issue.code === 'invalid_key' ? `'${String(issue.path.at(-1))}'` : foundAt(document, issue.path)}, expected ${expected}` }];
}

function refuse(file: string, complaints: readonly Complaint[]): never {
  const sorted = [...complaints].sort((a, b) => a.line - b.line);
  throw new UsageError(`Read configuration '${file}': ${sorted.map(({ line, text }) => `line ${line}: ${text}`).join('; ')}`, { path: file, line: sorted[0]?.line });
}

/** A path of the file is relative to the file's directory; the URL of a bucket is none. */
function resolved(directory: string, name: string): string {
  return name.startsWith('s3://') ? name : path.resolve(directory, name);
}

function resolvedDomain(directory: string, domain: DomainConfig): DomainConfig {
  return {
    repository: resolved(directory, domain.repository),
    ...(domain.siteKey === undefined ? {} : { siteKey: resolved(directory, domain.siteKey) }),
    ...(domain.keys === undefined ? {} : { keys: domain.keys.map((key) => resolved(directory, key)) }),
  };
}

/** Where everything is, the identity included, which has a place unless told. */
function resolvePaths(config: DaemonConfig, file: string): DaemonConfig {
  const directory = path.dirname(path.resolve(file));
  const identity = config.identity ?? (config.hosts === undefined ? undefined : path.join(config.hosts, IDENTITY_FILE));
  return {
    ...config,
    ...(identity === undefined ? {} : { identity: resolved(directory, identity) }),
    ...(config.hosts === undefined ? {} : { hosts: resolved(directory, config.hosts) }),
    ...(config.cacheDirectory === undefined ? {} : { cacheDirectory: resolved(directory, config.cacheDirectory) }),
    ...(config.state === undefined ? {} : { state: resolved(directory, config.state) }),
    domains: Object.fromEntries(Object.entries(config.domains).map(([name, domain]) => [name, resolvedDomain(directory, domain)])),
  };
}

/** What only several keys together can get wrong. */
function* contradictions(config: DaemonConfig, given: DaemonConfig): Iterable<{ readonly path: Path; readonly text: string }> {
  if (given.hosts === undefined && given.identity !== undefined) yield { path: ['identity'], text: "found no 'hosts', expected it too: only enrolled hosts know the daemon by its identity" };
  for (const [name, { siteKey }] of Object.entries(config.domains)) {
    if (siteKey === undefined && config.hosts === undefined) yield { path: ['domains', name], text: "found neither 'siteKey' here nor 'hosts', expected one: nobody could connect" };
  }
  const places = Object.entries(config.domains).map(([name, { repository }]) => ({ name, repository }));
  for (const [i, { name, repository }] of places.entries()) {
    const other = places.slice(0, i).find((one) => one.repository === repository);
    if (other !== undefined) yield { path: ['domains', name, 'repository'], text: `found '${repository}' of domain '${other.name}', expected one of its own: domains share nothing` };
  }
}

/** Understands a configuration; `file` is its name in messages and the base of relative paths. @throws {UsageError} with all complaints. */
export function parseConfig(text: string, file: string): DaemonConfig {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) refuse(file, document.errors.map((error) => ({ line: lines.linePos(error.pos[0]).line, text: `it is not YAML: ${error.message}` })));
  const aliases: Complaint[] = [];
  visit(document, { Alias: (_, { source, range }) => { aliases.push({ line: lines.linePos(range?.[0] ?? 0).line, text: `alias '*${source}' is not possible here, expected the value itself` }); } });
  if (aliases.length > 0) refuse(file, aliases);
  const parsed = judgeConfig(document.toJS() ?? {});
  if (!parsed.success) return refuse(file, parsed.error.issues.flatMap((issue) => complaintsOf(issue, document, lines)));
  const config = resolvePaths(parsed.data, file);
  const wrong = [...contradictions(config, parsed.data)].map((one) => ({ line: lines.linePos(nodeAt(document, one.path)?.range?.[0] ?? 0).line, text: `${nameOf(one.path)}: ${one.text}` }));
  return wrong.length > 0 ? refuse(file, wrong) : config;
}

/**
 * Reads a configuration and checks modes: of the file itself, and of each key file that it names.
 * @throws {UsageError} it can't be read, says something wrong, or others may change it or read a key.
 */
export function readConfigFile(file: string): DaemonConfig {
  checkMode(file, 'configuration', WRITABLE_BY_OTHERS);
  if (statSync(file).size > CONFIG_BYTES_MAX) throw new UsageError(`Read configuration '${file}': found '${statSync(file).size}' bytes, expected at most '${CONFIG_BYTES_MAX}'`);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`Read configuration '${file}': ${(error as NodeJS.ErrnoException).code ?? 'failed'}`, { path: file });
  }
  const config = parseConfig(text, file);
  for (const key of Object.values(config.domains).flatMap(({ siteKey, keys = [] }) => [...(siteKey === undefined ? [] : [siteKey]), ...keys])) checkKeyFile(key);
  if (config.identity !== undefined) checkKeyFile(config.identity);
  if (config.hosts !== undefined) checkMode(config.hosts, 'directory of hosts', WRITABLE_BY_OTHERS);
  return config;
}
