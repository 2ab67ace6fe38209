/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What is left to dflyguard-probe after it closed its sandbox, tried in a child for each: what it needs works, what
 * libraries may try is refused, and all else ends the process.
 */

#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inspect/inspect.h"
#include "testing.h"

/* A socket pair and a file, open before. */
static int pair[2], file;

/* Each returns 0 where it succeeded, else errno. */
static long code_of(long result)
{
	return result < 0 ? errno : 0;
}

static long try_read(void)
{
	char byte;

	return code_of(pread(file, &byte, 1, 0));
}

static long try_talk(void)
{
	char byte = 'x';
	struct pollfd ready = {.fd = pair[1], .events = POLLIN};

	return send(pair[0], &byte, 1, MSG_NOSIGNAL) == 1 && poll(&ready, 1, 1000) == 1 &&
			       recv(pair[1], &byte, 1, 0) == 1
		       ? 0
		       : errno;
}

static long try_memory(void)
{
	void *memory = mem_alloc(64u << 20);

	memset(memory, 1, 64u << 20);
	free(memory);
	return 0;
}

static long try_open(void)
{
	return code_of(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static long try_create(void)
{
	return code_of(open("/tmp/dflyguard-test-sandbox", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static long try_socket(void)
{
	return code_of(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static long try_connect(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};

	return code_of(connect(pair[0], (struct sockaddr *)&address, sizeof(address)));
}

static long try_option(void)
{
	int on = 1;

	return code_of(setsockopt(pair[0], SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)));
}

static long try_mprotect(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return code_of(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static long try_executable(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? errno : 0;
}

static long try_fork(void)
{
	return code_of(fork());
}

static long try_exec(void)
{
	char *arguments[] = {(char *)(uintptr_t) "/bin/true", NULL};

	return code_of(execv("/bin/true", arguments));
}

static long try_ptrace(void)
{
	return code_of(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static long try_kill(void)
{
	return code_of(kill(getppid(), 0));
}

static long try_kill_self(void)
{
	return code_of(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1));
}

static long try_setuid(void)
{
	return code_of(setuid(0));
}

static long try_prctl(void)
{
	return code_of(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static long try_unlink(void)
{
	return code_of(unlink("/tmp/dflyguard-test-sandbox"));
}

static long try_unshare(void)
{
	return code_of(syscall(SYS_unshare, 0));
}

static long try_dup(void)
{
	return code_of(dup(file));
}

static long try_bind(void)
{
	return code_of(listen(pair[0], 1));
}

static long try_pass(void)
{
	struct msghdr message = {0};

	return code_of(sendmsg(pair[0], &message, 0));
}

static long try_abort(void)
{
	abort();
}

static const struct {
	const char *name;
	long (*attempt)(void);
	int status; /* the errno value, or the negative number of the signal that ends it */
} rows[] = {
	{"reading", try_read, 0},
	{"talking", try_talk, 0},
	{"memory", try_memory, 0},
	{"open", try_open, EPERM},
	{"create", try_create, EPERM},
	{"socket", try_socket, EPERM},
	{"connect", try_connect, EPERM},
	{"setsockopt", try_option, EPERM},
	{"mprotect", try_mprotect, EPERM},
	{"executable memory", try_executable, -SIGSYS},
	{"fork", try_fork, -SIGSYS},
	{"exec", try_exec, -SIGSYS},
	{"ptrace", try_ptrace, -SIGSYS},
	{"kill", try_kill, -SIGSYS},
	{"tgkill", try_kill_self, -SIGSYS},
	{"setuid", try_setuid, -SIGSYS},
	{"prctl", try_prctl, -SIGSYS},
	{"unlink", try_unlink, -SIGSYS},
	{"unshare", try_unshare, -SIGSYS},
	{"dup", try_dup, -SIGSYS},
	{"listen", try_bind, -SIGSYS},
	{"sendmsg", try_pass, -SIGSYS},
	{"abort", try_abort, -SIGABRT},
};

static int try_inside(long (*attempt)(void), bool *ret_can)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (!sandbox_enter(65534, 65534) || !sandbox_close())
			_exit(255);
		_exit((int)attempt());
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	*ret_can = !WIFEXITED(status) || WEXITSTATUS(status) != 255;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_attempts(void **state _unused_)
{
	bool can;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int seen = try_inside(rows[i].attempt, &can);

		if (!can || seen != rows[i].status)
			fail_msg("%s: %d, expected %d", rows[i].name, seen, rows[i].status);
	}
}

/* Of what it had, also where it began as root. */
static long try_privilege(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 1;
	for (int capability = 0; capability <= 40; capability++)
		if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1)
			return 2;
	return data[0].effective || data[0].permitted || data[1].effective || data[1].permitted ? 3 : 0;
}

static void test_privileges(void **state _unused_)
{
	bool root = geteuid() == 0;
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (!sandbox_enter(65534, 65534))
			_exit(255);
		long left = try_privilege();

		/* Who has no privilege cannot take the bounding set away, and need not. */
		if (left == 2 && !root)
			left = 0;
		_exit((int)left);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attempts),
		cmocka_unit_test(test_privileges),
	};

	file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (file < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
