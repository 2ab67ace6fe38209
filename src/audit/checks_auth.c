/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The checks of area `auth`: who may come in. */

#include "audit_private.h"

static const struct check checks[] = {
	{.id = "auth.password",
		.area = "auth",
		.severity = SEVERITY_CRITICAL,
		.facts = "flags, aclfile",
		.title = "it is told to ask for a password",
		.bad = "Without requirepass, or with an aclfile that cannot be used, is empty, or does not name "
		       "default, Dragonfly lets everybody in, and says nothing.",
		.unknown = "what it is told could not be read",
		.remedy = "--requirepass=PASSWORD in a flagfile that only root and the server may read; openssl rand "
			  "-base64 30 makes one",
		.assess = assess_auth_told},
	{.id = "auth.open",
		.area = "auth",
		.severity = SEVERITY_CRITICAL,
		.facts = "the server's answers",
		.title = "the running server asks for a password",
		.bad = "A PING without a password was answered.",
		.unknown = "it did not answer at all",
		.remedy = "ACL SETUSER default RESETPASS >PASSWORD closes it at once; then --requirepass=PASSWORD in "
			  "the flagfile",
		.assess = assess_auth_live},
	{.id = "auth.admin",
		.area = "auth",
		.severity = SEVERITY_CRITICAL,
		.facts = "the server's answers, flags",
		.title = "the admin port asks for a password",
		.bad = "Whoever reaches it may do everything, past all ACLs. It knows requirepass alone, and with "
		       "--admin_nopass not even that.",
		.unknown = "it did not answer, or what it is told could not be read",
		.remedy = "take --admin_nopass out of the flagfile, and set --requirepass=PASSWORD",
		.assess = assess_auth_admin},
	{.id = "auth.http",
		.area = "auth",
		.severity = SEVERITY_CRITICAL,
		.facts = "the server's answers",
		.title = "the HTTP console asks for a password",
		.bad = "The console shows every flag with its passwords, and sets them. It has the password that "
		       "requirepass was at the start: one that was set later does not close it.",
		.unknown = "it did not answer",
		.remedy = "--requirepass=PASSWORD in the flagfile and a restart, or --primary_port_http_enabled=false",
		.assess = assess_auth_http},
	{.id = "auth.aclfile",
		.area = "auth",
		.severity = SEVERITY_CRITICAL,
		.facts = "aclfile",
		.title = "the file of users does what it should",
		.bad = "One line that Dragonfly does not understand (a comment, a word of Redis, too few words), and "
		       "the whole file is left aside; one that does not name default leaves it open.",
		.unknown = "it could not be read",
		.remedy = "mend the line; begin with: user default ON >PASSWORD ~* +@all",
		.assess = assess_auth_aclfile},
	{.id = "auth.users",
		.area = "auth",
		.severity = SEVERITY_CRITICAL,
		.facts = "the server's users, asked as monitor_user",
		.title = "every user of the running server needs a password",
		.bad = "A user is nopass, or the empty password is one of its: CONFIG SET requirepass with nothing "
		       "leaves that behind, and a later one does not take it away.",
		.unknown = "the server does not tell, or does not let in who may ask",
		.remedy = "ACL SETUSER NAME RESETPASS >PASSWORD",
		.assess = assess_auth_users},
	{.id = "auth.strength",
		.area = "auth",
		.severity = SEVERITY_WARNING,
		.facts = "flags, flagfile, aclfile",
		.title = "passwords are hard to guess",
		.bad = "Shorter than 16 characters, or guessed in fewer than 2^64 tries: Dragonfly does not slow down "
		       "who guesses.",
		.unknown = "it could not be read",
		.remedy = "openssl rand -base64 30 makes one",
		.assess = assess_auth_strength},
	{.id = "auth.places",
		.area = "auth",
		.severity = SEVERITY_WARNING,
		.facts = "flags, permissions of files",
		.title = "passwords stand where only the server reads them",
		.bad = "The command line is open to all who are on this host, and so is a flagfile that others may "
		       "read.",
		.unknown = "who may read it is not known",
		.remedy = "put it into the flagfile, chmod 0640, owned by root and the server's group; CONFIG REWRITE "
			  "opens it again",
		.assess = assess_auth_places},
	{.id = "auth.writable",
		.area = "auth",
		.severity = SEVERITY_WARNING,
		.facts = "permissions of files",
		.title = "only root writes what the server is told",
		.bad = "Others may change the flagfile, and with it where the server listens and whom it lets in. Its "
		       "own user: informational.",
		.unknown = "who may write it is not known",
		.remedy = "chown root: the flagfile, and chmod go-w it and its folder",
		.assess = assess_auth_writable},
};

const struct check_table auth_checks = {checks, ARRAY_SIZE(checks)};
