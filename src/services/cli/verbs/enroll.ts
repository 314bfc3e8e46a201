/** `enroll`: keys of the wire: a host's own, or the one that a site shares. */
import { existsSync } from 'node:fs';
import * as path from 'node:path';
import { UsageError } from '../../../core/index.ts';
import { createServerIdentity, createSiteKey, EnrolledHosts, makeDirectories, nodeWorld, readServerIdentity } from '../../../engine/index.ts';
import { IDENTITY_FILE } from '../../daemon/config.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';

interface Options extends CommonOptions {
  readonly hosts?: string;
  readonly out?: string;
  readonly domain?: string;
  readonly identity?: string;
  readonly revoke?: string;
  readonly list?: boolean;
  readonly siteKey?: string;
}

function needed(value: string | undefined, option: string, why: string): string {
  if (value === undefined) throw new UsageError(`Enroll: ${option} is missing: ${why}`);
  return value;
}

function enrollHost(context: Context, name: string, options: Options): Outcome {
  const world = nodeWorld('.');
  const hosts = needed(options.hosts, '--hosts DIR', 'where the daemon looks for enrolled hosts');
  const out = needed(options.out, '--out FILE', "where the host's key is written");
  const domain = options.domain ?? 'default';
  const identity = options.identity ?? path.join(hosts, IDENTITY_FILE);
  const enrolled = new EnrolledHosts(hosts);
  if (existsSync(out)) throw new UsageError(`Enroll host '${name}': '${out}' exists; a key is never overwritten`);
  makeDirectories(hosts);
  const isNew = !existsSync(identity);
  const serverKey = isNew ? createServerIdentity(identity, world) : readServerIdentity(identity).publicKey;
  if (isNew) context.note(`made the daemon's identity '${identity}'`);
  const { publicKey } = enrolled.enroll({ name, domain, serverKey, identityFile: out }, world);
  context.print(`host '${name}' is enrolled in domain '${domain}'; carry '${out}' to it, and delete it here`);
  return { exitCode: 0, result: { host: name, domain, publicKey: Buffer.from(publicKey).toString('hex'), file: out, madeIdentity: isNew } };
}

function list(context: Context, directory: string): Outcome {
  const hosts = new EnrolledHosts(directory).list().map(({ name, domain, publicKey, revoked }) => ({ host: name, domain, publicKey: Buffer.from(publicKey).toString('hex'), revoked }));
  for (const { host, domain, revoked } of hosts) context.print(`${host}  domain ${domain}${revoked ? '  revoked' : ''}`);
  return { exitCode: 0, result: { hosts } };
}

/** Runs the verb: does one of four things. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const [name] = operands;
  const asked = [name, options.revoke, options.siteKey, options.list].filter((one) => one !== undefined && one !== false);
  if (asked.length !== 1) throw new UsageError('Enroll: choose one of NAME, --revoke NAME, --list and --site-key FILE');
  if (name !== undefined) return enrollHost(context, name, options);
  if (options.siteKey !== undefined) {
    createSiteKey(options.siteKey, nodeWorld('.'));
    context.print(`wrote a new site key '${options.siteKey}'`);
    return { exitCode: 0, result: { siteKey: options.siteKey } };
  }
  const hosts = needed(options.hosts, '--hosts DIR', 'where the daemon looks for enrolled hosts');
  if (options.list === true) return list(context, hosts);
  const revoked = options.revoke ?? '';
  new EnrolledHosts(hosts).revoke(revoked);
  context.print(`host '${revoked}' is refused from its next connection on`);
  return { exitCode: 0, result: { revoked } };
}
