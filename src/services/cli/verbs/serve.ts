/** `serve`: a location for clients of a network protocol, read-only, until SIGINT or SIGTERM. */
import { UsageError } from '../../../core/index.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';

interface Options extends CommonOptions {
  readonly listen?: string;
  readonly portmapper?: boolean;
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
  if (protocol !== 'nfs') throw new UsageError(`Serve '${protocol}': expected 'nfs'`);
  const { serveNfs } = await import('../../serve-nfs.ts');
  return serveNfs(context, text, { ...addressOf(options.listen ?? '127.0.0.1:2049'), portmapper: options.portmapper === true });
}
