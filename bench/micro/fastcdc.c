/* FastCDC as in src/engine/chunking/fastcdc.wat, two bytes a step: the yardstick of the WebAssembly kernel. Compiled at bench time. */
#include <stddef.h>
#include <stdint.h>

struct parameters {
  uint32_t min, average, max, reserved;
  uint64_t mask_small, mask_large;
  uint64_t gear[256], shifted[256];
};

/* Length of the chunk at the start of `bytes`, 0 when its end is not in there yet. */
static size_t chunk_size(const struct parameters *p, const uint8_t *bytes, size_t length, int final) {
  if (length <= p->min) return final ? length : 0;
  const size_t limit = length > p->max ? p->max : length;
  size_t stop = limit > p->average ? p->average : limit;
  uint64_t hash = 0, mask = p->mask_small;
  size_t at = p->min;
  for (;;) {
    const size_t pairs = at + ((stop - at) & ~(size_t)1);
    const uint64_t mask_shifted = mask << 1;
    while (at != pairs) {
      hash = (hash << 2) + p->shifted[bytes[at]];
      if (!(hash & mask_shifted)) return at + 1;
      hash += p->gear[bytes[at + 1]];
      at += 2;
      if (!(hash & mask)) return at;
    }
    if (at != stop) {
      hash = (hash << 1) + p->gear[bytes[at++]];
      if (!(hash & mask)) return at;
    }
    if (stop == limit) break;
    stop = limit;
    mask = p->mask_large;
  }
  return final || limit == p->max ? limit : 0;
}

/* Writes the end of each chunk and returns how many. */
uint32_t fastcdc_cuts(const struct parameters *p, const uint8_t *bytes, uint32_t length, uint32_t *out, uint32_t out_max) {
  uint32_t count = 0;
  size_t start = 0;
  while (count < out_max && start < length) {
    const size_t size = chunk_size(p, bytes + start, length - start, 1);
    if (size == 0) break;
    start += size;
    out[count++] = (uint32_t)start;
  }
  return count;
}
