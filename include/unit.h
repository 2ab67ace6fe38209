/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * unit: how systemd starts a service, asked of systemd itself, since a unit is put together from many files. It may be
 * told a unit's name. It starts nothing and changes nothing.
 */

#include "err.h"

/* The command of ExecStart=, with its specifiers (%i) in place and its variables ($NAME) as they are written. Free with
 * unit_command_done(). */
struct unit_command {
	char *program;	  /* the executable's path */
	char **arguments; /* argv, its first one included */
	size_t argument_count;
	bool verbatim; /* no variable means anything in it (the prefix ":") */
};

/*
 * Asks systemd by its private socket, which is there from the beginning of the boot and for root alone. The unit must
 * be loaded, as one that is being started is. 0; or a negative errno value with `err`: -ENOENT, no systemd runs here;
 * -ENOPKG, there is no libsystemd; -EACCES; -ESRCH, the unit has no ExecStart=; -E2BIG, it has more than one;
 * -ETIMEDOUT. `ret` is untouched then.
 */
int unit_read_command(const char *unit, struct unit_command *ret, struct err *err);
void unit_command_done(struct unit_command *command);

/*
 * Puts values in the place of variables, as systemd does: ${NAME} within a word, $NAME for as many words as its value
 * has, $$ for a dollar sign (systemd.service(5), COMMAND LINES). `environment`: "NAME=VALUE", ended by NULL. 0, or
 * -ENOTSUP with `err` where that is not known: a $NAME whose value has quotes. Pure.
 */
int unit_command_expand(struct unit_command *command, char *const *environment, struct err *err);
