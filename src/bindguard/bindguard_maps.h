/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the programs in the kernel and the tool share: the keys and values of their maps. Numbers are in the machine's
 * order, addresses are bytes as on the wire, IPv4 as ::ffff:a.b.c.d. No padding: keys are compared as bytes.
 */

#include <linux/types.h>

/* rules: what may be bound. One entry for each guarded port, and one for each address that is listed for it. */
struct guard_key {
	__u8 address[16]; /* zero for KEY_PORT */
	__u16 port;
	__u16 kind;
};
enum { KEY_PORT = 1, KEY_ADDRESS = 2 };

struct guard_rule {	      /* all zero for KEY_ADDRESS */
	__u64 space;	      /* the cookie of the network namespace that is guarded */
	__u32 mode;	      /* MODE_DENY or MODE_REWRITE */
	__u16 has_v4, has_v6; /* whether the next ones are there */
	__u8 first_v4[16];    /* to which MODE_REWRITE binds */
	__u8 first_v6[16];
};
enum { MODE_DENY = 1, MODE_REWRITE = 2 };

/* refusals: what was tried, and not done. The least recently seen go when it is full. */
struct guard_attempt {
	__u8 address[16];
	__u16 port;
	__u8 family;  /* of the socket: 4 or 6 */
	__u8 verdict; /* enum below */
};
enum { VERDICT_REFUSED = 0, VERDICT_REWRITTEN = 1, VERDICTS = 2 };

struct guard_tries {
	__u64 count;
	__u64 last; /* nanoseconds since boot, suspended time included */
	__u32 process;
	__u32 user;
	char command[16];
};
#define GUARD_ATTEMPTS 256u
