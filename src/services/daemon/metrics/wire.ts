/** Metrics of connections, sessions and requests, from the events of the wire server. */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { WireEvent } from '../../../engine/index.ts';
import { addGauge } from './scraped.ts';
import type { StoreMetrics } from './store.ts';

const requestBuckets = [1e-4, 2.5e-4, 1e-3, 2.5e-3, 1e-2, 2.5e-2, 0.1, 0.25, 1, 2.5, 10, 60];

/** What is asked of a server at each scrape. */
export interface LiveCounts {
  readonly connections: number;
  readonly sessions: number;
}

/** See the file's header. */
export class WireMetrics {
  readonly #store: StoreMetrics;
  readonly #received: Counter;
  readonly #sent: Counter;
  readonly #connections: Counter;
  readonly #refused: Counter;
  readonly #broken: Counter;
  readonly #sessions: Counter;
  readonly #resumes: Counter;
  readonly #committed: Counter;
  readonly #failed: Counter;
  readonly #seconds: Histogram;
  readonly #errors: Counter;
  #live: LiveCounts = { connections: 0, sessions: 0 };

  constructor(registry: Registry, store: StoreMetrics) {
    this.#store = store;
    const counter = (name: string, help: string, ...labelNames: string[]): Counter => new Counter({ name, help, labelNames, registers: [registry] });
    this.#received = counter('gdd_wire_received_bytes_total', 'Bytes from clients on sockets, all framing included', 'domain');
    this.#sent = counter('gdd_wire_sent_bytes_total', 'Bytes to clients on sockets, all framing included', 'domain');
    this.#connections = counter('gdd_wire_connections_total', 'Connections whose handshake succeeded', 'domain');
    this.#refused = counter('gdd_wire_refused_total', 'Connections that came to nothing: wrong keys, revoked hosts, another protocol, too many', 'reason');
    for (const reason of ['refused', 'foreign', 'silent', 'cut', 'forged', 'malformed', 'other']) this.#refused.inc({ reason }, 0);
    this.#broken = counter('gdd_wire_broken_total', 'Connections that ended without the client saying so', 'domain');
    this.#sessions = counter('gdd_sessions_total', 'Backups that began', 'domain');
    this.#resumes = counter('gdd_session_resumes_total', 'Backups that went on over a new connection', 'domain');
    this.#committed = counter('gdd_snapshots_committed_total', 'Backups that ended with a snapshot', 'domain');
    this.#failed = counter('gdd_sessions_failed_total', 'Backups that ended without a snapshot, by why', 'domain', 'why');
    this.#errors = counter('gdd_wire_request_errors_total', 'Requests that were answered with an error, by its code', 'request', 'code');
    this.#seconds = new Histogram({ name: 'gdd_wire_request_seconds', help: 'Seconds from a request to its answer, waiting included', labelNames: ['request'], buckets: requestBuckets, registers: [registry] });
    addGauge(registry, { name: 'gdd_wire_connections', help: 'Open connections' }, () => this.#live.connections);
    addGauge(registry, { name: 'gdd_sessions', help: 'Backups under way, connected or waiting for their client to come back' }, () => this.#live.sessions);
  }

  /** Whom to ask at each scrape. */
  watch(live: LiveCounts): void {
    this.#live = live;
  }

  /** Gives each domain its series, so that they are 0 before anything happened and an alert sees the first. */
  add(domain: string): void {
    for (const counter of [this.#received, this.#sent, this.#connections, this.#broken, this.#sessions, this.#resumes, this.#committed]) counter.inc({ domain }, 0);
    for (const why of ['client', 'timeout', 'drain', 'failure']) this.#failed.inc({ domain, why }, 0);
  }

  /** Counts an event. */
  observe(event: WireEvent): void {
    switch (event.kind) {
      case 'connected': this.#connections.inc({ domain: event.domain }); break;
      case 'refused': this.#refused.inc({ reason: event.fault ?? 'other' }); break;
      case 'closed': if (!event.clean) this.#broken.inc({ domain: event.domain }); break;
      case 'traffic':
        this.#received.inc({ domain: event.domain }, event.received);
        this.#sent.inc({ domain: event.domain }, event.sent);
        break;
      case 'request': this.#countRequest(event); break;
      case 'begun': this.#sessions.inc({ domain: event.domain }); break;
      case 'attached': this.#resumes.inc({ domain: event.domain }); break;
      case 'detached': break; // counted as broken, or abandoned
      case 'abandoned': this.#failed.inc({ domain: event.domain, why: event.why }); break;
      case 'committed':
        this.#committed.inc({ domain: event.domain });
        this.#store.noteContent(event.domain, event.bytes);
        break;
      case 'failed': this.#store.fail(event.domain); break;
    }
  }

  #countRequest({ domain, request, seconds, known, code }: WireEvent & { kind: 'request' }): void {
    this.#seconds.observe({ request }, seconds);
    if (code !== undefined) this.#errors.inc({ request, code });
    else if (request === 'has' || request === 'put') this.#store.noteDuplicates(domain, known);
  }
}
