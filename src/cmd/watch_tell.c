/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Events of watch: each is out, to whoever wants it, before the next thing is done. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "watch.h"

/* Never to be changed: people search the journal by them. The manual page lists them. */
const char *event_message_id(enum event event)
{
	static const char *const ids[] = {
		[EVENT_START] = "cceae39acc2c460788dd4a0306041c35",
		[EVENT_DRIFT] = "e264d08251a340258f82470bc07678aa",
		[EVENT_MENDED] = "e110656028b643d8b38846c3f01ee9f6",
		[EVENT_HEALED] = "73ef07199948469cb3e325dd98411ed7",
		[EVENT_OWNED] = "7246705a80074e8381495ae11646ca82",
		[EVENT_FINDING] = "83e95d6f0c7f4e5bbc423673214802ec",
		[EVENT_RESOLVED] = "8760009f93d04cd580ba935cbd25c0aa",
		[EVENT_ENDED] = "a7ab58d792ef410492d4eeb95c22ef10",
		[EVENT_ALERT] = "5b6a5cc4b7a94d0aa86f0b7f1c8de2a4",
		[EVENT_LOG] = "c1f0a3f5d2284f6e9a7ce48d5b1f60b3",
		[EVENT_POLICY] = "136504e686b942958032995370c32a1d",
		[EVENT_TROUBLE] = "b529a5637add4feebc31bf67d567adec",
		[EVENT_STOP] = "d9887268a6dc4b06a7267cba833b1950",
	};

	return ids[event];
}

static int priority(const struct report_event *event)
{
	static const int of_severity[] = {
		[SEVERITY_INFO] = LOG_INFO, [SEVERITY_WARNING] = LOG_WARNING, [SEVERITY_CRITICAL] = LOG_CRIT};

	switch (event->event) {
	case EVENT_DRIFT:
		return LOG_CRIT;
	case EVENT_FINDING:
		return of_severity[event->finding->severity];
	case EVENT_ALERT:
		return LOG_ALERT;
	case EVENT_TROUBLE:
		return LOG_ERR;
	case EVENT_HEALED:
	case EVENT_OWNED:
	case EVENT_MENDED:
	case EVENT_RESOLVED:
	case EVENT_ENDED:
	case EVENT_LOG:
	case EVENT_POLICY:
		return LOG_NOTICE;
	case EVENT_START:
	case EVENT_STOP:
		return LOG_INFO;
	}
	abort();
}

/* The line that people read, without its time, which the journal has. */
static char *line_of(const struct report_event *event)
{
	char *line = NULL;
	size_t length = 0;
	FILE *stream = open_memstream(&line, &length);

	if (!stream)
		return mem_string("");
	report_text.event(&(struct report_style){.stream = stream, .command = "watch", .bare = true}, event);
	fclose(stream);
	if (length && line[length - 1] == '\n')
		line[length - 1] = '\0';
	return line;
}

