/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* What a packet pays: a server and its clients in two namespaces, one processor each, a ruleset between them. */

#define RULESET WORK_FILE("packet.nft")
#define TARGET	0.93 /* DESIGN.md section 8: of connections and of GETs, with 1,000 networks */

enum ruleset_kind {
	RULESET_NONE,
	RULESET_PORT,	/* one port match: the least that any firewall does */
	RULESET_GUARD,	/* dflyguard's, plaintext port open to the sources */
	RULESET_GATE,	/* dflyguard's, TLS required: the first bytes of each connection are judged */
	RULESET_LINEAR, /* one rule for each source */
};

/* To compare another ruleset, add a line. The first two of those by TLS, and of those without, are what the others are
 * compared with. By TLS each connection is a whole handshake and one PING. */
static const struct packet_case {
	const char *name;
	enum ruleset_kind kind;
	size_t networks;
	double target;
	bool tls;
} cases[] = {
	{"none", RULESET_NONE, 0, 0, false},
	{"none, once more (shows the noise)", RULESET_NONE, 0, 0, false},
	{"port match only", RULESET_PORT, 0, 0, false},
	{"dflyguard, 10 networks", RULESET_GUARD, 10, 0, false},
	{"dflyguard, 1,000 networks", RULESET_GUARD, 1000, TARGET, false},
	{"dflyguard, 100,000 networks", RULESET_GUARD, 100000, 0, false},
	{"nft, 1,000 rules after ct established", RULESET_LINEAR, 1000, 0, false},
	{"TLS: none", RULESET_NONE, 0, 0, true},
	{"TLS: none, once more", RULESET_NONE, 0, 0, true},
	{"TLS: dflyguard, 1,000 networks, gate", RULESET_GATE, 1000, TARGET, true},
};

struct connect_figures {
	double per_second, median, slow;
	int error; /* errno of the connection that failed, or 0 */
	unsigned int made;
};

struct load {
	unsigned int connections, tls_connections, gets, gets_pipelined;
};

static pid_t server;

static bool pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

/* One connection as a health check makes it: connect, PING, the answer, and a reset, so that no TIME_WAIT remains. */
static int connect_once(const struct sockaddr_in *from, const struct sockaddr_in *to, double patience, double *seconds)
{
	struct timeval limit = {.tv_sec = (time_t)patience, .tv_usec = (suseconds_t)(fmod(patience, 1) * 1e6)};
	struct linger reset = {.l_onoff = 1, .l_linger = 0};
	_cleanup_close_ int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	double before = now();
	char answer[16];
	ssize_t got;

	if (descriptor < 0 || (from && bind(descriptor, (const struct sockaddr *)from, sizeof(*from))))
		return errno;
	setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (connect(descriptor, (const struct sockaddr *)to, sizeof(*to)))
		return errno == EINPROGRESS || errno == EAGAIN ? ETIMEDOUT : errno;
	*seconds = now() - before;
	if (send(descriptor, "PING\r\n", 6, MSG_NOSIGNAL) != 6)
		return errno;
	got = recv(descriptor, answer, sizeof(answer), 0);
	if (got < 0)
		return errno == EAGAIN ? ETIMEDOUT : errno;
	return got > 0 && answer[0] == '+' ? 0 : EPROTO;
}

static struct sockaddr_in endpoint(const char *address, uint16_t port)
{
	struct sockaddr_in endpoint = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, address, &endpoint.sin_addr);
	return endpoint;
}

static struct connect_figures measure_connections(unsigned int wanted)
{
	struct sockaddr_in to = endpoint(SERVER_ADDRESS, SERVER_PORT);
	struct connect_figures figures = {0};
	struct series times = {0};
	double before = now();

	while (figures.made < wanted && figures.error == 0) {
		double seconds = 0;

		figures.error = connect_once(NULL, &to, 2, &seconds);
		if (figures.error)
			break;
		series_add(&times, seconds);
		figures.made++;
	}
	figures.per_second = figures.made / (now() - before);
	figures.median = series_median(&times);
	figures.slow = series_quantile(&times, 0.99);
	free(times.values);
	return figures;
}

/* Connects in a process of its own, pinned to the client's processor and in the client's namespace. With `stranger`,
 * one connection only, from an address that no ruleset lets in. */
static struct connect_figures connect_as_client(unsigned int wanted, bool stranger)
{
	struct connect_figures figures = {.error = EIO};
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) || (child = fork()) < 0)
		fail("cannot start a client: %s", strerror(errno));
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sandbox_join(SPACE_CLIENT);
		pin_to(CPU_CLIENT);
		if (stranger) {
			struct sockaddr_in from = endpoint(STRANGER_ADDRESS, 0);
			struct sockaddr_in to = endpoint(STRANGER_SERVER, SERVER_PORT);
			double seconds;

			figures.error = connect_once(&from, &to, 0.3, &seconds);
		} else {
			figures = measure_connections(wanted);
		}
		_exit(write(ends[1], &figures, sizeof(figures)) != sizeof(figures));
	}
	close(ends[1]);
	if (read(ends[0], &figures, sizeof(figures)) != sizeof(figures))
		figures.error = EIO;
	close(ends[0]);
	waitpid(child, NULL, 0);
	return figures;
}

