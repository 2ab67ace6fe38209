/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * listeners: sockets of every kind for listeners.sh, and what the program's own room says of them.
 *
 *   listeners read [networks] [long] PORT...   asks host_read() and prints a line for each thing it was told:
 *                  tcp NETWORK ADDRESS-TEXT [guarded] [wildcard] [dual] [v6only] [unknown:WHY] PID...
 *                  unix NETWORK PATH MODE PID, process PID KIND ..., network NAME [WHY], address, read NAME WHY
 *                  `long` prints what is known of each process, too.
 *   listeners hold WORD...   opens what the words ask for, prints "ready" and waits until standard input ends:
 *                  4:ADDRESS:PORT  6:ADDRESS:PORT  6only:ADDRESS:PORT  device:NAME:PORT  unix:MODE:PATH  abstract:NAME
 *                  name:COMM (prctl)  fork (a child that holds all of it, too)  network (a namespace of its own)
 *                  close (before the end: only the child goes on)
 *   listeners crowd PROCESSES SOCKETS   so many processes, and so many listening sockets on 127.0.0.0/8; then as hold
 *   listeners churn PORT   processes that listen on 127.0.0.1:PORT and end at once, one after the other; then as hold
 */

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "listeners.h"

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "listeners: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- read ---- */

static void print_known(const char *name, const struct known *known)
{
	if (known->unknown)
		printf(" %s=unknown:%s", name, known->unknown);
	else if (known->text)
		printf(" %s=%s", name, known->text);
}

static void print_read(const char *name, const struct known *known)
{
	if (known->unknown)
		printf("read %s %s\n", name, known->unknown);
}

static void print_process(const struct host *host, const struct process *process, bool verbose)
{
	printf("process %" PRIu32 " %s", process->pid, server_kind_name(process->kind));
	if (process->network != LISTENERS_NO_INDEX)
		printf(" in=%s", host->networks[process->network].name);
	print_known("command", &process->command);
	print_known("executable", &process->executable);
	if (!verbose) {
		printf("\n");
		return;
	}
	print_known("user", &process->user);
	print_known("unit", &process->unit);
	print_known("container", &process->container);
	print_known("directory", &process->directory);
	if (process->arguments_unknown)
		printf(" arguments=unknown:%s", process->arguments_unknown);
	for (size_t i = 0; i < process->argument_count; i++)
		printf(" [%.40s]", process->arguments[i]);
	if (process->environment_unknown)
		printf(" environment=unknown:%s", process->environment_unknown);
	for (size_t i = 0; i < process->environment_count; i++)
		printf(" {%.40s}", process->environment[i]);
	printf("\n");
}

static void print_listener(const struct host *host, const struct listener *listener)
{
	struct text text = {0};

	listener_text(listener, &text);
	printf("tcp %s %s%s%s%s%s", host->networks[listener->network].name, text_string(&text),
		listener->guarded ? " guarded" : "", listener_is_wildcard(listener) ? " wildcard" : "",
		listener_is_dual(listener) ? " dual" : "",
		listener->v6_only_known && listener->v6_only ? " v6only" : "");
	text_done(&text);
	if (listener->process_unknown)
		printf(" unknown:%s", listener->process_unknown);
	for (size_t i = 0; i < listener->process_count; i++)
		printf(" %" PRIu32, host->processes[listener->processes[i]].pid);
	printf("\n");
}

static int read_host(int count, char **words)
{
	struct host_question question = {0};
	bool verbose = false;
	struct timespec before, after;
	struct rusage usage;
	struct host *host;

	for (int i = 0; i < count; i++) {
		if (strcmp(words[i], "networks") == 0)
			question.networks = true;
		else if (strcmp(words[i], "long") == 0)
			verbose = true;
		else if (question.port_count < ARRAY_SIZE(question.ports))
			question.ports[question.port_count++] = (uint16_t)atoi(words[i]);
	}
	clock_gettime(CLOCK_MONOTONIC, &before);
	host_read(&question, &host);
	clock_gettime(CLOCK_MONOTONIC, &after);
	getrusage(RUSAGE_SELF, &usage);

	for (size_t i = 0; i < host->network_count; i++) {
		const struct network_namespace *network = &host->networks[i];

		printf("network %s%s%s%s\n", network->name, network->host ? " (host)" : "",
			network->read.unknown ? " unknown:" : "", network->read.unknown ? network->read.unknown : "");
	}
	for (size_t i = 0; i < host->listener_count; i++)
		print_listener(host, &host->listeners[i]);
	for (size_t i = 0; i < host->unix_count; i++) {
		const struct unix_listener *listener = &host->unix_listeners[i];

		printf("unix %s %s ", host->networks[listener->network].name, listener->path);
		if (listener->mode_unknown)
			printf("unknown:%s", listener->mode_unknown);
		else
			printf("%04o uid=%" PRIu32 " gid=%" PRIu32, listener->mode, listener->uid, listener->gid);
		printf(" %" PRIu32 "\n", host->processes[listener->process].pid);
	}
	for (size_t i = 0; i < host->process_count; i++)
		print_process(host, &host->processes[i], verbose);
	for (size_t i = 0; i < host->address_count; i++) {
		char buffer[INTERVAL_TEXT];

		printf("address %s %s\n", host->addresses[i].interface,
			value_format(host->addresses[i].width, host->addresses[i].address, buffer));
	}
	print_read("listeners", &host->listeners_read);
	print_read("unix", &host->unix_read);
	print_read("processes", &host->processes_read);
	print_read("networks", &host->networks_read);
	print_read("addresses", &host->addresses_read);
	if (host->truncated)
		printf("truncated\n");
	fprintf(stderr, "read in %.0f ms, %ld MiB\n",
		(double)(after.tv_sec - before.tv_sec) * 1e3 + (double)(after.tv_nsec - before.tv_nsec) / 1e6,
		usage.ru_maxrss / 1024);
	host_free(host);
	return 0;
}

