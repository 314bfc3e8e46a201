/** Where every good block of a set lies; one row a block, in the order they were read. */
import { Column } from './column.ts';

/** Columns by row: which volume (its number in the set), where in it, how long. */
export class BlockTable {
  readonly volume: Column = new Column();
  readonly offset: Column = new Column();
  readonly size: Column = new Column();
  readonly number: Column = new Column(1);

  get rows(): number {
    return this.offset.rows;
  }

  add(volume: number, offset: number, size: number, number: number): number {
    this.volume.push(volume);
    this.offset.push(offset);
    this.size.push(size);
    this.number.push(number);
    return this.rows - 1;
  }
}
