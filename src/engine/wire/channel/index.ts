/** Encrypted channels over byte streams, and what their ends know each other by. */
export {
  channelFault, MESSAGE_BYTES_MAX, type Channel, type ChannelCounts, type ChannelFault, type ChannelOptions, type ClientCredentials, type EnrolledHost,
  type Peer, type ServerCredentials, type SiteKey,
} from './channel.ts';
export { EnrolledHosts, type Enrollment, type HostRecord } from './enrolled-hosts.ts';
export { createServerIdentity, createSiteKey, readClientCredentials, readServerCredentials, readServerIdentity, readSiteKey, type ServerKeyFiles } from './key-files.ts';
export { acceptChannel, connectChannel } from './open-channel.ts';
