/** Lines of the log for what happens on the wire. */
import type { Peer, WireEvent } from '../../engine/index.ts';
import type { Logger } from './logger.ts';

/** Who is at the other end, as logs tell it. */
export function peerText(peer: Peer): string {
  return peer.kind === 'host' ? peer.name : `${peer.kind} key`;
}

/** Logs an event: what an administrator acts on at `warn` or above, what a backup did at `info`, each request at `trace`. */
export function logEvent(log: Logger, event: WireEvent): void {
  const { kind, ...rest } = event;
  const facts = 'peer' in rest ? { ...rest, peer: peerText(rest.peer) } : rest;
  switch (event.kind) {
    case 'traffic': return;
    case 'request':
      if (event.code === undefined) log.trace(facts, 'request');
      else if (event.code === 'INTERNAL') log.error(facts, 'request failed');
      else log.debug(facts, 'request was answered with an error');
      return;
    case 'refused': log.warn(facts, 'connection refused'); return;
    case 'closed': log[event.clean ? 'debug' : 'warn'](facts, event.clean ? 'connection closed' : 'connection broken'); return;
    case 'connected': log.debug(facts, 'connected'); return;
    case 'begun': log.info(facts, 'backup began'); return;
    case 'detached': log.debug(facts, 'backup without connection'); return;
    case 'attached': log.info(facts, 'backup goes on over a new connection'); return;
    case 'committed': log.info(facts, 'backup committed'); return;
    case 'abandoned': log.warn(facts, 'backup ended without a snapshot'); return;
    case 'failed': log.error(facts, 'domain can not be written any more: restart the daemon when the cause is gone'); return;
  }
  log.warn({ kind }, 'unknown event');
}
