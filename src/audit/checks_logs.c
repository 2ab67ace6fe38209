/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The checks of area `logs`: the server's log. */

#include "audit_private.h"

static const struct check checks[] = {
	{.id = "logs.enabled",
		.area = "logs",
		.severity = SEVERITY_WARNING,
		.facts = "flags, the log's folder, standard error",
		.title = "the server's log is kept",
		.bad = "Warnings are not written, or go to a folder that is emptied, to a terminal, or nowhere: after "
		       "an attack "
		       "there is nothing to read.",
		.unknown = "where it goes could not be read; or who keeps what is written into a pipe (informational)",
		.remedy = "--log_dir=/var/log/dragonfly in the flagfile, a folder of the server's user",
		.assess = assess_logs_enabled},
	{.id = "logs.private",
		.area = "logs",
		.severity = SEVERITY_WARNING,
		.facts = "the log's folder and newest file",
		.title = "others do not read the server's log",
		.bad = "A password that was tried with HELLO, or that CONFIG SET refused, stands in it as it is.",
		.unknown = "it could not be looked at; or there is no file yet (informational)",
		.remedy = "chmod 0750 its folder, owned by the server's user",
		.assess = assess_logs_private},
	{.id = "logs.buffered",
		.area = "logs",
		.severity = SEVERITY_INFO,
		.facts = "flags",
		.title = "the log is written at once",
		.bad = "What waits in memory is lost when the server is killed, and told late: addresses of failed "
		       "handshakes "
		       "are information. Warnings are always written at once, unless logbuflevel says otherwise.",
		.unknown = "what it is told could not be read",
		.remedy = "--logbuflevel=-1 in the flagfile",
		.assess = assess_logs_buffered},
	{.id = "logs.space",
		.area = "logs",
		.severity = SEVERITY_WARNING,
		.facts = "the log's file system",
		.title = "there is room for the log",
		.bad = "Dragonfly deletes no old file: when the disk is full nothing more is written. Less room than "
		       "one more "
		       "file (max_log_size) is informational.",
		.unknown = "it could not be read",
		.remedy = "delete old files (logrotate, or tmpfiles.d with an age), or a smaller --max_log_size",
		.assess = assess_logs_space},
};

const struct check_table logs_checks = {checks, ARRAY_SIZE(checks)};
