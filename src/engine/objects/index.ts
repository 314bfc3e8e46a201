/** Object stores of the engine and what small objects look like. */
export { APPENDED_DIRECTORIES, appendOnly } from './append-only.ts';
export { DiskObjects, STAGING_DIRECTORY, cacheDirectories } from './disk-objects.ts';
export { decodeDocument, documentKind, encodeDocument, type DocumentKind } from './document.ts';
export { SCRATCH_DIRECTORY, openS3Objects, s3Location, type S3Credentials, type S3Location, type S3Tuning } from './s3/index.ts';
export { hasObject } from './has-object.ts';
