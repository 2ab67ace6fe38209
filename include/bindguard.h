/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * bindguard: two BPF programs at the kernel's hooks for bind(2), cgroup/bind4 and cgroup/bind6, that refuse or rewrite
 * binds of guarded TCP ports to addresses that are not listed. It may be told ports and addresses. It knows no policy,
 * no firewall and no server, and never prints.
 *
 * Everything is pinned in BPFFS/dflyguard/COOKIE, a folder for each network namespace, so that it outlives whoever put
 * it there. BPFFS is /sys/fs/bpf; the cookie names the namespace whose sockets are meant: those of any other one may
 * bind as they like. The programs are attached to the root of the cgroup v2 hierarchy as this process sees it, which on
 * a host is the root of all, so that no process is outside, and programs of others further down can neither replace
 * them nor change the address behind their back.
 *
 *   bind4, bind6          the attachments (links)
 *   program4, program6    what is attached
 *   policy                one slot, in which the rules are that both programs ask: another policy is one exchange
 *   rules, rules-new      what is in the slot, or is about to be
 *   refusals, totals      what was tried
 *
 * What it does not see: sockets that were bound before, and port 0, for which the kernel chooses a port (of a range
 * that a program may narrow to one with IP_LOCAL_PORT_RANGE).
 *
 * libbpf is loaded when it is needed first: not where nothing is wanted and nothing is there.
 */

#include "err.h"
#include "interval.h"

enum bindguard_mode { BINDGUARD_DENY = 1, BINDGUARD_REWRITE };

/* One guarded port, and who may listen there. */
struct bindguard_port {
	uint16_t port;
	enum bindguard_mode mode;
	/* The addresses, one an interval. As wanted: in the order of preference, of which the first is the one to
	 * rewrite to. As found: sorted. */
	struct intervals v4, v6;
	/* What is rewritten to. */
	bool has_v4, has_v6;
	struct value first_v4, first_v6;
	uint32_t origin; /* the policy's place, 0 = none */
};

enum bindguard_hook { BINDGUARD_BIND4, BINDGUARD_BIND6, BINDGUARD_HOOKS };
enum bindguard_attachment {
	ATTACHED_NOT,	  /* nothing is pinned */
	ATTACHED_NO_MORE, /* what is pinned is attached to nothing, or elsewhere */
	ATTACHED_OTHER,	  /* not our program, or with other maps */
	ATTACHED,
};

/* What should be, or what is. Zero-initialise; free with bindguard_done(). */
struct bindguard {
	/* Sorted by port. None: nothing is guarded. */
	struct bindguard_port *ports;
	size_t count, capacity;
	/* As found only; where something is wanted both are ATTACHED. */
	enum bindguard_attachment hooks[BINDGUARD_HOOKS];
	bool remains;	  /* there is a folder of ours, whatever it holds */
	bool undecodable; /* the rules that the programs ask cannot be told */
	bool everywhere;  /* attached to the root of all cgroups, not to that of a container's view */
};

/* Adds a port: `v4` and `v6` are as in the struct, and copied. Ports come in any order; one that is there already is
 * ignored, as is port 0. */
void bindguard_add(struct bindguard *guard, uint16_t port, enum bindguard_mode mode, const struct intervals *v4,
	const struct intervals *v6, uint32_t origin);
void bindguard_done(struct bindguard *guard);
/* A number for what is asked for, whatever the order of its ports; 0 where nothing is. Pure. */
uint64_t bindguard_fingerprint(const struct bindguard *wanted);

/* One difference. Owns its texts. `expected` NULL: it is to go; `observed` NULL: it is missing. */
struct bindguard_change {
	char *object; /* "bind guard port 6379", "bind guard hook bind4" */
	char *expected, *observed;
	uint32_t origin;
};

/* Free with bindguard_changes_done(). */
struct bindguard_changes {
	struct bindguard_change *items;
	size_t count, capacity;
};

/* Appends what must change so that `found` is `wanted`. Pure. */
void bindguard_diff(const struct bindguard *wanted, const struct bindguard *found, struct bindguard_changes *ret);
void bindguard_changes_done(struct bindguard_changes *changes);
/* "deny all but 10.0.0.5, ::1". */
void bindguard_port_text(const struct bindguard_port *port, struct text *text);

/*
 * Whether there is a folder of this network namespace; costs one system call where nobody ever put a guard. Where the
 * caller may not know: false.
 */
bool bindguard_remains(void);
/* A number that changes when somebody takes a pin away or replaces it, for who looks again and again; three system
 * calls. It says nothing of what is not pinned. */
uint64_t bindguard_trace(void);

/*
 * Reads what is in force: from the kernel's objects, not from what was once written. 0, or a negative errno value with
 * `err` and a hint: -EOPNOTSUPP where this kernel, or what is mounted and installed here, cannot have a guard at all;
 * -EPERM where the caller may not.
 */
int bindguard_read(struct bindguard *ret, struct err *err);

/*
 * Puts `wanted` in force, in place of whatever of ours is there. At no moment is less refused than by either: the rules
 * are complete before they are asked, and another program takes the place of the former one in one step. A failure
 * leaves what was, or some of what is wanted; the next read tells. Errors as above.
 */
int bindguard_put(const struct bindguard *wanted, struct err *err);
/* Takes all of this network namespace away. 0 also where nothing was there. */
int bindguard_remove(struct err *err);

/* What was tried against the rules, and not done. */
struct bindguard_refusal {
	enum width width; /* of the address; an IPv4 address may come from an IPv6 socket: */
	bool mapped;
	struct value address;
	uint16_t port;
	bool rewritten; /* to a listed one; false: refused */
	uint64_t count;
	uint64_t seconds_ago; /* the last time */
	uint32_t process, user;
	char command[17]; /* of the thread, as the kernel knows it; any bytes */
};

/* Free with bindguard_refusals_done(). */
struct bindguard_refusals {
	uint64_t refused, rewritten;	 /* since it was put; all of them */
	struct bindguard_refusal *items; /* the last ones, the latest first */
	size_t count, capacity;
};

/* 0, or a negative errno value with `err`; none where no guard is there. */
int bindguard_read_refusals(struct bindguard_refusals *ret, struct err *err);
void bindguard_refusals_done(struct bindguard_refusals *refusals);
