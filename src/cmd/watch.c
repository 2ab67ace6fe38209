/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * watch: the loop. Level-triggered: an event, a tick and a signal all only mean "look", and what is true is always read
 * anew. So nothing is lost where events are, and none of them needs to be understood.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "watch.h"

/* Two looks are at least so far apart, however fast events come: if they are about our table, or about others' alone.
 * And a look may not take more than a part of the time, however large the table is. */
#define DEBOUNCE	0.1
#define DEBOUNCE_OTHERS 1.0
#define LOOK_SHARE	4.0
/* After a look that failed; doubled each time. */
#define PAUSE_FIRST 1.0
#define PAUSE_MOST  60.0
/* Nothing was new: then the metrics are written no more often. */
#define METRICS_EVERY 10.0
/* Ended connections are told of no more often: they may be an attack, which must not fill the journal. */
#define SILENT_TOLD_EVERY 60.0

struct loop {
	struct watch watch;
	int timer, signals;
	const char *notify;   /* socket; NULL: nobody wants to know */
	double watchdog;      /* how often to tell that we live; 0: nobody wants to know */
	bool dirty;	      /* look */
	bool urgent;	      /* our table was changed, or it may be */
	double last_look;     /* its end */
	double next_question; /* about the generation, and the policy's files */
	double next_full;
	double next_alive;
	double next_metrics;
	double next_silent;
	double next_silent_told;
	double not_before; /* looks failed: the next one */
	double pause;
	char *status; /* as it was told */
};

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- beginning --- */

static int cannot(const struct options *options, const char *what)
{
	struct err err = {0};

	err_set(&err, errno, ERR_IO, "cannot %s: %s", what, strerror(errno));
	return fail(options, &err, NULL);
}

