/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * differential: asks the evaluator (evaluate.h) and the kernel the same, and compares. Random policies are applied by
 * the program itself; random connections are made in the network of tests/lib/net.sh, all of a policy at once; a server
 * on every port of every namespace notes what arrives. Compared are: allowed or refused, how it is refused, and, over
 * all connections of a policy, how many packets each reason counted.
 *
 *   differential DFLYGUARD FOLDER CONNECTIONS [KIND-OF-ELSEWHERE]
 *
 * Runs in the namespace `host`. DFLYGUARD_TEST_SEED repeats a run. Exit 1: they disagree, and each case is shown.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "differential.h"
#include "nft.h"

#define PER_POLICY  80
#define REFUSAL_MS  350	 /* a packet that has not arrived by now was dropped: the next try comes after 1000 ms */
#define PATIENCE_MS 8000 /* for what should arrive; only a failing test waits so long */
#define EARLY	    24	 /* connections that are older than the table */
#define SHOWN	    10	 /* disagreements */

extern char **environ;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list arguments;

	fputs("differential: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(2);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- namespaces and programs --- */

static int namespaces[PLACE_COUNT];

static void open_namespaces(void)
{
	for (unsigned int i = 0; i < place_count; i++) {
		_cleanup_free_ char *path =
			i == PLACE_HOST ? mem_string("/proc/self/ns/net") : mem_format("/run/netns/%s", places[i].name);

		namespaces[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (namespaces[i] < 0)
			die("%s: %m", path);
	}
}

static void enter(enum place place)
{
	static enum place current = PLACE_HOST;

	if (place != current && setns(namespaces[place], CLONE_NEWNET) < 0)
		die("cannot enter %s: %m", places[place].name);
	current = place;
}

static void write_file(const char *path, const char *text)
{
	_cleanup_file_ FILE *stream = fopen(path, "we");

	if (!stream || fputs(text, stream) < 0 || fflush(stream) != 0)
		die("%s: %m", path);
}

static void run(const char *const *arguments)
{
	pid_t child;
	int status;

	enter(PLACE_HOST);
	if (posix_spawnp(&child, arguments[0], NULL, NULL, (char *const *)(uintptr_t)arguments, environ) != 0 ||
		waitpid(child, &status, 0) < 0)
		die("cannot run %s", arguments[0]);
	if (status != 0)
		die("%s ends with %d", arguments[0], status);
}

/* --- connections --- */

struct connection {
	struct trial trial;
	struct arrival expected;
	int client, server; /* -1: none */
	uint16_t source_port;
	bool connected;
	bool spoken;
	bool refused; /* the client was told so, instead of being connected */
	bool cut;     /* the server was told so */
	size_t heard;
	bool wrong_data;
};

static struct connection connections[PER_POLICY];
static size_t connection_count;
static int poller;

/* Who an event is about, in its 64 bits. */
enum watcher { WATCH_LISTENER, WATCH_CLIENT, WATCH_SERVER };

static void watch(int descriptor, enum watcher watcher, size_t index, uint32_t events)
{
	struct epoll_event event = {
		.events = events, .data.u64 = (uint64_t)watcher << 56 | (uint64_t)index << 32 | (uint32_t)descriptor};

	if (epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) < 0)
		die("epoll: %m");
}

static void close_at_once(int *descriptor)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	if (*descriptor < 0)
		return;
	setsockopt(*descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(*descriptor);
	*descriptor = -1;
}

static socklen_t fill_address(struct sockaddr_storage *storage, enum width family, struct value address, uint16_t port)
{
	*storage = (struct sockaddr_storage){0};
	if (family == WIDTH_IPV4) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)storage;

		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		value_to_bytes(family, address, &v4->sin_addr);
		return sizeof(*v4);
	}
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)storage;

	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	value_to_bytes(family, address, &v6->sin6_addr);
	return sizeof(*v6);
}

