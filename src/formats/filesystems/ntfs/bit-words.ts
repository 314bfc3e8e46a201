/**
 * Bits from little-endian words of 16, the highest first, with bytes between the words; what XPRESS and LZX share.
 * Source: Microsoft [MS-XCA], section 2.2.4, for when the next word is read: it decides where bytes between words are.
 */

/** The reader. Behind the end of the input there are zeroes: who reads knows how much there is to come. */
export class BitWords {
  readonly #input: Uint8Array;
  /** Where the next word or byte is read. */
  at: number;
  #bits = 0;
  /** Bits in `#bits` beyond 16. */
  #extra = 16;

  constructor(input: Uint8Array, at: number) {
    this.#input = input;
    this.at = at;
    this.restart(at);
  }

  /** Goes on with whole words at byte `at`. */
  restart(at: number): void {
    this.at = at;
    const high = this.word();
    this.#bits = (high << 16) | this.word();
    this.#extra = 16;
  }

  /** The next 1 to 16 bits, without taking them. */
  peek(count: number): number {
    return this.#bits >>> (32 - count);
  }

  /** Takes up to 16 bits. */
  drop(count: number): void {
    this.#bits <<= count;
    this.#extra -= count;
    if (this.#extra < 0) {
      this.#bits |= this.word() << -this.#extra;
      this.#extra += 16;
    }
  }

  /** Takes 0 to 16 bits as a number. */
  take(count: number): number {
    if (count === 0) return 0;
    const value = this.#bits >>> (32 - count);
    this.drop(count);
    return value;
  }

  /** A byte between the words. */
  byte(): number {
    return this.#input[this.at++] ?? 0;
  }

  /** Two bytes between the words. */
  word(): number {
    const low = this.byte();
    return low | (this.byte() << 8);
  }

  /** Offset of the byte where the word after the one in use begins; when a word was used up, the one after is skipped. */
  nextWordAt(): number {
    const taken = this.at * 8 - 16 - this.#extra;
    return (Math.floor(taken / 16) + 1) * 2;
  }

  /** Whether more was read than a decoder looks ahead: then the input is too short. */
  get isPastEnd(): boolean {
    return this.at > this.#input.length + 4;
  }
}
