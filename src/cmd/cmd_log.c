/* SPDX-License-Identifier: GPL-3.0-or-later */

/* log: refused packets as they happen. */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cmd.h"

/* Packets that are shown without --count and --follow. */
#define DEFAULT_COUNT 10

struct log_run {
	const struct options *options;
	uint16_t group;
	char *environment; /* NULL: not known */
	struct nft_log *log;
	int signals;	 /* what tells that somebody wants us to end */
	uint64_t wanted; /* 0: no end */
	uint64_t shown, filtered, foreign;
	uint64_t unsaid; /* lost, and not told of yet, because what came behind was not shown */
};

/* --- before --- */

/* What the policy says about the log. 0, or a negative errno value with `err`. */
static int obey(struct log_run *run, const struct policy *policy, struct err *err)
{
	const char *name = run->options->environment;
	const struct environment *environment;

	run->group = policy->service.log_group;
	/* The group is the same for all environments: none need be chosen. */
	if (!name && !policy->default_environment)
		return 0;
	environment = policy_environment(policy, name, err);
	if (!environment)
		return -err->code;
	if (environment->log == LOG_NONE) {
		err_set_at(err, EINVAL, ERR_POLICY, policy_place(policy, environment->log_origin),
			"environment %s has log = none: the kernel tells of no packet", environment->name);
		err_hint(err, "write log = sampled there, and apply it; `dflyguard status` counts in any case");
		return -EINVAL;
	}
	run->environment = mem_string(environment->name);
	return 0;
}

/* A policy is not needed, but one that is there is obeyed. False: reported. */
static bool read_policy(struct log_run *run)
{
	const struct options *options = run->options;
	struct diagnostics diagnostics = {0};
	struct policy *policy = NULL;
	struct err err = {0};
	int r;

	run->group = POLICY_DEFAULT_LOG_GROUP;
	if (!options->policy_given && access(options->policy, F_OK) < 0 && errno == ENOENT)
		return true;
	r = policy_load(options->policy, &policy, &diagnostics, &err);
	if (r == 0)
		r = obey(run, policy, &err);
	if (r < 0)
		fail(options, &err, &diagnostics);
	diagnostics_done(&diagnostics);
	policy_free(policy);
	return r == 0;
}

static void note(const struct log_run *run, const char *format, const char *what)
{
	if (run->options->quiet)
		return;
	fputs("dflyguard: ", stderr);
	_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wformat-nonliteral\"");
	fprintf(stderr, format, what);
	_Pragma("GCC diagnostic pop");
	fputc('\n', stderr);
}

/* Says so where nothing can come. False: reported. */
static bool look_at_table(const struct log_run *run)
{
	struct snapshot snapshot = {0};
	struct nft *nft = NULL;
	struct err err = {0};

	if (nft_open(&nft, &err) < 0 || nft_read_presence(nft, &snapshot, &err) < 0) {
		nft_close(nft);
		fail(run->options, &err, NULL);
		return false;
	}
	if (!snapshot.ruleset->present)
		note(run, "nothing is refused at present: %s",
			"there is no table inet " TABLE_NAME " in this network namespace");
	else if (snapshot.ruleset->flags & TABLE_DORMANT)
		note(run, "nothing is refused at present: %s", "table inet " TABLE_NAME " is dormant");
	ruleset_free(snapshot.ruleset);
	nft_close(nft);
	return true;
}