static void stop_server(void)
{
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
		server = 0;
	}
}

/* A certificate for the TLS port, which the clients here do not check. */
static void make_certificate(const struct tools *tools)
{
	const char *const argv[] = {tools->openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt",
		"ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=bench", "-keyout",
		WORK_FILE("server.key"), "-out", WORK_FILE("server.crt"), NULL};

	run_or_fail(SPACE_SERVER, argv, NULL);
}

static void start_server(const struct tools *tools)
{
	static const char link[] = WORK_FILE("redis-server");
	double deadline = now() + 10;
	int error = ECONNREFUSED;

	/* Debian's redis-check-rdb is the server under another name; it asks the path that it was started by. */
	make_certificate(tools);
	if (access(link, F_OK) && symlink(tools->redis_server, link))
		fail("%s: %s", link, strerror(errno));
	server = fork();
	if (server < 0)
		fail("fork: %s", strerror(errno));
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sandbox_join(SPACE_SERVER);
		pin_to(CPU_SERVER);
		if (!freopen("/dev/null", "w", stdout) || chdir(WORK_DIRECTORY))
			_exit(126);
		execl(link, tools->redis_name, "--port", "6379", "--tls-port", "6380", "--tls-cert-file",
			WORK_FILE("server.crt"), "--tls-key-file", WORK_FILE("server.key"), "--tls-auth-clients", "no",
			"--save", "", "--appendonly", "no", "--protected-mode", "no", "--logfile",
			WORK_FILE("redis.log"), (char *)NULL);
		_exit(127);
	}
	while (error && now() < deadline) {
		error = connect_as_client(1, false).error;
		if (error && waitpid(server, NULL, WNOHANG) == server) {
			server = 0;
			break;
		}
		if (error)
			usleep(20000);
	}
	if (error) {
		_cleanup_free_ char *log = read_file(WORK_FILE("redis.log"));

		fail("redis-server does not answer (%s):\n%s", strerror(error), log ? log : "no log");
	}
}

/* One run of redis-benchmark: requests per second; NAN if it failed. `again`: each request on a connection of its own.
 */
static double measure_requests(const struct tools *tools, const char *test, const char *shown, unsigned int requests,
	unsigned int clients, unsigned int pipeline, bool tls, bool again, char **failure)
{
	_cleanup_free_ char *count = mem_format("%u", requests), *depth = mem_format("%u", pipeline),
			    *parallel = mem_format("%u", clients), *port = NULL, *text = NULL, *begin = NULL;
	const char *argv[24] = {tools->redis_benchmark, "-h", SERVER_ADDRESS, "-t", test, "-c", parallel, "-n", count,
		"-P", depth, "--csv", "-p"};
	size_t next = 13;
	struct reading reading;
	const char *line;
	double rate = NAN;

	port = mem_format("%d", tls ? SERVER_TLS_PORT : SERVER_PORT);
	argv[next++] = port;
	if (tls) {
		argv[next++] = "--tls";
		argv[next++] = "--insecure";
	}
	if (again) {
		argv[next++] = "-k";
		argv[next++] = "0";
	}
	reading = run(SPACE_CLIENT, CPU_CLIENT, argv, WORK_FILE("redis-benchmark"));
	text = read_file(WORK_FILE("redis-benchmark"));
	begin = mem_format("\"%s\",\"", shown);
	line = text ? strstr(text, begin) : NULL;
	if (reading.status != 0 || !line || sscanf(line + strlen(begin), "%lf\"", &rate) != 1) {
		*failure = run_complaint(&reading);
		return NAN;
	}
	return rate;
}

static double measure_gets(
	const struct tools *tools, unsigned int requests, unsigned int pipeline, bool tls, char **failure)
{
	return measure_requests(tools, "get", "GET", requests, 50, pipeline, tls, false, failure);
}

static void ruleset_path(char *path, size_t size, size_t index)
{
	snprintf(path, size, WORK_FILE("packet-%zu"), index);
}

static void write_case(const struct packet_case *packet_case, size_t index)
{
	struct sources sources = sources_make(packet_case->networks);
	char path[64];

	ruleset_path(path, sizeof(path), index);
	switch (packet_case->kind) {
	case RULESET_NONE:
		break;
	case RULESET_PORT:
		write_port_ruleset(path);
		break;
	case RULESET_GUARD:
		write_policy(path, &sources, POLICY_PLAIN, CHANGE_NONE);
		break;
	case RULESET_GATE:
		write_policy(path, &sources, POLICY_GATE, CHANGE_NONE);
		break;
	case RULESET_LINEAR:
		write_linear_ruleset(path, &sources);
		break;
	}
	sources_done(&sources);
}

static bool is_ours(const struct packet_case *packet_case)
{
	return packet_case->kind == RULESET_GUARD || packet_case->kind == RULESET_GATE;
}

