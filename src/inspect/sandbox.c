/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What dflyguard-probe gives away before it reads its first byte. */

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "inspect.h"

static bool has_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &header, data) < 0)
		return true;
	return data[0].effective | data[0].permitted | data[0].inheritable | data[1].effective | data[1].permitted |
	       data[1].inheritable;
}

bool sandbox_enter(uint32_t uid, uint32_t gid)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};

	/* Each may fail where that privilege is not there to begin with, or the user is not known in this namespace;
	 * what counts is what is left at the end. */
	for (int capability = 0; capability <= 63; capability++)
		prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0))
		errno = 0;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	syscall(SYS_capset, &header, none);
	if (has_capabilities() || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return false;
	/* Nobody of the same user may look into it, or change it. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	/* Who started it is killed: so is it. A change of user would forget that. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	setrlimit(RLIMIT_NPROC, &(struct rlimit){0});
	return true;
}

bool sandbox_close(void)
{
	static const int allowed[] = {
		SCMP_SYS(read),
		SCMP_SYS(pread64),
		SCMP_SYS(write),
		SCMP_SYS(close),
		SCMP_SYS(lseek),
		SCMP_SYS(fstat),
		SCMP_SYS(poll),
		SCMP_SYS(ppoll),
		SCMP_SYS(recvfrom),
		SCMP_SYS(sendto),
		SCMP_SYS(brk),
		SCMP_SYS(mmap),
		SCMP_SYS(mremap),
		SCMP_SYS(munmap),
		SCMP_SYS(madvise),
		SCMP_SYS(futex),
		SCMP_SYS(getrandom),
		SCMP_SYS(clock_gettime),
		SCMP_SYS(clock_nanosleep),
		SCMP_SYS(nanosleep),
		SCMP_SYS(gettimeofday),
		SCMP_SYS(time),
		SCMP_SYS(getpid),
		SCMP_SYS(gettid),
		SCMP_SYS(getuid),
		SCMP_SYS(geteuid),
		SCMP_SYS(getgid),
		SCMP_SYS(getegid),
		SCMP_SYS(sched_yield),
		SCMP_SYS(restart_syscall),
		SCMP_SYS(rt_sigreturn),
		SCMP_SYS(rt_sigprocmask),
		SCMP_SYS(rt_sigaction),
		SCMP_SYS(sigaltstack),
		SCMP_SYS(exit),
		SCMP_SYS(exit_group),
	};
	/* Libraries try these, and go on without. */
	static const int refused[] = {
		SCMP_SYS(open),
		SCMP_SYS(openat),
		SCMP_SYS(openat2),
		SCMP_SYS(stat),
		SCMP_SYS(lstat),
		SCMP_SYS(newfstatat),
		SCMP_SYS(statx),
		SCMP_SYS(access),
		SCMP_SYS(faccessat),
		SCMP_SYS(faccessat2),
		SCMP_SYS(readlink),
		SCMP_SYS(readlinkat),
		SCMP_SYS(socket),
		SCMP_SYS(connect),
		SCMP_SYS(setsockopt),
		SCMP_SYS(getsockopt),
		SCMP_SYS(getsockname),
		SCMP_SYS(getpeername),
		SCMP_SYS(shutdown),
		SCMP_SYS(fcntl),
		SCMP_SYS(ioctl),
		SCMP_SYS(uname),
		SCMP_SYS(sysinfo),
		SCMP_SYS(prlimit64),
		SCMP_SYS(getrlimit),
		SCMP_SYS(mprotect),
		SCMP_SYS(sched_getaffinity),
	};
	const struct scmp_arg_cmp itself[] = {
		{.arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)getpid()},
		{.arg = 1, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)gettid()},
		{.arg = 2, .op = SCMP_CMP_EQ, .datum_a = SIGABRT},
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	bool good = filter != NULL;

	/* Old memory may become readable and writable, never executable. */
	for (size_t i = 0; good && i < ARRAY_SIZE(allowed); i++)
		if (allowed[i] != SCMP_SYS(mmap))
			good = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0) == 0;
	good = good &&
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0)) == 0;
	for (size_t i = 0; good && i < ARRAY_SIZE(refused); i++)
		good = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0) == 0;
	/* abort(), as where memory runs out, is told from what is forbidden. */
	good = good &&
	       seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), ARRAY_SIZE(itself), itself) == 0;
	good = good && seccomp_load(filter) == 0;
	seccomp_release(filter);
	return good;
}