/* SIGTERM, and SIGINT unless whoever started us in the background ignores it for us. */
static int take_signals(void)
{
	struct sigaction interrupt = {0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	if (sigaction(SIGINT, NULL, &interrupt) < 0 || interrupt.sa_handler != SIG_IGN)
		sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* --- meanwhile --- */

/* Shows it, or counts it among those that are not shown. */
static void show(struct log_run *run, const struct nft_log_event *event)
{
	const struct options *options = run->options;
	struct report_style style = output_style(options);
	struct report_refusal report = {.environment = run->environment,
		.time = event->time,
		.reason = event->name,
		.text = event->reason ? reason_text(event->reason) : "for a reason that this version does not know",
		.show_payload = event->reason == REASON_PLAINTEXT,
		.packet = event->readable ? &event->packet : NULL,
		.interface = event->interface[0] ? event->interface : NULL};

	run->unsaid += event->lost;
	if (!event->ours) {
		run->foreign++;
		return;
	}
	if (options->reason != REASON_NONE && options->reason != event->reason) {
		run->filtered++;
		return;
	}
	report.lost = run->unsaid;
	run->unsaid = 0;
	run->shown++;
	options->renderer->refusal(&style, &report);
}

enum log_end { GO_ON, ENDED, READER_GONE, FAILED };

/* Each packet is out before the next is looked at. */
static enum log_end write_out(const struct log_run *run)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return GO_ON;
	if (errno == EPIPE)
		return READER_GONE;
	finish_output(run->options, EXIT_TROUBLE);
	return FAILED;
}

static enum log_end step(struct log_run *run, bool *more)
{
	/* Nothing is read from stdout; but a pipe whose reader is gone is reported there, also while nothing comes. */
	struct pollfd waiting[] = {{.fd = run->signals, .events = POLLIN},
		{.fd = nft_log_fd(run->log), .events = POLLIN}, {.fd = STDOUT_FILENO}};
	struct nft_log_event event;
	struct err err = {0};
	int r = poll(waiting, ARRAY_SIZE(waiting), *more ? 0 : -1);

	if (r < 0 && errno != EINTR) {
		err_set(&err, errno, ERR_IO, "cannot wait: %s", strerror(errno));
		fail(run->options, &err, NULL);
		return FAILED;
	}
	if (waiting[0].revents & POLLIN)
		return ENDED;
	if (waiting[2].revents & (POLLERR | POLLHUP))
		return READER_GONE;
	r = nft_log_next(run->log, &event, &err);
	*more = r > 0;
	if (r < 0) {
		fail(run->options, &err, NULL);
		return FAILED;
	}
	if (r == 0)
		return GO_ON;
	show(run, &event);
	enum log_end outcome = write_out(run);

	return outcome == GO_ON && run->wanted && run->shown >= run->wanted ? ENDED : outcome;
}

/* --- afterwards --- */

static const char *plural(uint64_t count, const char *one, const char *many)
{
	return count == 1 ? one : many;
}

static void sum_up(const struct log_run *run)
{
	char number[32];
	bool more;
	uint64_t lost = nft_log_lost(run->log, &more);

	/* A loss is never hushed up. */
	if (run->options->quiet && !run->unsaid && !more)
		return;
	fprintf(stderr, "dflyguard: %s refused %s shown", format_count(number, run->shown),
		plural(run->shown, "packet", "packets"));
	if (run->filtered)
		fprintf(stderr, ", %s for other reasons not", format_count(number, run->filtered));
	if (run->foreign)
		fprintf(stderr, ", %s of somebody else's rules skipped", format_count(number, run->foreign));
	/* An overrun lost one at least. */
	fprintf(stderr, ", %s%s %s lost\n", more ? "at least " : "", format_count(number, lost + more),
		plural(lost + more, "notice", "notices"));
}

static int run_log(struct log_run *run)
{
	enum log_end outcome;
	struct err err = {0};
	bool more = false;
	char group[16];

	/* First, so that there is no moment at which a signal would end us without a word. */
	run->signals = take_signals();
	if (run->signals < 0) {
		err_set(&err, errno, ERR_IO, "cannot wait for signals: %s", strerror(errno));
		return fail(run->options, &err, NULL);
	}
	if (nft_log_open(run->group, &run->log, &err) < 0)
		return fail(run->options, &err, NULL);
	snprintf(group, sizeof(group), "%u", run->group);
	note(run, "waiting for refused packets (NFLOG group %s); Ctrl-C ends it", group);
	do
		outcome = step(run, &more);
	while (outcome == GO_ON);
	if (outcome == ENDED)
		sum_up(run);
	return outcome == FAILED ? EXIT_TROUBLE : EXIT_CONFORMING;
}

int command_log(const struct options *options)
{
	struct log_run run = {.options = options, .signals = -1};
	int status = EXIT_TROUBLE;

	run.wanted = options->count ? options->count : options->follow ? 0 : DEFAULT_COUNT;
	if (read_policy(&run) && look_at_table(&run))
		status = run_log(&run);
	nft_log_close(run.log);
	if (run.signals >= 0)
		close(run.signals);
	free(run.environment);
	return status;
}