/* SIGTERM, SIGHUP, and SIGINT unless whoever started us in the background ignores it for us. */
static int take_signals(void)
{
	struct sigaction interrupt = {0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigaction(SIGINT, NULL, &interrupt) < 0 || interrupt.sa_handler != SIG_IGN)
		sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void find_listeners(struct loop *loop)
{
	struct watch *watch = &loop->watch;
	const char *stream = getenv("JOURNAL_STREAM");
	const char *microseconds = getenv("WATCHDOG_USEC");
	const char *process = getenv("WATCHDOG_PID");

	loop->notify = getenv("NOTIFY_SOCKET");
	if (microseconds && (!process || strtol(process, NULL, 10) == getpid()))
		loop->watchdog = strtod(microseconds, NULL) / 2e6;
	if (!(loop->watchdog > 0))
		loop->watchdog = 0;
	if (watch->options->journal || journal_is(STDERR_FILENO, stream))
		watch->journal = JOURNAL_SOCKET;
	watch->mute = watch->journal && journal_is(STDOUT_FILENO, stream);
}

/* --- talking with the service manager --- */

static void notify(const struct loop *loop, const char *format, ...) _printf_(2, 3);
static void notify(const struct loop *loop, const char *format, ...)
{
	char *state = NULL;
	va_list arguments;

	if (!loop->notify)
		return;
	va_start(arguments, format);
	if (vasprintf(&state, format, arguments) < 0)
		abort();
	va_end(arguments);
	notify_send(loop->notify, state);
	free(state);
}

static const char *verdict(const struct watch *watch, char *buffer, size_t size)
{
	size_t failed = findings_count(&watch->findings, OUTCOME_FAIL, SEVERITY_WARNING);

	if (!watch->known)
		snprintf(buffer, size, "the kernel's table could not be read");
	else if (watch->drift_count)
		snprintf(buffer, size, "%zu %s from the policy", watch->drift_count,
			watch->drift_count == 1 ? "difference" : "differences");
	else if (failed)
		snprintf(buffer, size, "the kernel's table is what the policy says; %zu failed %s", failed,
			failed == 1 ? "check" : "checks");
	else
		snprintf(buffer, size, "the kernel's table is what the policy says");
	return buffer;
}

static void tell_status(struct loop *loop)
{
	char buffer[128];
	const struct watch *watch = &loop->watch;
	char *status = mem_format("STATUS=environment %s: %s%s\n", watch->follow.environment->name,
		verdict(watch, buffer, sizeof(buffer)),
		watch->fight.stopped ? "; does not heal: somebody undoes it" : "");

	if (same_string(status, loop->status)) {
		free(status);
		return;
	}
	notify(loop, "%s", status);
	free(loop->status);
	loop->status = status;
}

static void tell_start(struct loop *loop)
{
	struct watch *watch = &loop->watch;
	const struct options *options = watch->options;
	char buffer[128];

	watch_say(watch, EVENT_START,
		"environment %s, %s: %s; asks every %" PRIu64 " s%s, compares every %" PRIu64 " s%s",
		watch->follow.environment->name, watch->follow.policy->path, verdict(watch, buffer, sizeof(buffer)),
		options->period, options->events ? " and hears events" : "", options->full_every,
		options->heal ? ", heals" : "");
	notify(loop, "READY=1\n");
}

/* --- looking --- */

/* The sockets, as far as they are not open. */
static int open_kernel(struct watch *watch, struct err *err)
{
	int code = watch->nft ? 0 : nft_open(&watch->nft, err);

	if (code == 0 && watch->options->events && !watch->ear)
		code = nft_ear_open(watch->nft, &watch->ear, err);
	return code;
}

static double later(double a, double b)
{
	return a > b ? a : b;
}

static void look(struct loop *loop)
{
	struct watch *watch = &loop->watch;
	struct err err = {0};
	double began = now_seconds();
	double now = began;
	bool good;

	loop->dirty = loop->urgent = false;
	if (open_kernel(watch, &err) < 0)
		watch_trouble(watch, &watch->trouble, &err);
	good = watch_look(watch, now);
	now = now_seconds();
	loop->last_look = now;
	loop->not_before = now + later(DEBOUNCE, (now - began) * LOOK_SHARE);
	loop->next_full = now + (double)watch->options->full_every;
	if (!good) {
		loop->pause = loop->pause > 0 ? loop->pause * 2 : PAUSE_FIRST;
		loop->pause = loop->pause < PAUSE_MOST ? loop->pause : PAUSE_MOST;
		loop->not_before = now + loop->pause;
		loop->dirty = true;
	} else {
		loop->pause = 0;
	}
	watch_metrics(watch);
	loop->next_metrics = now + METRICS_EVERY;
	tell_status(loop);
}

/* What the files say now. `forced` by a signal. */
static void follow(struct loop *loop, bool forced)
{
	struct watch *watch = &loop->watch;
	enum followed followed = follow_look(&watch->follow, now_seconds(), forced);
	const char *path = watch->follow.path;

	switch (followed) {
	case FOLLOW_SAME:
		return;
	case FOLLOW_READ:
		watch_say(watch, EVENT_POLICY, "%s was read again: the ruleset is the same", path);
		break;
	case FOLLOW_ANOTHER:
		fight_forgive(&watch->fight);
		watch->undone = 0;
		watch_say(watch, EVENT_POLICY, "%s is another policy now%s", path,
			watch->options->heal ? ", and is applied"
					     : ": the differences are what `dflyguard apply` would do");
		break;
	case FOLLOW_BAD:
		break;
	}
	/* Its ports, and its flagfile, may be others. */
	watch->host_until = 0;
	loop->dirty = true;
}

/* Twice within the time that a connection has; but no more often than twice a second. Each time the kernel walks its
 * table of all connections: about 0.4 ms on a small machine. */
static double silent_period(const struct environment *environment)
{
	double period = (double)environment->handshake_timeout / 2;

	return period < 0.5 ? 0.5 : period > 15 ? 15 : period;
}

static void end_silent(struct loop *loop, double now)
{
	struct watch *watch = &loop->watch;
	const struct environment *environment = watch->follow.environment;
	struct err err = {0};
	uint16_t ports[3];
	size_t ended;
	int r = silent_end(ports, silent_ports(watch->follow.policy, environment, ports),
		environment->handshake_timeout, &ended, &err);

	loop->next_silent = now + silent_period(environment);
	watch->silent += ended;
	watch->silent_untold += ended;
	if (watch->silent_untold && now >= loop->next_silent_told) {
		watch_say(watch, EVENT_ENDED, "%" PRIu64 " %s received nothing within %u s, and %s ended",
			watch->silent_untold, watch->silent_untold == 1 ? "connection" : "connections",
			environment->handshake_timeout, watch->silent_untold == 1 ? "was" : "were");
		watch->silent_untold = 0;
		loop->next_silent_told = now + SILENT_TOLD_EVERY;
	}
	if (r == 0 || r == -ENOBUFS || r == -ENOMEM || r == -EAGAIN || r == -EBUSY || r == -ETIMEDOUT)
		return;
	/* It will not be otherwise the next time. */
	watch->handshake = mem_string(err.message);
	loop->dirty = true;
}

/* One short question, to which the answer mostly is: nothing changed. */
static void ask(struct loop *loop, double now)
{
	struct watch *watch = &loop->watch;
	uint32_t generation;

	follow(loop, false);
	if (watch->fight.stopped && watch->drift_count && fight_may_heal(&watch->fight, now))
		loop->dirty = true;
	if (watch->waiting && !watch_holds_back(watch))
		loop->dirty = true;
	/* Nobody told whose it was; and it is a period since the last time. */
	if (!watch->nft || nft_generation(watch->nft, &generation, NULL) < 0 || generation != watch->generation)
		loop->dirty = loop->urgent = true;
	/* What listens is no matter of nf_tables, which says nothing of it. */
	if (!loop->dirty && watch_sockets_moved(watch))
		loop->dirty = true;
	if (loop->dirty)
		return;
	watch->asked = (uint64_t)time(NULL);
	if (now >= loop->next_metrics) {
		watch_metrics(watch);
		loop->next_metrics = now + METRICS_EVERY;
	}
}

static void hear(struct loop *loop)
{
	struct watch *watch = &loop->watch;
	struct nft_heard heard;
	struct err err = {0};

	if (nft_ear_hear(watch->ear, &heard, &err) < 0) {
		watch_trouble(watch, &watch->trouble, &err);
		nft_ear_close(watch->ear);
		watch->ear = NULL;
		heard = (struct nft_heard){.anything = true};
	}
	if (heard.others)
		watch->culprit = heard.culprit;
	loop->dirty = loop->dirty || heard.anything;
	loop->urgent = loop->urgent || heard.others || heard.lost || !watch->ear;
}

/* False: the end. */
static bool obey_signals(struct loop *loop)
{
	struct signalfd_siginfo info;
	struct timespec now;

	while (read(loop->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGHUP)
			return false;
		clock_gettime(CLOCK_MONOTONIC, &now);
		notify(loop, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n",
			(uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
		fight_forgive(&loop->watch.fight);
		loop->watch.undone = 0;
		free_pointer(&loop->watch.handshake);
		loop->watch.handshake = NULL;
		follow(loop, true);
		look(loop);
		notify(loop, "READY=1\n");
	}
	return true;
}

/* --- waiting --- */

static bool must_end_silent(const struct watch *watch)
{
	return !watch->handshake && watch_ends_silent(watch);
}

static double earlier(double a, double b)
{
	return a < b ? a : b;
}

/* When to look, if there is something to look at. */
static double look_at(const struct loop *loop)
{
	return loop->urgent ? loop->not_before : later(loop->not_before, loop->last_look + DEBOUNCE_OTHERS);
}

static void set_timer(const struct loop *loop)
{
	double when = earlier(loop->next_question, loop->next_full);
	struct itimerspec timer = {0};

	if (loop->dirty)
		when = earlier(when, look_at(loop));
	if (loop->watchdog > 0)
		when = earlier(when, loop->next_alive);
	if (must_end_silent(&loop->watch))
		when = earlier(when, loop->next_silent);
	/* 0 would disarm it. */
	when = when > 0.001 ? when : 0.001;
	timer.it_value.tv_sec = (time_t)when;
	timer.it_value.tv_nsec = (long)((when - (double)timer.it_value.tv_sec) * 1e9);
	timerfd_settime(loop->timer, TFD_TIMER_ABSTIME, &timer, NULL);
}

/* Where watch has nothing to do but write, and nobody reads. */
static bool in_vain(const struct watch *watch)
{
	return watch->mute && !watch->journal && !watch->options->heal && !watch->options->metrics;
}

/* False: the end. */
static bool step(struct loop *loop)
{
	struct watch *watch = &loop->watch;
	struct pollfd waiting[] = {{.fd = loop->timer, .events = POLLIN}, {.fd = loop->signals, .events = POLLIN},
		{.fd = watch->ear ? nft_ear_descriptor(watch->ear) : -1, .events = POLLIN},
		/* Nothing is read from there; but a pipe whose reader is gone is reported. */
		{.fd = watch->mute ? -1 : STDOUT_FILENO}};
	uint64_t ticks;
	double now;

	set_timer(loop);
	if (poll(waiting, ARRAY_SIZE(waiting), -1) < 0 && errno != EINTR && errno != ENOMEM)
		return false;
	if (waiting[0].revents && read(loop->timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
		return false;
	if (waiting[3].revents & (POLLERR | POLLHUP))
		watch->mute = true;
	if (in_vain(watch) || !obey_signals(loop))
		return false;
	now = now_seconds();
	if (watch->ear && waiting[2].revents)
		hear(loop);
	if (now >= loop->next_question) {
		/* What a machine slept through is not made up for. */
		loop->next_question = now + (double)watch->options->period;
		ask(loop, now);
	}
	if (must_end_silent(watch) && now >= loop->next_silent)
		end_silent(loop, now);
	if (now >= loop->next_full)
		loop->dirty = true;
	if (loop->dirty && now >= look_at(loop))
		look(loop);
	if (loop->watchdog > 0 && now >= loop->next_alive) {
		loop->next_alive = now + loop->watchdog;
		notify(loop, "WATCHDOG=1\n");
	}
	return true;
}

/* What will not become better by waiting, such as a privilege that is missing, ends it at once. False: reported. */
static bool begin(struct watch *watch)
{
	struct err err = {0};
	uint32_t generation;

	if (open_kernel(watch, &err) == 0 && nft_generation(watch->nft, &generation, &err) == 0)
		return true;
	fail(watch->options, &err, NULL);
	return false;
}

static int run(struct loop *loop)
{
	struct watch *watch = &loop->watch;
	const struct options *options = watch->options;

	/* First, so that there is no moment at which a signal would end us without a word. */
	loop->signals = take_signals();
	if (loop->signals < 0)
		return cannot(options, "wait for signals");
	loop->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->timer < 0)
		return cannot(options, "make a timer");
	if (!follow_begin(&watch->follow, options, now_seconds()) || !begin(watch))
		return EXIT_TROUBLE;
	find_listeners(loop);
	look(loop);
	tell_start(loop);
	loop->next_question = now_seconds() + (double)options->period;
	while (step(loop))
		;
	notify(loop, "STOPPING=1\nSTATUS=stopped\n");
	watch_say(watch, EVENT_STOP, "was told to stop; what is in force stays in force");
	return EXIT_CONFORMING;
}

int command_watch(const struct options *options)
{
	struct loop loop = {.watch = {.options = options}, .timer = -1, .signals = -1};
	struct watch *watch = &loop.watch;
	int status = run(&loop);

	nft_ear_close(watch->ear);
	nft_close(watch->nft);
	follow_done(&watch->follow);
	findings_done(&watch->findings);
	findings_done(&watch->unread);
	host_facts_done(&watch->host);
	free(watch->drift);
	free(watch->trouble);
	free(watch->handshake);
	free(watch->metrics_trouble);
	free(loop.status);
	if (loop.timer >= 0)
		close(loop.timer);
	if (loop.signals >= 0)
		close(loop.signals);
	return status;
}