/* ---- hold ---- */

static void listen_on(int family, const char *address, uint16_t port, const char *device, int v6_only)
{
	int on = 1;
	int descriptor = socket(family, SOCK_STREAM, 0);
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr *name = family == AF_INET ? (struct sockaddr *)&in : (struct sockaddr *)&in6;
	socklen_t size = family == AF_INET ? sizeof(in) : sizeof(in6);

	if (inet_pton(family, address, family == AF_INET ? (void *)&in.sin_addr : (void *)&in6.sin6_addr) != 1)
		die(address);
	setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* So that a wildcard and an address may have the same port. */
	setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (family == AF_INET6 && setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only)) < 0)
		die("IPV6_V6ONLY");
	if (device && setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) < 0)
		die("SO_BINDTODEVICE");
	if (bind(descriptor, name, size) < 0 || listen(descriptor, 16) < 0)
		die(address);
}

static void listen_unix(const char *path, bool abstract, mode_t mode)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t length = strlen(path);

	memcpy(name.sun_path + abstract, path, length);
	if (bind(descriptor, (struct sockaddr *)&name,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1)) < 0 ||
		listen(descriptor, 16) < 0 || (!abstract && chmod(path, mode) < 0))
		die(path);
}

static void wait_for_end(void)
{
	char byte;

	printf("ready\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

static bool begins(const char *word, const char *prefix)
{
	return strncmp(word, prefix, strlen(prefix)) == 0;
}

static int hold(int count, char **words)
{
	for (int i = 0; i < count; i++) {
		char *colon = strchr(words[i], ':');
		char *rest = colon ? colon + 1 : NULL;
		char *last = rest ? strrchr(rest, ':') : NULL;
		uint16_t port = last ? (uint16_t)atoi(last + 1) : 0;
		_cleanup_free_ char *address = last ? mem_stringn(rest, (size_t)(last - rest)) : NULL;

		if (begins(words[i], "4:"))
			listen_on(AF_INET, address, port, NULL, 0);
		else if (begins(words[i], "6:"))
			listen_on(AF_INET6, address, port, NULL, 0);
		else if (begins(words[i], "6only:"))
			listen_on(AF_INET6, address, port, NULL, 1);
		else if (begins(words[i], "device:"))
			listen_on(AF_INET, "0.0.0.0", port, address, 0);
		else if (begins(words[i], "unix:"))
			listen_unix(strchr(rest, ':') + 1, false, (mode_t)strtoul(rest, NULL, 8));
		else if (begins(words[i], "abstract:"))
			listen_unix(rest, true, 0);
		else if (begins(words[i], "name:"))
			prctl(PR_SET_NAME, rest);
		else if (strcmp(words[i], "network") == 0) {
			if (unshare(CLONE_NEWNET) < 0)
				die("unshare");
		} else if (strcmp(words[i], "fork") == 0) {
			pid_t child = fork();

			if (child == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				for (;;)
					pause();
			}
			printf("child %d\n", child);
		} else {
			errno = EINVAL;
			die(words[i]);
		}
	}
	wait_for_end();
	return 0;
}

/* ---- crowd and churn ---- */

static int sleep_for_ever(void *data)
{
	(void)data;
	for (;;)
		pause();
	return 0;
}

/* Children that share our memory, so that thousands cost little; not our descriptors, which are copied. */
static void crowd_processes(unsigned int count)
{
	/* They all sleep in the same place, and none returns. */
	static char stack[64 * 1024] __attribute__((aligned(16)));

	for (unsigned int i = 0; i < count; i++)
		if (clone(sleep_for_ever, stack + sizeof(stack), CLONE_VM, NULL) < 0)
			die("clone");
}

static int crowd(unsigned int processes, unsigned int sockets)
{
	struct rlimit limit = {sockets + 64, sockets + 64};
	unsigned int made = 0;

	/* Signals go to all of them when we end. */
	if (setpgid(0, 0) < 0)
		die("setpgid");
	crowd_processes(processes);
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("RLIMIT_NOFILE");
	for (unsigned int address = 1; made < sockets; address++) {
		char text[32];

		snprintf(text, sizeof(text), "127.1.%u.%u", address >> 8, address & 255);
		for (uint16_t port = 20000; port < 21000 && made < sockets; port++, made++)
			listen_on(AF_INET, text, port, NULL, 0);
	}
	wait_for_end();
	signal(SIGTERM, SIG_IGN);
	kill(0, SIGKILL);
	return 0;
}

static int churn(uint16_t port)
{
	pid_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, "dragonfly");
		for (;;) {
			pid_t grandchild = fork();

			if (grandchild == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				listen_on(AF_INET, "127.0.0.1", port, NULL, 0);
				_exit(0);
			}
			waitpid(grandchild, NULL, 0);
		}
	}
	wait_for_end();
	kill(child, SIGKILL);
	return 0;
}

int main(int count, char **words)
{
	if (count > 2 && strcmp(words[1], "read") == 0)
		return read_host(count - 2, words + 2);
	if (count > 2 && strcmp(words[1], "hold") == 0)
		return hold(count - 2, words + 2);
	if (count == 4 && strcmp(words[1], "crowd") == 0)
		return crowd((unsigned int)atoi(words[2]), (unsigned int)atoi(words[3]));
	if (count == 3 && strcmp(words[1], "churn") == 0)
		return churn((uint16_t)atoi(words[2]));
	fprintf(stderr, "usage: see listeners.c\n");
	return 2;
}
