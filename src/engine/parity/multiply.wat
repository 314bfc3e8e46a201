;; target ^= factor * source over GF(2^8), 32 bytes a step: a product of a byte is the sum of the products of its two halves, and
;; each half is looked up in a table of 16 bytes that one swizzle reads for 16 bytes at once.
;; Source: Plank, Greenan, Miller, Screaming Fast Galois Field Arithmetic Using Intel SIMD Instructions (FAST 2013).
(module
  (import "env" "memory" (memory 1 65536))

  ;; $tables: factor times 0…15, then factor times 0, 16, … 240. $length is a multiple of 32; source and target do not overlap.
  (func (export "multiplyAdd") (param $target i32) (param $source i32) (param $length i32) (param $tables i32)
    (local $low v128) (local $high v128) (local $mask v128) (local $first v128) (local $second v128) (local $end i32)
    (local.set $low (v128.load (local.get $tables)))
    (local.set $high (v128.load offset=16 (local.get $tables)))
    (local.set $mask (i8x16.splat (i32.const 15)))
    (local.set $end (i32.add (local.get $source) (local.get $length)))
    (if (i32.eqz (local.get $length)) (then (return)))
    (loop $step
      (local.set $first (v128.load (local.get $source)))
      (local.set $second (v128.load offset=16 (local.get $source)))
      (v128.store (local.get $target)
        (v128.xor (v128.load (local.get $target))
          (v128.xor
            (i8x16.swizzle (local.get $low) (v128.and (local.get $first) (local.get $mask)))
            (i8x16.swizzle (local.get $high) (i8x16.shr_u (local.get $first) (i32.const 4))))))
      (v128.store offset=16 (local.get $target)
        (v128.xor (v128.load offset=16 (local.get $target))
          (v128.xor
            (i8x16.swizzle (local.get $low) (v128.and (local.get $second) (local.get $mask)))
            (i8x16.swizzle (local.get $high) (i8x16.shr_u (local.get $second) (i32.const 4))))))
      (local.set $target (i32.add (local.get $target) (i32.const 32)))
      (local.set $source (i32.add (local.get $source) (i32.const 32)))
      (br_if $step (i32.ne (local.get $source) (local.get $end))))))
