/** Objects in a bucket. */
export { defaultTuning, type S3Tuning } from './client.ts';
export { s3Location, type S3Location } from './location.ts';
export { openS3Objects } from './s3-objects.ts';
export { SCRATCH_DIRECTORY } from './probe.ts';
export type { S3Credentials } from './signature.ts';
