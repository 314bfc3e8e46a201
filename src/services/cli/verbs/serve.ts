/** `serve`: a location for clients of a network protocol, read-only, until SIGINT or SIGTERM. */
import { UsageError } from '../../../core/index.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';

interface Options extends CommonOptions {
  readonly listen?: string;
  readonly portmapper?: boolean;
  readonly share?: string;
  readonly guestOk?: boolean;
  readonly validUsers?: string;
  readonly sambaConf?: string;
  readonly smbConf?: string;
  readonly mountDir?: string;
}

type Name = Exclude<keyof Options, keyof CommonOptions>;

/** Options of each protocol, with their names on the command line. */
const known: Readonly<Record<'nfs' | 'smb', Readonly<Partial<Record<Name, string>>>>> = {
  nfs: { listen: '--listen', portmapper: '--portmapper' },
  smb: { share: '--share', guestOk: '--guest-ok', validUsers: '--valid-users', sambaConf: '--samba-conf', smbConf: '--smb-conf', mountDir: '--mount-dir' },
};

/** An option of the other protocol would be ignored. @throws {UsageError} */
function refuseOthers(protocol: 'nfs' | 'smb', options: Options): void {
  for (const [name, shown] of Object.entries(known[protocol === 'nfs' ? 'smb' : 'nfs'])) {
    if (options[name as Name] !== undefined) throw new UsageError(`Read option '${shown}': 'serve ${protocol}' does not take it`);
  }
}

/** Where to listen; port 0 takes a free one. @throws {UsageError} */
function addressOf(text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, port = ''] = /^(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 0xffff) throw new UsageError(`Read option '--listen': found '${text}', expected ADDRESS:PORT such as '127.0.0.1:2049' or '[::1]:2049'`);
  return { host, port: Number(port) };
}

/** Runs the verb. Resolves when serving has ended. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const [protocol = '', text = ''] = operands;
  if (protocol !== 'nfs' && protocol !== 'smb') throw new UsageError(`Serve '${protocol}': expected 'nfs' or 'smb'`);
  refuseOthers(protocol, options);
  if (protocol === 'smb') {
    const { share, guestOk = false, validUsers, sambaConf, smbConf, mountDir } = options;
    const { serveSmb } = await import('../../serve-smb.ts');
    return serveSmb(context, text, { share, guestOk, validUsers, sambaConf, smbConf, mountDir });
  }
  const { serveNfs } = await import('../../serve-nfs.ts');
  return serveNfs(context, text, { ...addressOf(options.listen ?? '127.0.0.1:2049'), portmapper: options.portmapper === true });
}
