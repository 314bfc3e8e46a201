/** Trees for NFS clients. */
export { NfsServer, type NfsOptions } from './server.ts';
