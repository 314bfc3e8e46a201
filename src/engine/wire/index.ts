/** The wire: encrypted channels, the server that serves repositories over them, and the client's end. */
export * from './channel/index.ts';
export type { WireEvent } from './events.ts';
export type { RequestName } from './message.layout.ts';
export { WireServer, type WireServerOptions } from './server.ts';
