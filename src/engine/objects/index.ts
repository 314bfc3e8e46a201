/** Object stores of the engine and what small objects look like. */
export { DiskObjects, STAGING_DIRECTORY, cacheDirectories } from './disk-objects.ts';
export { decodeDocument, documentKind, encodeDocument, type DocumentKind } from './document.ts';