static void to_journal(const struct watch *watch, const struct report_event *event)
{
	const struct finding *finding = event->finding;
	uint32_t origin = event->change ? event->change->origin : finding ? finding->origin : event->origin;
	struct srcloc where = event->policy && origin ? policy_place(event->policy, origin) : (struct srcloc){0};
	_cleanup_free_ char *line = line_of(event);
	_cleanup_free_ char *level = mem_format("%d", priority(event));
	_cleanup_free_ char *place = where.file ? mem_format("%s:%u", where.file, where.line) : NULL;
	_cleanup_free_ char *process = event->process ? mem_format("%" PRIu32, event->process) : NULL;
	_cleanup_text_ struct text object = {0};
	_cleanup_text_ struct text expected = {0};
	_cleanup_text_ struct text observed = {0};

	if (event->change) {
		change_object_text(event->change, &object);
		change_expected_text(event->change, &expected);
		change_observed_text(event->change, &observed);
	}
	const struct journal_field fields[] = {
		{"MESSAGE", line},
		{"PRIORITY", level},
		{"MESSAGE_ID", event_message_id(event->event)},
		{"SYSLOG_IDENTIFIER", "dflyguard"},
		{"DFLYGUARD_EVENT", event_name(event->event)},
		{"DFLYGUARD_ENVIRONMENT", event->environment},
		{"DFLYGUARD_OBJECT", finding ? finding->subject : text_string(&object)},
		{"DFLYGUARD_EXPECTED", text_string(&expected)},
		{"DFLYGUARD_OBSERVED", finding && finding->evidence ? finding->evidence : text_string(&observed)},
		{"DFLYGUARD_POLICY", place},
		{"DFLYGUARD_CHECK", finding ? finding->check->id : NULL},
		{"DFLYGUARD_SEVERITY", finding ? severity_name(finding->severity) : NULL},
		{"DFLYGUARD_OUTCOME", finding ? outcome_name(finding->outcome) : NULL},
		{"DFLYGUARD_REMEDY", finding ? finding->remedy : NULL},
		{"DFLYGUARD_ALERT", event->alert ? alert_on_name(event->alert->on) : NULL},
		{"DFLYGUARD_SOURCE", event->alert ? event->alert->source : NULL},
		{"DFLYGUARD_PROCESS", event->process ? event->process_name : NULL},
		{"DFLYGUARD_PROCESS_PID", process},
	};

	/* A journal that is not there, or full, is no reason to stop watching. */
	journal_send(watch->journal, fields, ARRAY_SIZE(fields));
}

void watch_tell(struct watch *watch, struct report_event event)
{
	struct report_style style = output_style(watch->options);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	event.time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	event.policy = watch->follow.policy;
	event.environment = watch->follow.environment->name;
	if (watch->journal)
		to_journal(watch, &event);
	if (watch->mute)
		return;
	watch->options->renderer->event(&style, &event);
	/* Nobody reads any more, or the disk is full: what watch does it does all the same. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && errno == EPIPE)
		watch->mute = true;
	clearerr(stdout);
}

void watch_say(struct watch *watch, enum event event, const char *format, ...)
{
	_cleanup_free_ char *message = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&message, format, arguments) < 0)
		abort();
	va_end(arguments);
	watch_tell(watch, (struct report_event){.event = event, .message = message});
}

static bool has_finding(const struct findings *findings, const struct finding *finding)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *other = &findings->items[i];

		if (other->check == finding->check && other->outcome == finding->outcome &&
			other->severity == finding->severity && !other->waived == !finding->waived &&
			strcmp(other->subject, finding->subject) == 0 &&
			strcmp(other->message, finding->message) == 0 &&
			same_string(other->evidence, finding->evidence))
			return true;
	}
	return false;
}

/* Differences are told one by one already, and what is waived is known. */
static bool worth_telling(const struct finding *finding)
{
	return (finding->outcome == OUTCOME_FAIL || finding->outcome == OUTCOME_UNKNOWN) && !finding->waived &&
	       strcmp(finding->check->id, "firewall.drift") != 0;
}

void watch_tell_missing(
	struct watch *watch, enum event event, const struct findings *these, const struct findings *those)
{
	for (size_t i = 0; i < these->count; i++)
		if (worth_telling(&these->items[i]) && !has_finding(those, &these->items[i]))
			watch_tell(watch, (struct report_event){.event = event, .finding = &these->items[i]});
}

void watch_trouble(struct watch *watch, char **told, const struct err *err)
{
	if (same_string(*told, err ? err->message : NULL))
		return;
	if (err)
		watch_say(
			watch, EVENT_TROUBLE, "%s%s%s", err->message, err->hint[0] ? "; to mend it: " : "", err->hint);
	else
		watch_say(watch, EVENT_RESOLVED, "no more of this: %s", *told);
	free(*told);
	*told = err ? mem_string(err->message) : NULL;
}
