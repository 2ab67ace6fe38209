/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The server's log: whether it stays, who reads it, and when it is written. */

#include <inttypes.h>
#include <string.h>

#include "audit_private.h"

#define LITTLE_SPACE (100ull << 20)

static const char no_server[] = "the server's log";

/* What a check says of one log; `intention` is known. False: nothing is to be said of it. */
typedef bool assess_log(const struct check *check, const char *subject, const struct intention *intention,
	const struct log_told *told, struct findings *ret);

static void each_log(
	const struct check *check, const struct audit_facts *facts, struct findings *ret, assess_log *assess)
{
	size_t before = ret->count;

	if (!facts->logs) {
		struct finding *finding = finding_add(ret, check, OUTCOME_UNKNOWN, no_server, "was not looked at%s%s",
			facts->posture_left_out ? ": " : "", facts->posture_left_out ? facts->server_unknown : "");

		if (facts->posture_left_out)
			finding->severity = SEVERITY_INFO;
		return;
	}
	for (size_t i = 0; i < facts->logs->count; i++) {
		const struct log_told *told = &facts->logs->told[i];
		const struct audit_intention *intention = &facts->intentions[told->intention];

		if (intention->intention && !intention->intention->unknown)
			assess(check, intention->subject, intention->intention, told, ret);
		else
			finding_add(ret, check, OUTCOME_UNKNOWN, intention->subject, "what it was told is not known");
	}
	if (ret->count == before)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, no_server,
			facts->logs->count ? "it is no file" : "no server is known");
}

/* --- whether it stays --- */

/* Emptied at a boot, or by whoever tidies up. */
static bool is_fleeting(const char *folder)
{
	static const char *const folders[] = {"/tmp", "/var/tmp", "/run", "/var/run", "/dev/shm"};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		size_t length = strlen(folders[i]);

		if (strncmp(folder, folders[i], length) == 0 && (folder[length] == '/' || !folder[length]))
			return true;
	}
	return false;
}

static void assess_stderr(const struct check *check, const char *subject, const struct intention *intention,
	enum stderr_to to, struct findings *ret)
{
	switch (to) {
	case STDERR_NOTHING:
		finding_add(ret, check, OUTCOME_FAIL, subject, "it goes to /dev/null");
		return;
	case STDERR_TERMINAL:
		finding_add(ret, check, OUTCOME_FAIL, subject, "it goes to a terminal, and is gone with it");
		return;
	case STDERR_PIPE:
		finding_add(ret, check, OUTCOME_UNKNOWN, subject, "it goes to a pipe: who keeps it is not known")
			->severity = SEVERITY_INFO;
		return;
	case STDERR_JOURNAL:
	case STDERR_FILE:
		finding_add(ret, check, OUTCOME_PASS, subject, "it goes to %s",
			to == STDERR_FILE ? "a file" : "a socket, as the journal's is");
		return;
	case STDERR_UNKNOWN:
		if (intention->under_systemd)
			finding_add(ret, check, OUTCOME_PASS, subject, "systemd gives it to the journal");
		else
			finding_add(ret, check, OUTCOME_UNKNOWN, subject, "where its standard error goes is not known")
				->severity = SEVERITY_INFO;
		return;
	}
}

static bool assess_enabled(const struct check *check, const char *subject, const struct intention *intention,
	const struct log_told *told, struct findings *ret)
{
	const struct log_place *place = &told->place;

	if (place->minimum > 1)
		finding_add(ret, check, OUTCOME_FAIL, subject, "warnings are not written: minloglevel is %" PRId64,
			place->minimum);
	else if (!place->folder)
		assess_stderr(check, subject, intention, told->stderr_to, ret);
	else if (place->temporary)
		finding_add(ret, check, OUTCOME_FAIL, subject,
			"log_dir is not set: it goes to the folder for temporary files");
	else if (is_fleeting(place->folder))
		finding_add(ret, check, OUTCOME_FAIL, subject, "%s is emptied now and then", place->folder);
	else if (told->absent)
		finding_add(ret, check, OUTCOME_FAIL, subject, "%s is not there: nothing is written", place->folder);
	else if (told->unknown)
		finding_add(ret, check, OUTCOME_UNKNOWN, subject, "%s", told->unknown);
	else
		finding_add(ret, check, OUTCOME_PASS, subject, "it goes to %s", place->folder);
	return true;
}

