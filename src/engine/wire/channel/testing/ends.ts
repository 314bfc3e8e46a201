/** Keys and channels for tests. */
import { generateKeyPair } from '../../noise/index.ts';
import { nodeWorld } from '../../../world/index.ts';
import type { Channel, ChannelOptions, ClientCredentials, ServerCredentials } from '../channel.ts';
import { acceptChannel, connectChannel } from '../open-channel.ts';
import { duplexPair, type Tamper } from './duplex-pair.ts';

const serverIdentity = generateKeyPair();
const hostIdentity = generateKeyPair();
const siteKey: Uint8Array = new Uint8Array(32).fill(0x51);
const psk: Uint8Array = new Uint8Array(32).fill(0x52);

/** A client of each kind that {@link serverKeys} lets in. */
export const clients: { readonly site: ClientCredentials; readonly host: ClientCredentials } = {
  site: { kind: 'site', key: siteKey },
  host: { kind: 'host', identity: hostIdentity, psk, serverKey: serverIdentity.publicKey },
};

/** A server with two site keys and one enrolled host. */
export const serverKeys: ServerCredentials = {
  siteKeys: [{ domain: 'other', key: new Uint8Array(32).fill(0x50) }, { domain: 'main', key: siteKey }],
  identity: serverIdentity,
  findHost: async (publicKey) => Buffer.compare(publicKey, hostIdentity.publicKey) === 0 ? { name: 'web-1', domain: 'main', publicKey, psk } : undefined,
};

/** Options with the real clock, and what is given. */
export function options(changes: Partial<ChannelOptions> = {}): ChannelOptions {
  return { world: nodeWorld('.'), ...changes };
}

/** How a connection of {@link connectPair} differs from a plain one. */
export interface PairChanges {
  readonly client?: ClientCredentials;
  readonly server?: ServerCredentials;
  readonly toServer?: Tamper;
  readonly toClient?: Tamper;
  readonly clientOptions?: Partial<ChannelOptions>;
  readonly serverOptions?: Partial<ChannelOptions>;
}

/** Both ends of a connection in memory: channels, or why there is none. */
export function connectPair(changes: PairChanges = {}): readonly [Promise<Channel>, Promise<Channel>] {
  const [near, far] = duplexPair(changes.toServer, changes.toClient);
  return [
    connectChannel(near, changes.client ?? clients.site, options(changes.clientOptions)),
    acceptChannel(far, changes.server ?? serverKeys, options(changes.serverOptions)),
  ];
}

/** As {@link connectPair}, where both ends must succeed. */
export async function connected(changes: PairChanges = {}): Promise<readonly [Channel, Channel]> {
  return Promise.all(connectPair(changes) as [Promise<Channel>, Promise<Channel>]);
}

/** The next message in one buffer. */
export async function receiveWhole(channel: Channel): Promise<Uint8Array | undefined> {
  const pieces = await channel.receive();
  return pieces === undefined ? undefined : Buffer.concat(pieces);
}
