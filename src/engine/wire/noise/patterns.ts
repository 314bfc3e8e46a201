/** Handshake patterns as tables. Source: The Noise Protocol Framework, revision 34, sections 7.4, 7.5 and 9.4. */

/** What a message of a handshake does next. */
export type Token = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss' | 'psk';

/** Messages alternate, the initiator's first. */
export interface Pattern {
  readonly name: string;
  /** The initiator knows the responder's static key before it starts. */
  readonly responderKnown: boolean;
  readonly messages: readonly (readonly Token[])[];
}

/** One secret shared by all clients of a site. */
export const NNpsk0: Pattern = { name: 'NNpsk0', responderKnown: false, messages: [['psk', 'e'], ['e', 'ee']] };

/** Clients with a key of their own that know the server's; a pre-shared key beside it, known after the first message told who the client is. */
export const IKpsk2: Pattern = { name: 'IKpsk2', responderKnown: true, messages: [['e', 'es', 's', 'ss'], ['e', 'ee', 'se', 'psk']] };
