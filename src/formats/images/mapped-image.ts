/** A disk image as a BlockSource, given its map. */
import { MappedSource, type MappedParts } from '../mapping/mapped-source.ts';
import type { DiskImage, ImageFacts } from './image.ts';

/** What an image is made of. */
export type ImageParts = Omit<MappedParts, 'what'>;

/** The image. */
export class MappedImage extends MappedSource implements DiskImage {
  readonly facts: ImageFacts;

  /** @throws {LimitError} when the disk is too large to be addressed. */
  constructor(facts: ImageFacts, parts: ImageParts) {
    super(facts.size, facts.sectorSize, { ...parts, what: 'disk image' });
    this.facts = facts;
  }
}