static void serve_everywhere(void)
{
	for (unsigned int place = 0; place < place_count; place++) {
		enter(place);
		for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
			struct sockaddr_storage any;
			socklen_t length = fill_address(&any, WIDTH_IPV6, value_zero(), ports[i]);
			int no = 0;
			int descriptor = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

			setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
			if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&any, length) < 0 ||
				listen(descriptor, 1024) < 0)
				die("cannot listen on port %u in %s: %m", ports[i], places[place].name);
			watch(descriptor, WATCH_LISTENER, 0, EPOLLIN);
		}
	}
	enter(PLACE_HOST);
}

static void client_start(struct connection *c)
{
	const struct journey *journey = &c->trial.journey;
	struct sockaddr_storage source, target;
	socklen_t length;
	int yes = 1;

	enter(c->trial.from);
	c->client = socket(
		journey->family == WIDTH_IPV4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->client < 0)
		die("socket: %m");
	setsockopt(c->client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	length = fill_address(&source, journey->family, journey->source, 0);
	if (bind(c->client, (struct sockaddr *)&source, length) < 0)
		die("bind: %m");
	if (getsockname(c->client, (struct sockaddr *)&source, &length) < 0)
		die("getsockname: %m");
	/* sin_port and sin6_port stand at the same place. */
	c->source_port = ntohs(((struct sockaddr_in *)&source)->sin_port);
	length = fill_address(&target, journey->family, journey->destination, journey->port);
	if (connect(c->client, (struct sockaddr *)&target, length) < 0 && errno != EINPROGRESS) {
		/* By lo the answer may be there before connect() returns. */
		if (errno != ECONNREFUSED)
			die("connect: %m");
		c->refused = true;
	}
	watch(c->client, WATCH_CLIENT, (size_t)(c - connections), EPOLLOUT | EPOLLET);
}

static void client_speak(struct connection *c)
{
	const struct journey *journey = &c->trial.journey;

	if (c->spoken || !c->connected || !journey->length)
		return;
	c->spoken = true;
	if (send(c->client, journey->data, journey->length, MSG_NOSIGNAL) != (ssize_t)journey->length &&
		errno != EPIPE && errno != ECONNRESET)
		die("send: %m");
}

static void client_event(struct connection *c, bool speak)
{
	socklen_t length = sizeof(int);
	int error = 0;

	if (c->client < 0 || getsockopt(c->client, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return;
	if (error) {
		c->refused = true;
		return;
	}
	if (!c->refused)
		c->connected = true;
	if (speak)
		client_speak(c);
}

static struct value peer_value(const struct sockaddr_in6 *peer, enum width *family)
{
	if (IN6_IS_ADDR_V4MAPPED(&peer->sin6_addr)) {
		*family = WIDTH_IPV4;
		return value_from_bytes(WIDTH_IPV4, &peer->sin6_addr.s6_addr[12]);
	}
	*family = WIDTH_IPV6;
	return value_from_bytes(WIDTH_IPV6, &peer->sin6_addr);
}

/* Whose connection the server has: nobody translates sources here. */
static struct connection *find_peer(const struct sockaddr_in6 *peer)
{
	enum width family;
	struct value address = peer_value(peer, &family);

	for (size_t i = 0; i < connection_count; i++)
		if (connections[i].source_port == ntohs(peer->sin6_port) &&
			connections[i].trial.journey.family == family &&
			value_compare(connections[i].trial.journey.source, address) == 0)
			return &connections[i];
	return NULL;
}

static void listener_event(int listener)
{
	struct sockaddr_in6 peer;
	socklen_t length = sizeof(peer);
	int descriptor;

	while ((descriptor = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct connection *c = find_peer(&peer);

		length = sizeof(peer);
		if (!c || c->server >= 0) { /* of the policy before */
			close_at_once(&descriptor);
			continue;
		}
		c->server = descriptor;
		watch(descriptor, WATCH_SERVER, (size_t)(c - connections), EPOLLIN);
	}
}

static void server_event(struct connection *c)
{
	uint8_t buffer[DATA_SIZE];
	ssize_t got;

	if (c->server < 0)
		return;
	got = recv(c->server, buffer, sizeof(buffer), 0);
	if (got > 0) {
		if (c->heard + (size_t)got > c->trial.journey.length ||
			memcmp(buffer, c->trial.data + c->heard, (size_t)got) != 0)
			c->wrong_data = true;
		c->heard += (size_t)got;
	} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		c->cut = true;
		close_at_once(&c->server);
	}
}

static bool has_arrived(const struct connection *c)
{
	return c->server >= 0 && c->heard == c->trial.journey.length;
}

static void take_events(int timeout, bool speak)
{
	struct epoll_event events[256];
	int count = epoll_wait(poller, events, ARRAY_SIZE(events), timeout);

	for (int i = 0; i < count; i++) {
		size_t index = events[i].data.u64 >> 32 & 0xffffff;

		switch ((enum watcher)(events[i].data.u64 >> 56)) {
		case WATCH_LISTENER:
			listener_event((int)(uint32_t)events[i].data.u64);
			break;
		case WATCH_CLIENT:
			client_event(&connections[index], speak);
			break;
		case WATCH_SERVER:
			server_event(&connections[index]);
			break;
		}
	}
}

/* Until `enough` of each connection; and at least `least` milliseconds. */
static void take_events_until(bool (*enough)(const struct connection *c), int64_t least, bool speak)
{
	int64_t begin = now_ms();

	for (;;) {
		size_t missing = 0;
		int64_t spent = now_ms() - begin;

		for (size_t i = 0; i < connection_count; i++)
			missing += !enough(&connections[i]);
		if ((!missing && spent >= least) || spent > PATIENCE_MS)
			return;
		take_events(missing ? 20 : (int)(least - spent), speak);
	}
}

/* Where the sysctl net.bridge.bridge-nf-call-iptables is 1, nf_send_reset() answers who stands behind a bridge at once,
 * by the bridge, and address translation does not see the answer: who connects by a translated address does not know
 * it. */
static bool is_lost(const struct connection *c)
{
	return c->trial.from == PLACE_CONTAINER &&
	       (c->trial.journey.way == WAY_PUBLISHED || c->trial.journey.way == WAY_REDIRECTED);
}

static bool as_expected(const struct connection *c)
{
	return c->expected.decision == DECISION_ALLOW ? has_arrived(c)
						      : c->expected.ending != ENDING_RESET || c->refused;
}

static bool is_connected(const struct connection *c)
{
	return c->connected && c->server >= 0;
}

/* --- comparing --- */

static struct {
	size_t policies, connections, disagreements;
	size_t reasons[REASON_COUNT];
	size_t endings[ENDING_UNKNOWN + 1];
	size_t ways[WAY_ROUTED + 1];
	size_t families[WIDTH_IPV6 + 1];
	size_t local, early, limited, silent, counted, late;
} total;

static const char *seen_text(const struct connection *c)
{
	if (c->wrong_data)
		return "other data arrived than was sent";
	if (has_arrived(c))
		return "arrived";
	if (c->cut)
		return "the server was cut";
	if (c->server >= 0)
		return c->heard	    ? "a part arrived"
		       : c->refused ? "connected, and the client got a reset"
				    : "connected, and nothing arrived";
	if (c->refused)
		return "the client got a reset";
	return c->connected ? "connected on the client's side only" : "nothing came back";
}

static bool agrees(const struct connection *c)
{
	if (c->wrong_data)
		return false;
	switch (c->expected.ending) {
	case ENDING_PASSES:
		return has_arrived(c);
	case ENDING_DROPPED: /* the connection may stand; what was dropped does not arrive */
		if (c->expected.moment == MOMENT_SYN)
			return !c->connected && !c->refused && c->server < 0;
		return !c->heard && !c->cut;
	case ENDING_RESET:
		return !c->heard && (c->server < 0 || c->trial.journey.established) && (c->refused || is_lost(c));
	case ENDING_TORN_DOWN:
		return c->cut && !c->heard;
	case ENDING_UNKNOWN:
		return false;
	}
	abort();
}

static void show_journey(const struct journey *journey)
{
	char source[INTERVAL_TEXT], destination[INTERVAL_TEXT], to[INTERVAL_TEXT];
	static const char *const ways[] = {[WAY_HERE] = "",
		[WAY_REDIRECTED] = " redirected to ",
		[WAY_PUBLISHED] = " published to ",
		[WAY_ROUTED] = " routed"};

	printf("%s%s to %s port %u%s", journey->local ? "this host, " : "",
		value_format(journey->family, journey->source, source),
		value_format(journey->family, journey->destination, destination), journey->port, ways[journey->way]);
	if (journey->way == WAY_REDIRECTED || journey->way == WAY_PUBLISHED)
		printf("%s port %u", value_format(journey->family, journey->to, to), journey->to_port);
	printf("%s, %zu bytes:", journey->established ? ", established" : "", journey->length);
	for (size_t i = 0; i < journey->length && i < 8; i++)
		printf(" %02x", journey->data[i]);
}

/* Once for each policy. */
static void show_scenario(const struct scenario *scenario)
{
	static size_t shown = SIZE_MAX;

	if (shown != total.policies)
		printf("--- the policy:\n%.2000s--- and what is translated:\n%s---\n", scenario->policy,
			scenario->rules);
	shown = total.policies;
}

static void show(const struct scenario *scenario, const struct connection *c)
{
	if (total.disagreements > SHOWN)
		return;
	show_scenario(scenario);
	printf("DISAGREE ");
	show_journey(&c->trial.journey);
	printf("\n    evaluator: %s, %s%s%s, at %s; kernel: %s\n", decision_name(c->expected.decision),
		ending_name(c->expected.ending), c->expected.reason ? ", " : "",
		c->expected.reason ? reason_name(c->expected.reason) : "", moment_name(c->expected.moment),
		seen_text(c));
}

static void count(const struct scenario *scenario, const struct connection *c)
{
	const struct journey *journey = &c->trial.journey;

	total.connections++;
	total.reasons[c->expected.reason]++;
	total.endings[c->expected.ending]++;
	total.ways[journey->way]++;
	total.families[journey->family]++;
	total.local += journey->local;
	total.early += journey->established;
	total.limited += scenario->limited;
	total.silent += !journey->length;
}

static void compare(const struct scenario *scenario)
{
	for (size_t i = 0; i < connection_count; i++) {
		count(scenario, &connections[i]);
		if (agrees(&connections[i]))
			continue;
		total.disagreements++;
		show(scenario, &connections[i]);
	}
}

static void read_counters(uint64_t *packets)
{
	struct snapshot snapshot = {0};
	struct nft *nft = NULL;
	struct err err = {0};

	enter(PLACE_HOST);
	if (nft_open(&nft, &err) < 0 || nft_read(nft, &snapshot, &err) < 0)
		die("%s", err.message);
	for (unsigned int i = REASON_NONE + 1; i < REASON_COUNT; i++) {
		_cleanup_free_ char *name = mem_format("refused_%s", reason_name(i));
		const struct counter *counter = ruleset_counter(snapshot.ruleset, name);

		packets[i] = counter ? counter->packets : 0;
	}
	ruleset_free(snapshot.ruleset);
	nft_close(nft);
}

/* Each refused connection counted one packet for its reason, as long as nothing was sent a second time: refused data
 * that is not answered comes again after 200 ms, but is answered then. */
static void compare_counters(const struct scenario *scenario, const uint64_t *before, const uint64_t *after)
{
	uint64_t expected[REASON_COUNT] = {0};

	for (size_t i = 0; i < connection_count; i++) {
		/* What is older than the table sends again and again. */
		if (connections[i].trial.journey.established)
			return;
		expected[connections[i].expected.reason]++;
	}
	total.counted += connection_count;
	for (unsigned int i = REASON_NONE + 1; i < REASON_COUNT; i++) {
		if (after[i] - before[i] == expected[i])
			continue;
		total.disagreements++;
		show_scenario(scenario);
		printf("DISAGREE refused_%s: evaluator %llu, kernel %llu\n", reason_name(i),
			(unsigned long long)expected[i], (unsigned long long)(after[i] - before[i]));
	}
}

/* --- one policy --- */

struct bench {
	const char *dflyguard;
	char *policy_path, *rules_path;
};

static void bench_run(const struct bench *bench, const char *command)
{
	run((const char *const[]){bench->dflyguard, "--quiet", "--policy", bench->policy_path, command, NULL});
}

static int compare_places(const void *a, const void *b)
{
	const struct trial *left = a;
	const struct trial *right = b;

	return (int)left->from - (int)right->from;
}

static void choose_connections(const struct scenario *scenario, size_t number, bool established)
{
	_cleanup_free_ struct trial *trials = mem_zero(number, sizeof(*trials));

	for (size_t i = 0; i < number; i++) {
		do
			random_trial(scenario, &trials[i]);
		while (established && !trials[i].journey.length);
		trials[i].journey.established = established;
	}
	/* Changing the namespace takes time. */
	qsort(trials, number, sizeof(*trials), compare_places);
	for (size_t i = 0; i < number; i++) {
		connections[i] = (struct connection){.trial = trials[i], .client = -1, .server = -1};
		connections[i].trial.journey.data = connections[i].trial.data;
	}
	connection_count = number;
}

static void evaluate_connections(const struct policy *policy)
{
	struct err err = {0};
	struct ruleset *ruleset = ruleset_compile(policy, policy_environment(policy, NULL, &err), 0);
	struct evaluator *evaluator = evaluator_new(ruleset);

	for (size_t i = 0; i < connection_count; i++) {
		struct trace trace = {.silent = true};

		connections[i].expected = evaluate_journey(evaluator, &connections[i].trial.journey, &trace);
		trace_done(&trace);
	}
	evaluator_free(evaluator);
	ruleset_free(ruleset);
}

static void close_connections(void)
{
	for (size_t i = 0; i < connection_count; i++) {
		close_at_once(&connections[i].client);
		close_at_once(&connections[i].server);
	}
}

/* Connections under a policy. */
static void try_new(
	const struct bench *bench, const struct scenario *scenario, const struct policy *policy, size_t number)
{
	uint64_t before[REASON_COUNT], after[REASON_COUNT];
	int64_t begin;

	if (scenario->limited)
		bench_run(bench, "remove");
	bench_run(bench, "apply");
	choose_connections(scenario, number, false);
	evaluate_connections(policy);
	read_counters(before);
	begin = now_ms();
	for (size_t i = 0; i < connection_count; i++)
		client_start(&connections[i]);
	enter(PLACE_HOST);
	take_events_until(as_expected, REFUSAL_MS, true);
	begin = now_ms() - begin;
	read_counters(after);
	/* What the rate dropped comes again after a second, and may pass then: on a slow machine nothing is learnt. */
	if (begin < 900 || !scenario->limited)
		compare(scenario);
	else
		total.late += connection_count;
	close_connections();
	if (begin < 900)
		compare_counters(scenario, before, after);
}

/* Connections that are older than the table. */
static void try_established(
	const struct bench *bench, const struct scenario *scenario, const struct policy *policy, size_t number)
{
	bench_run(bench, "remove");
	choose_connections(scenario, number, true);
	for (size_t i = 0; i < connection_count; i++)
		client_start(&connections[i]);
	enter(PLACE_HOST);
	take_events_until(is_connected, 0, false);
	for (size_t i = 0; i < connection_count; i++)
		if (!is_connected(&connections[i])) {
			show_journey(&connections[i].trial.journey);
			die("a connection cannot be made without a table: %s", seen_text(&connections[i]));
		}
	bench_run(bench, "apply");
	evaluate_connections(policy);
	for (size_t i = 0; i < connection_count; i++)
		client_speak(&connections[i]);
	take_events_until(as_expected, REFUSAL_MS, false);
	compare(scenario);
	close_connections();
}

static void try_policy(const struct bench *bench, size_t number)
{
	struct scenario scenario = {0};
	struct policy *policy = random_policy(&scenario);

	random_translations(&scenario);
	write_file(bench->policy_path, scenario.policy);
	write_file(bench->rules_path, scenario.rules);
	run((const char *const[]){"nft", "-f", bench->rules_path, NULL});
	if (one_in(6))
		try_established(bench, &scenario, policy, number < EARLY ? number : EARLY);
	else
		try_new(bench, &scenario, policy, number);
	total.policies++;
	policy_free(policy);
	scenario_done(&scenario);
}

/* --- all of them --- */

static void add_row(const char *name, size_t number)
{
	if (name && number)
		printf(" %s %zu", name, number);
}

static void show_total(double seconds)
{
	static const char *const ways[] = {[WAY_HERE] = "here",
		[WAY_REDIRECTED] = "redirected",
		[WAY_PUBLISHED] = "published",
		[WAY_ROUTED] = "routed"};

	printf("endings:");
	for (unsigned int i = 0; i < ARRAY_SIZE(total.endings); i++)
		add_row(ending_name(i), total.endings[i]);
	printf("\nreasons:");
	for (unsigned int i = 0; i < REASON_COUNT; i++)
		add_row(reason_name(i), total.reasons[i]);
	printf("\nways:");
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		add_row(ways[i], total.ways[i]);
	printf("\nIPv4 %zu, IPv6 %zu, from this host %zu, older than the table %zu, with limits %zu, silent %zu, "
	       "counted %zu, too late to judge %zu\n",
		total.families[WIDTH_IPV4], total.families[WIDTH_IPV6], total.local, total.early, total.limited,
		total.silent, total.counted, total.late);
	printf("%zu connections under %zu policies in %.1f s (%.0f/s): %zu disagreements\n", total.connections,
		total.policies, seconds, (double)total.connections / seconds, total.disagreements);
}

int main(int argc, char **argv)
{
	struct rlimit files = {4096, 4096};
	cpu_set_t one;
	struct bench bench;
	const char *seed = getenv("DFLYGUARD_TEST_SEED");
	struct timespec now;
	size_t wanted;
	int64_t begin = now_ms();

	if (argc < 4)
		die("usage: differential DFLYGUARD FOLDER CONNECTIONS [KIND-OF-ELSEWHERE]");
	clock_gettime(CLOCK_REALTIME, &now);
	random_state =
		seed && *seed ? strtoull(seed, NULL, 0) : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	printf("seed: DFLYGUARD_TEST_SEED=%llu\n", (unsigned long long)random_state);
	fflush(stdout);
	wanted = strtoul(argv[3], NULL, 10);
	if (argc > 4) {
		elsewhere_kind = *argv[4] ? argv[4] : NULL;
		place_count = PLACE_COUNT;
	}
	bench = (struct bench){argv[1], mem_format("%s/policy.conf", argv[2]), mem_format("%s/other.nft", argv[2])};
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	/* On one processor, packets arrive in the order in which they were sent, so that limits are met in that order.
	 */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	poller = epoll_create1(EPOLL_CLOEXEC);
	open_namespaces();
	serve_everywhere();
	while (total.connections < wanted && total.disagreements < 40)
		try_policy(&bench, wanted - total.connections < PER_POLICY ? wanted - total.connections : PER_POLICY);
	show_total((double)(now_ms() - begin) / 1000);
	for (unsigned int i = REASON_NONE + 1; i < REASON_COUNT; i++)
		if (wanted >= 2000 && !total.reasons[i] && i != REASON_STATE)
			printf("not tried: reason %s\n", reason_name(i));
	free(bench.policy_path);
	free(bench.rules_path);
	return total.disagreements != 0;
}
