/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Addresses, ports and closed intervals of them, as numbers. One set of functions serves IPv4, IPv6 and ports; the
 * storage is packed by width, since a policy may name a million sources. All numbers are in host order; conversion
 * from and to the wire happens in src/nft and in interval.c's text functions only.
 */

#include "base.h"

/* A number of up to 128 bits. IPv4 addresses and ports use `lo` alone. */
struct value {
	uint64_t hi;
	uint64_t lo;
};

enum width {
	WIDTH_PORT, /* 16 bits */
	WIDTH_IPV4, /* 32 bits */
	WIDTH_IPV6, /* 128 bits */
};

/* A closed interval: both ends belong to it. `origin` is the policy's place (policy_place), 0 = none. */
struct interval {
	struct value first;
	struct value last;
	uint32_t origin;
};

/* A list of intervals of one width. Zero-initialise it but for `width`; free with intervals_done(). */
struct intervals {
	enum width width;
	size_t count;
	size_t capacity;
	void *items; /* packed: 12 bytes an interval for ports and IPv4, 40 for IPv6 */
};

struct value value_zero(void);
/* All ones: 65535, 255.255.255.255, ffff:...:ffff. */
struct value value_max(enum width width);
/* -1, 0, 1 as in strcmp. */
int value_compare(struct value a, struct value b);
/* One more or one less; wraps at the ends of 128 bits, so test for value_max() or zero first. */
struct value value_next(struct value a);
struct value value_previous(struct value a);
/* The number of bits of a width: 16, 32, 128. */
unsigned int width_bits(enum width width);
/* The value with its `bits - length` low bits cleared, or set. length <= width_bits(width). */
struct value value_mask_low(enum width width, struct value a, unsigned int length);
struct value value_fill_low(enum width width, struct value a, unsigned int length);
/* Big-endian bytes, 2, 4 or 16 of them. */
struct value value_from_bytes(enum width width, const void *bytes);
void value_to_bytes(enum width width, struct value a, void *bytes);

struct interval intervals_get(const struct intervals *list, size_t index);
/* Replaces item `index`, which exists. */
void intervals_set(struct intervals *list, size_t index, struct interval item);
void intervals_add(struct intervals *list, struct interval item);
void intervals_done(struct intervals *list);
void intervals_copy(struct intervals *to, const struct intervals *from);

/* Sorts by first, then by last. Fast when already sorted, either way round. */
void intervals_sort(struct intervals *list);
/* Called for each interval that is wholly covered by an earlier one, or merged into it because they overlap. */
typedef void intervals_merge_note(void *data, struct interval kept, struct interval absorbed);
/* Sorts, then joins what overlaps or touches; the earliest place in the text survives. `note` may be NULL. */
void intervals_merge(struct intervals *list, intervals_merge_note *note, void *data);
/* True where the list, which is sorted and disjoint, covers the value. O(log n). */
bool intervals_contain(const struct intervals *list, struct value a);
/* The interval of a sorted and disjoint list that holds `a`; false where none does. O(log n). */
bool intervals_find(const struct intervals *list, struct value a, struct interval *ret);
/* True where a sorted, disjoint list covers each value of `item`; touching neighbours count together. */
bool intervals_cover(const struct intervals *list, struct interval item);
/* Same coverage, whether or not neighbours are joined. Both lists are sorted and disjoint. O(n + m). */
bool intervals_same(const struct intervals *a, const struct intervals *b);
/* Appends to `ret` (initialised, same width) what `a` covers and `b` does not; places come from `a`. Both lists are
 * sorted and disjoint; so is what is appended. O(n + m). */
void intervals_subtract(const struct intervals *a, const struct intervals *b, struct intervals *ret);

/* Text. `buffer` holds INTERVAL_TEXT bytes; the functions return it. */
#define INTERVAL_TEXT 96
const char *value_format(enum width width, struct value a, char *buffer);
/* "10.0.0.0/8" where the interval is a prefix, "10.0.0.1" where it is one address, else "10.0.0.1-10.0.0.9". */
const char *interval_format(enum width width, struct interval item, char *buffer);
/*
 * Cuts the longest prefix (that is, the one with most addresses) off the beginning of `rest`, for those who know
 * prefixes only: called until it returns false it gives the fewest prefixes that cover the same. `more` is true at
 * first, and false when nothing is left. At most 62 for IPv4 and 254 for IPv6.
 */
bool interval_next_prefix(enum width width, struct interval *rest, bool *more, struct interval *ret);

/*
 * Reads "192.0.2.1", "192.0.2.0/24", "192.0.2.1-192.0.2.9" or the same in IPv6, in brackets or not. An IPv4-mapped IPv6
 * address (::ffff:192.0.2.1, RFC 4291 2.5.5.2), prefix (from /96) or range is read as the IPv4 that it means, because
 * that is what arrives on the wire. Returns 0, or -EINVAL and in `why` (INTERVAL_WHY bytes) a sentence that says what
 * is wrong and what to write instead. -ENOENT: this does not look like an address at all (it may be a name).
 */
#define INTERVAL_WHY 256
int interval_parse(const char *string, enum width *ret_width, struct interval *ret, char *why);
/* One decimal number without sign, blank, leading zero or 0x, within [minimum, maximum]. 0 or -EINVAL with `why`. */
int number_parse(const char *string, uint64_t minimum, uint64_t maximum, uint64_t *ret, char *why);
