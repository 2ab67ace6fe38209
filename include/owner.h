/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * owner: which process holds a netlink socket. nf_tables knows the owner of a table by the socket's port id
 * (NFTA_TABLE_OWNER). The kernel gives the first socket of a process its process id for one, and further ones any free
 * number (netlink_autobind() in net/netlink/af_netlink.c), and a process may choose another; so the number is only
 * where the search begins.
 */

#include "base.h"

#define OWNER_PROGRAM "dflyguard"

/* Who it is. All zero: not known. */
struct owner {
	uint32_t port;	  /* of the socket, as asked for */
	uint32_t process; /* in our own count of processes; 0: not found */
	char program[16]; /* its name: whatever the process calls itself, so no proof of anything */
	bool ours;	  /* and that is OWNER_PROGRAM */
	char why[128];	  /* it was not found; "" where it was */
};

/*
 * Finds the process that has a socket of NETLINK_NETFILTER with this port id open, in the network namespace of the
 * caller: by /proc/self/net/netlink, and /proc/PID/fd, for which one needs the right to trace that process. Where the
 * socket is found, and who holds it is hidden from us, nobody is named. Reads only; cannot fail, but not find.
 * `proc` is "/proc", or a folder that a test made.
 */
void owner_find(const char *proc, uint32_t port, struct owner *ret);
