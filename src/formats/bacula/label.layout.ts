/** Fixed parts of label records; strings between them end with NUL. Source: Bacula Developer's Guide, "Storage Media Output Format". */
import { layout, type Layout } from '../../core/index.ts';

/** After the volume label's Id string. Times in microseconds since 1970. */
export const volumeLabelLayout: Layout<{
  readonly VerNum: 'u32'; readonly label_btime: 'i64'; readonly write_btime: 'i64'; readonly write_date: 'f64'; readonly write_time: 'f64';
}> = layout('volume_label', 'be', { VerNum: 'u32', label_btime: 'i64', write_btime: 'i64', write_date: 'f64', write_time: 'f64' });

/** After a session label's Id string; the write time in microseconds since 1970. */
export const sessionLabelLayout: Layout<{
  readonly VerNum: 'u32'; readonly JobId: 'u32'; readonly write_btime: 'i64'; readonly write_time: 'f64';
}> = layout('session_label', 'be', { VerNum: 'u32', JobId: 'u32', write_btime: 'i64', write_time: 'f64' });

/** After a session label's FileSetName. */
export const sessionKindLayout: Layout<{ readonly JobType: 'u32'; readonly JobLevel: 'u32' }> =
  layout('session_kind', 'be', { JobType: 'u32', JobLevel: 'u32' });

/** At the end of an end-of-session label. JobFiles is the last FileIndex; JobBytes sums the sizes of all records of files. */
export const sessionEndLayout: Layout<{
  readonly JobFiles: 'u32'; readonly JobBytes: 'u64'; readonly StartBlock: 'u32'; readonly EndBlock: 'u32'; readonly StartFile: 'u32';
  readonly EndFile: 'u32'; readonly JobErrors: 'u32'; readonly JobStatus: 'u32';
}> = layout('session_end', 'be', {
  JobFiles: 'u32', JobBytes: 'u64', StartBlock: 'u32', EndBlock: 'u32', StartFile: 'u32', EndFile: 'u32', JobErrors: 'u32', JobStatus: 'u32',
});
