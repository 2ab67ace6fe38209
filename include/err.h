/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Errors as values. `struct err` says why something could not be done; the first function that knows fills it, those
 * above may put context in front, and only cmd prints it. It allocates nothing, so that it can tell of anything.
 * Findings about the host are not errors and never travel here.
 */

#include "base.h"

/* A place in a policy's text. `file` is borrowed from the policy that names it; NULL means no place is known. */
struct srcloc {
	const char *file;
	unsigned int line; /* counted from 1; 0 = the file as a whole */
};

/* What was being done when it failed. */
enum err_stage {
	ERR_NONE,
	ERR_USAGE,   /* the command line */
	ERR_POLICY,  /* reading or understanding the policy */
	ERR_NETLINK, /* talking with the kernel */
	ERR_COMMIT,  /* the kernel refused a transaction, or did not do what it acknowledged */
	ERR_IO,	     /* files and streams */
};

struct err {
	int code; /* positive errno value, or 0 where there was no error */
	enum err_stage stage;
	char file[512]; /* the policy file that is to blame; "" = none */
	unsigned int line;
	char message[1024]; /* one sentence without a final stop */
	char hint[512];	    /* what to do about it; "" = nothing to say */
};

/* Fill `err` (which may be NULL) and return -code, so that a caller can write `return err_set(...)`. */
int err_set(struct err *err, int code, enum err_stage stage, const char *format, ...) _printf_(4, 5);
int err_set_at(struct err *err, int code, enum err_stage stage, struct srcloc place, const char *format, ...)
	_printf_(5, 6);
/* Add what the user can do. Keeps the first hint. */
void err_hint(struct err *err, const char *format, ...) _printf_(2, 3);
/* Put "context: " in front of the message. */
void err_prefix(struct err *err, const char *format, ...) _printf_(2, 3);