/* Puts a case in force; false with *failure if that did not work. */
static bool load_case(const struct tools *tools, const struct packet_case *packet_case, size_t index, char **failure)
{
	char path[64];
	const char *const load[] = {tools->nft, "-f", path, NULL};
	const char *const apply[] = {tools->dflyguard, "--policy", path, "apply", NULL};
	struct reading reading;

	if (packet_case->kind == RULESET_NONE)
		return true;
	ruleset_path(path, sizeof(path), index);
	reading = run(SPACE_SERVER, CPU_ANY, is_ours(packet_case) ? apply : load, NULL);
	if (reading.status == 0)
		return true;
	*failure = run_complaint(&reading);
	return false;
}

static void unload_case(const struct tools *tools, const struct packet_case *packet_case)
{
	const char *const delete[] = {tools->nft, "delete", "table", "inet", TABLE, NULL};

	if (packet_case->kind != RULESET_NONE)
		run_or_fail(SPACE_SERVER, delete, NULL);
}

/* All figures of one case in one round. */
static void measure_case(const struct tools *tools, const struct load *load, size_t index, bool first_round,
	struct packet_result *result)
{
	const struct packet_case *packet_case = &cases[index];
	bool guards = is_ours(packet_case) || packet_case->kind == RULESET_LINEAR;
	struct connect_figures figures = {0};
	double gets, gets_pipelined;

	if (!load_case(tools, packet_case, index, &result->failure))
		return;
	/* A ruleset that lets everybody in is quick, and not what is to be measured. */
	if (first_round && (connect_as_client(1, true).error == 0) == guards) {
		result->failure = mem_string(guards ? "it lets in an address that is not in its list"
						    : "an address that nothing keeps out cannot connect");
		goto out;
	}
	if (packet_case->tls)
		figures.per_second = measure_requests(
			tools, "ping_inline", "PING_INLINE", load->tls_connections, 1, 1, true, true, &result->failure);
	else
		figures = connect_as_client(load->connections, false);
	if (figures.error) {
		result->failure = mem_format("connection %u: %s", figures.made + 1, strerror(figures.error));
		goto out;
	}
	gets = measure_gets(tools, load->gets, 1, packet_case->tls, &result->failure);
	gets_pipelined = measure_gets(tools, load->gets_pipelined, 16, packet_case->tls, &result->failure);
	if (result->failure)
		goto out;
	series_add(&result->connections, figures.per_second);
	if (!packet_case->tls) {
		series_add(&result->connect_median, figures.median);
		series_add(&result->connect_slow, figures.slow);
	}
	series_add(&result->gets, gets);
	series_add(&result->gets_pipelined, gets_pipelined);
out:
	unload_case(tools, packet_case);
}

/* To the mean of the two measurements without a ruleset in the same round. */
static void add_ratio(struct series *ratios, const struct series *values, const struct series *first,
	const struct series *second, size_t round)
{
	if (values->count > round && first->count > round && second->count > round)
		series_add(ratios, 2 * values->values[round] / (first->values[round] + second->values[round]));
}

void bench_packet(const struct options *options, const struct tools *tools, struct results *results)
{
	unsigned int rounds = options->rounds ? options->rounds : options->quick ? 3 : 9;
	const struct load full = {6000, 1500, 50000, 300000}, small = {2000, 500, 20000, 100000};
	const struct load *load = options->quick ? &small : &full;
	double budget = options->quick ? BUDGET_PACKET_QUICK : BUDGET_PACKET, begin;
	size_t order[ARRAY_SIZE(cases)];
	uint64_t random = SEED;

	progress("packet path: network and server");
	sandbox_connect(tools);
	start_server(tools);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ARRAY_GROW(results->packets, results->packet_count, results->packet_capacity);
		results->packets[results->packet_count++] =
			(struct packet_result){.name = cases[i].name, .target = cases[i].target};
		write_case(&cases[i], i);
	}
	/* The server's first thousand connections pay for its memory: nobody's figure. */
	connect_as_client(1000, false);

	begin = now();
	for (unsigned int round = 0; round < rounds; round++) {
		if (!options->rounds && round >= ROUNDS_LEAST && now() - begin > budget)
			break;
		random_order(&random, order, ARRAY_SIZE(cases));
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			struct packet_result *result = &results->packets[order[i]];

			progress("packet path: round %u of %u, %s", round + 1, rounds, result->name);
			if (!result->failure)
				measure_case(tools, load, order[i], round == 0, result);
		}
		results->packet_rounds++;
	}
	stop_server();

	for (size_t i = 0; i < results->packet_count; i++) {
		struct packet_result *result = &results->packets[i];
		size_t first = 0;

		while (cases[first].tls != cases[i].tls)
			first++;
		const struct packet_result *none = &results->packets[first], *again = &results->packets[first + 1];

		for (size_t round = 0; round < results->packet_rounds; round++) {
			add_ratio(&result->connections_ratio, &result->connections, &none->connections,
				&again->connections, round);
			add_ratio(&result->gets_ratio, &result->gets, &none->gets, &again->gets, round);
			add_ratio(&result->gets_pipelined_ratio, &result->gets_pipelined, &none->gets_pipelined,
				&again->gets_pipelined, round);
		}
	}
}
