/**
 * What the configuration of a daemon may say, and what it means. `config-file.ts` reads it; `docs/daemon.md` explains it to administrators.
 * The schema is strict: a key that is not here is an error, because a misspelt `siteKey` must not mean "no key".
 */
import { z } from 'zod';

/** An address to listen on; port 0 takes a free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** When a task runs: so often, or each day at a time of this host's time zone. */
export type Schedule = { readonly everyMs: number } | { readonly hour: number; readonly minute: number };

/** Log levels, as pino has them. */
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** One domain: a repository of its own. */
export interface DomainConfig {
  /** A directory, or `s3://BUCKET/PREFIX`. */
  readonly repository: string;
  /** File of the key that hosts of the domain share. */
  readonly siteKey?: string | undefined;
  /** Files of keys that open an encrypted repository. */
  readonly keys?: readonly string[] | undefined;
}

/** A configuration that was understood: defaults are filled in, times are in milliseconds, paths as in the file until `config-file.ts` resolves them. */
export interface DaemonConfig {
  readonly listen: { readonly wire: ListenAddress; readonly http: ListenAddress };
  readonly log: { readonly level: (typeof LOG_LEVELS)[number] };
  /** File of the daemon's own key pair. */
  readonly identity?: string | undefined;
  /** Directory of enrolled hosts. */
  readonly hosts?: string | undefined;
  readonly domains: Readonly<Record<string, DomainConfig>>;
  readonly gc?: { readonly schedule: Schedule; readonly maxUnused?: number | undefined; readonly wait?: number | undefined } | undefined;
  /** `budget`: percent of the repository that a check reads. */
  readonly check?: { readonly schedule: Schedule; readonly budget: number } | undefined;
  readonly cacheDirectory?: string | undefined;
  /** Directory in which the daemon remembers when maintenance last ran. */
  readonly state?: string | undefined;
  /** Threads of each repository. */
  readonly workers: number;
  /** Connections at a time. */
  readonly connections: number;
  /** Milliseconds for which a backup whose connection broke is kept. */
  readonly resume: number;
  /** Milliseconds that backups have to end when the daemon is stopped. */
  readonly drain: number;
}

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Node's timers hold no more. */
const DURATION_MS_MAX = 24 * 86_400_000;
/** A task of which the next is due at once would do nothing but start. */
const PAUSE_MS_MIN = 10_000;

function millisecondsOf(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  return Number(digits) * (unitMs[unit] ?? Number.NaN);
}

function addressOf(text: string): ListenAddress | undefined {
  const [, bracketed, plain, port = ''] = /^(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  return host === undefined || Number(port) > 0xffff ? undefined : { host, port: Number(port) };
}

/** A leaf: `expected` is what an error message says should stand there. */
function duration(expected: string, leastMs: number = 1_000): z.ZodType<number> {
  return z.string(expected).refine((text) => millisecondsOf(text) >= leastMs && millisecondsOf(text) <= DURATION_MS_MAX, expected).transform(millisecondsOf);
}

function address(): z.ZodType<ListenAddress> {
  const expected = "ADDRESS:PORT such as '127.0.0.1:9104' or '[::1]:9104'";
  return z.string(expected).transform((text, context) => {
    const found = addressOf(text);
    if (found !== undefined) return found;
    context.addIssue({ code: 'custom', message: expected });
    return z.NEVER;
  });
}

function text(expected: string): z.ZodType<string> {
  return z.string(expected).min(1, expected);
}

function count(least: number, most: number): z.ZodType<number> {
  const expected = `a whole number from ${least} to ${most}`;
  return z.int(expected).min(least, expected).max(most, expected);
}

function number(least: number, most: number): z.ZodType<number> {
  const expected = `a number from ${least} to ${most}`;
  return z.number(expected).min(least, expected).max(most, expected);
}

const times = {
  every: duration("a time from '10s' to '24d' such as '6h'", PAUSE_MS_MIN).optional(),
  at: z.string("a time of day such as '02:30'").regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, "a time of day such as '02:30'").optional(),
};

interface Times {
  readonly every?: number | undefined;
  readonly at?: string | undefined;
}

function hasOneTime({ every, at }: Times): boolean {
  return (every === undefined) !== (at === undefined);
}

const oneTime = "exactly one of 'every' and 'at'";

function scheduleOf({ every, at = '' }: Times): Schedule {
  return every === undefined ? { hour: Number(at.slice(0, 2)), minute: Number(at.slice(3)) } : { everyMs: every };
}

const gcSchema = z.strictObject({ ...times, maxUnused: number(0, 1).optional(), wait: duration("a time such as '10m'").optional() }, "a mapping with 'every' or 'at'")
  .refine(hasOneTime, oneTime).transform(({ every, at, ...rest }) => ({ schedule: scheduleOf({ every, at }), ...rest }));

const checkSchema = z.strictObject({ ...times, budget: number(0.01, 100) }, "a mapping with 'budget' and 'every' or 'at'")
  .refine(hasOneTime, oneTime).transform(({ every, at, ...rest }) => ({ schedule: scheduleOf({ every, at }), ...rest }));

const domainSchema = z.strictObject({
  repository: text("a directory, or 's3://BUCKET/PREFIX'"),
  siteKey: text('a key file').optional(),
  keys: z.array(text('a key file'), 'a list of key files').optional(),
}, "a mapping with 'repository'");

const listenSchema = z.strictObject({ wire: address().default({ host: '127.0.0.1', port: 9104 }), http: address().default({ host: '127.0.0.1', port: 9421 }) }, "a mapping with 'wire' and 'http'");

/** As in key files. */
const domainName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** Where the identity is, in the directory of hosts, unless said otherwise; `holdfast enroll` makes it there. */
export const IDENTITY_FILE = 'server.identity';

const configSchema: z.ZodType<DaemonConfig> = z.strictObject({
  listen: listenSchema.prefault({}),
  log: z.strictObject({ level: z.enum(LOG_LEVELS, `one of '${LOG_LEVELS.join("', '")}'`).default('info') }, "a mapping with 'level'").prefault({}),
  identity: text('a file').optional(),
  hosts: text('a directory').optional(),
  domains: z.record(z.string().regex(domainName, "a name of up to 63 letters, digits, '.', '_' and '-'"), domainSchema, 'a mapping of domain names')
    .refine((domains) => Object.keys(domains).length > 0, 'at least one domain'),
  gc: gcSchema.optional(),
  check: checkSchema.optional(),
  cacheDirectory: text('a directory').optional(),
  state: text('a directory').optional(),
  workers: count(0, 64).default(1),
  connections: count(1, 1_000).default(32),
  resume: duration("a time such as '120s'").default(120_000),
  drain: duration("a time such as '60s'").default(60_000),
}, 'a mapping');

/** Judges what a file says. */
export function judgeConfig(value: unknown): z.ZodSafeParseResult<DaemonConfig> {
  return configSchema.safeParse(value);
}