void assess_logs_enabled(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each_log(check, facts, ret, assess_enabled);
}

/* --- who reads it --- */

static bool assess_private(const struct check *check, const char *subject, const struct intention *intention _unused_,
	const struct log_told *told, struct findings *ret)
{
	if (!told->place.folder || told->absent)
		return false;
	if (told->unknown)
		finding_add(ret, check, OUTCOME_UNKNOWN, subject, "%s", told->unknown);
	/* In a folder with the sticky bit others cannot take a file's place, but be the first. */
	else if (told->mode & 02)
		finding_add(ret, check, OUTCOME_FAIL, subject, "everybody may write into %s", told->place.folder);
	else if (!(told->mode & 01))
		finding_add(
			ret, check, OUTCOME_PASS, subject, "only its owner and group get into %s", told->place.folder);
	else if (!told->file)
		finding_add(ret, check, OUTCOME_UNKNOWN, subject, "there is no file in %s yet", told->place.folder)
			->severity = SEVERITY_INFO;
	else if (told->file_mode & 06)
		finding_add(ret, check, OUTCOME_FAIL, subject, "everybody may %s %s/%s",
			told->file_mode & 02 ? "write" : "read", told->place.folder, told->file);
	else
		finding_add(ret, check, OUTCOME_PASS, subject, "only its owner and group read it");
	return true;
}

void assess_logs_private(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each_log(check, facts, ret, assess_private);
}

/* --- when it is written, and whether it can be --- */

static bool assess_buffered(const struct check *check, const char *subject, const struct intention *intention _unused_,
	const struct log_told *told, struct findings *ret)
{
	if (!told->place.folder || told->place.minimum > 0)
		return false;
	if (told->place.buffer_level >= 0)
		finding_add(ret, check, OUTCOME_FAIL, subject,
			"%s in memory until more is written: who failed to shake hands is told late, or never",
			told->place.buffer_level ? "warnings wait" : "information waits")
			->severity = told->place.buffer_level ? SEVERITY_WARNING : check->severity;
	else
		finding_add(ret, check, OUTCOME_PASS, subject, "each line is written at once");
	return true;
}

void assess_logs_buffered(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each_log(check, facts, ret, assess_buffered);
}

static bool assess_space(const struct check *check, const char *subject, const struct intention *intention _unused_,
	const struct log_told *told, struct findings *ret)
{
	char number[32];

	if (!told->place.folder || told->absent)
		return false;
	if (told->unknown || !told->size)
		finding_add(ret, check, OUTCOME_UNKNOWN, subject, "%s",
			told->unknown ? told->unknown : "how much room there is could not be read");
	else if (told->free < LITTLE_SPACE)
		finding_add(ret, check, OUTCOME_FAIL, subject, "%s are left for %s", format_bytes(number, told->free),
			told->place.folder);
	else if (told->place.megabytes <= 0 || told->free >> 20 < (uint64_t)told->place.megabytes)
		finding_add(ret, check, OUTCOME_FAIL, subject,
			"%s are left for %s, and a file may get %" PRId64 " MB (max_log_size)",
			format_bytes(number, told->free), told->place.folder, told->place.megabytes)
			->severity = SEVERITY_INFO;
	else
		finding_add(ret, check, OUTCOME_PASS, subject, "there is room for another file");
	return true;
}

void assess_logs_space(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each_log(check, facts, ret, assess_space);
}
