;; FastCDC with normalised chunking over shared memory: all cuts of a region in one call.
;; Two bytes a step: the hash is shifted by two at once and the first byte's gear number comes from a table shifted by one, so the
;; test after the first byte uses the mask shifted by one. Cuts are those of one byte a step (plain-chunker.ts), because min,
;; average and max are even and no mask has bit 63.
;; Source: Xia et al., The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage Systems (IEEE TPDS 2020).
(module
  (import "env" "memory" (memory 1 65536 shared))
  ;; Address of 256 u64 gear numbers, followed by the same shifted left by one.
  (import "env" "gear" (global $gear i32))
  (import "env" "min" (global $min i32))
  (import "env" "average" (global $average i32))
  (import "env" "max" (global $max i32))
  (import "env" "maskSmall" (global $maskSmall i64))
  (import "env" "maskLarge" (global $maskLarge i64))

  ;; Writes up to $outMax u32 chunk ends, relative to $input, and returns how many.
  (func (export "cuts") (param $input i32) (param $length i32) (param $out i32) (param $outMax i32) (param $final i32) (result i32)
    (local $end i32) (local $start i32) (local $at i32) (local $limit i32) (local $stop i32) (local $pairs i32) (local $count i32)
    (local $gear i32) (local $shifted i32) (local $hash i64) (local $mask i64) (local $maskShifted i64)
    (local.set $gear (global.get $gear))
    (local.set $shifted (i32.add (local.get $gear) (i32.const 2048)))
    (local.set $start (local.get $input))
    (local.set $end (i32.add (local.get $input) (local.get $length)))
    (loop $chunk
      (if (i32.ge_u (local.get $count) (local.get $outMax)) (then (return (local.get $count))))
      (block $cut
        (block $first
          (if (i32.le_u (i32.sub (local.get $end) (local.get $start)) (global.get $min))
            (then
              (local.set $at (local.get $end))
              (br_if $cut (i32.and (local.get $final) (i32.ne (local.get $start) (local.get $end))))
              (return (local.get $count))))
          (local.set $at (i32.add (local.get $start) (global.get $min)))
          ;; Lengths are compared, not addresses: a sum could pass 4 GiB.
          (local.set $limit (local.get $end))
          (if (i32.gt_u (i32.sub (local.get $end) (local.get $start)) (global.get $max))
            (then (local.set $limit (i32.add (local.get $start) (global.get $max)))))
          (local.set $stop (local.get $limit))
          (if (i32.gt_u (i32.sub (local.get $limit) (local.get $start)) (global.get $average))
            (then (local.set $stop (i32.add (local.get $start) (global.get $average)))))
          (local.set $hash (i64.const 0))
          (local.set $mask (global.get $maskSmall))
          (loop $phase
            (local.set $maskShifted (i64.shl (local.get $mask) (i64.const 1)))
            (local.set $pairs (i32.and (i32.sub (local.get $stop) (local.get $at)) (i32.const -2)))
            (local.set $pairs (i32.add (local.get $at) (local.get $pairs)))
            (block $scanned
              (br_if $scanned (i32.eq (local.get $at) (local.get $pairs)))
              (loop $pair
                (local.set $hash (i64.add
                  (i64.shl (local.get $hash) (i64.const 2))
                  (i64.load (i32.add (local.get $shifted) (i32.shl (i32.load8_u (local.get $at)) (i32.const 3))))))
                (br_if $first (i64.eqz (i64.and (local.get $hash) (local.get $maskShifted))))
                (local.set $hash (i64.add
                  (local.get $hash)
                  (i64.load (i32.add (local.get $gear) (i32.shl (i32.load8_u offset=1 (local.get $at)) (i32.const 3))))))
                (local.set $at (i32.add (local.get $at) (i32.const 2)))
                (br_if $cut (i64.eqz (i64.and (local.get $hash) (local.get $mask))))
                (br_if $pair (i32.ne (local.get $at) (local.get $pairs)))))
            ;; The last byte of a region of odd length.
            (if (i32.ne (local.get $at) (local.get $stop))
              (then
                (local.set $hash (i64.add
                  (i64.shl (local.get $hash) (i64.const 1))
                  (i64.load (i32.add (local.get $gear) (i32.shl (i32.load8_u (local.get $at)) (i32.const 3))))))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $cut (i64.eqz (i64.and (local.get $hash) (local.get $mask))))))
            (if (i32.ne (local.get $stop) (local.get $limit))
              (then
                (local.set $stop (local.get $limit))
                (local.set $mask (global.get $maskLarge))
                (br $phase))))
          (br_if $cut (i32.eq (i32.sub (local.get $limit) (local.get $start)) (global.get $max)))
          (br_if $cut (local.get $final))
          (return (local.get $count)))
        ;; The cut is behind the first byte of a pair.
        (local.set $at (i32.add (local.get $at) (i32.const 1))))
      (i32.store
        (i32.add (local.get $out) (i32.shl (local.get $count) (i32.const 2)))
        (i32.sub (local.get $at) (local.get $input)))
      (local.set $count (i32.add (local.get $count) (i32.const 1)))
      (local.set $start (local.get $at))
      (br $chunk))
    (unreachable)))
