/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Paths that must not lead out of a folder: by openat2(2) and step by step it is the same. */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "below.h"
#include "testing.h"

static char folder[] = "/tmp/dflyguard-test-below-XXXXXX";

static void write_file(int root, const char *path)
{
	int descriptor = openat(root, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(descriptor >= 0);
	assert_int_equal(write(descriptor, path, strlen(path)), strlen(path));
	close(descriptor);
}

/*
 *   FOLDER/secret
 *   FOLDER/root/a/b/file, /file, and links
 */
static int make_tree(void)
{
	static const struct {
		const char *name, *target;
	} links[] = {
		{"root/to_file", "a/b/file"},
		{"root/absolute", "/a/b/file"},
		{"root/out", "../secret"},
		{"root/far_out", "/../../../../../../secret"},
		{"root/a/up", "../file"},
		{"root/a/b/up_up", "../../file"},
		{"root/loop", "loop"},
		{"root/ping", "pong"},
		{"root/pong", "ping"},
		{"root/proc_self", "/proc/self/root"},
		{"root/folder", "a/b/"},
		{"root/dangling", "nowhere"},
		{"root/to_root", "/"},
	};
	int root;

	assert_non_null(mkdtemp(folder));
	root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(root >= 0);
	write_file(root, "secret");
	assert_int_equal(mkdirat(root, "root", 0700), 0);
	assert_int_equal(mkdirat(root, "root/a", 0700), 0);
	assert_int_equal(mkdirat(root, "root/a/b", 0700), 0);
	write_file(root, "root/file");
	write_file(root, "root/a/b/file");
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		assert_int_equal(symlinkat(links[i].target, root, links[i].name), 0);
	return root;
}

/* What was opened, by its content, or the error. */
static void describe(int descriptor, char ret[64])
{
	ssize_t length;
	struct stat status;

	if (descriptor < 0) {
		snprintf(ret, 64, "%s", strerror(-descriptor));
		return;
	}
	length = read(descriptor, ret, 63);
	ret[length > 0 ? length : 0] = '\0';
	if (length < 0 && fstat(descriptor, &status) == 0)
		snprintf(ret, 64, "%s",
			S_ISDIR(status.st_mode)	  ? "folder"
			: S_ISLNK(status.st_mode) ? "link"
						  : "other");
	close(descriptor);
}

static void test_same(void **state _unused_)
{
	static const struct {
		const char *path;
		int flags;
		const char *as_root, *only; /* NULL: the same */
	} rows[] = {
		{"file", O_RDONLY, "root/file", NULL},
		{"./file", O_RDONLY, "root/file", NULL},
		{"a//b/./file", O_RDONLY, "root/a/b/file", NULL},
		{"a/../file", O_RDONLY, "root/file", NULL},
		{"/file", O_RDONLY, "root/file", "Invalid cross-device link"},
		{"../secret", O_RDONLY, "No such file or directory", "Invalid cross-device link"},
		{"../file", O_RDONLY, "root/file", "Invalid cross-device link"},
		{"a/../../../file", O_RDONLY, "root/file", "Invalid cross-device link"},
		{"to_file", O_RDONLY, "root/a/b/file", NULL},
		{"absolute", O_RDONLY, "root/a/b/file", "Invalid cross-device link"},
		{"out", O_RDONLY, "No such file or directory", "Invalid cross-device link"},
		{"far_out", O_RDONLY, "No such file or directory", "Invalid cross-device link"},
		{"a/up", O_RDONLY, "root/file", NULL},
		{"a/b/up_up", O_RDONLY, "root/file", NULL},
		{"folder/file", O_RDONLY, "root/a/b/file", NULL},
		{"folder/../../file", O_RDONLY, "root/file", NULL},
		{"to_root/file", O_RDONLY, "root/file", "Invalid cross-device link"},
		{"loop", O_RDONLY, "Too many levels of symbolic links", NULL},
		{"ping", O_RDONLY, "Too many levels of symbolic links", NULL},
		{"dangling", O_RDONLY, "No such file or directory", NULL},
		{"nowhere/file", O_RDONLY, "No such file or directory", NULL},
		{"file/file", O_RDONLY, "Not a directory", NULL},
		{"", O_RDONLY, "No such file or directory", NULL},
		{"/", O_RDONLY, "folder", "Invalid cross-device link"},
		{"a/..", O_RDONLY, "folder", NULL},
		{"a", O_RDONLY, "folder", NULL},
		{"to_file", O_RDONLY | O_NOFOLLOW, "Too many levels of symbolic links", NULL},
		{"to_file", O_PATH | O_NOFOLLOW, "link", NULL},
		{"folder/file", O_RDONLY | O_NOFOLLOW, "root/a/b/file", NULL},
		{"file", O_RDONLY | O_DIRECTORY, "Not a directory", NULL},
		{"proc_self/etc/passwd", O_RDONLY, "No such file or directory", "Invalid cross-device link"},
	};
	int top = make_tree();
	int root = openat(top, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (unsigned int below = BELOW_ROOT; below <= BELOW_ONLY; below++) {
			const char *wanted = below == BELOW_ONLY && rows[i].only ? rows[i].only : rows[i].as_root;
			char whole[64], steps[64];

			describe(open_below(root, rows[i].path, rows[i].flags, (enum below)below), whole);
			describe(open_below_by_steps(root, rows[i].path, rows[i].flags, (enum below)below), steps);
			if (strcmp(whole, wanted) != 0 || strcmp(steps, wanted) != 0)
				fail_msg("'%s' (%u): %s, step by step %s, not %s", rows[i].path, below, whole, steps,
					wanted);
		}
	close(root);
	close(top);
}

/* What somebody has open is no place in the file system. */
static void test_proc(void **state _unused_)
{
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int open_file = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *path = mem_format("/proc/%d/fd/%d", getpid(), open_file);
	_cleanup_free_ char *through = mem_format("/proc/%d/root/etc", getpid());

	assert_int_equal(open_below(root, path, O_PATH, BELOW_ROOT), -ELOOP);
	assert_int_equal(open_below_by_steps(root, path, O_PATH, BELOW_ROOT), -ELOOP);
	assert_int_equal(open_below(root, through, O_PATH, BELOW_ROOT), -ELOOP);
	assert_int_equal(open_below_by_steps(root, through, O_PATH, BELOW_ROOT), -ELOOP);
	close(open_file);
	close(root);
}

static void test_depth(void **state _unused_)
{
	int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_text_ struct text path = {0};
	int deep;

	for (unsigned int i = 0; i < 200; i++) {
		text_append(&path, i ? "/d" : "d");
		assert_int_equal(mkdirat(root, path.data, 0700), 0);
	}
	deep = open_below(root, path.data, O_PATH, BELOW_ROOT);
	assert_true(deep >= 0);
	close(deep);
	/* Bounded, and nothing stays open. */
	assert_int_equal(open_below_by_steps(root, path.data, O_PATH, BELOW_ROOT), -ENAMETOOLONG);
	deep = dup(root);
	assert_true(deep <= root + 1);
	close(deep);
	close(root);
}

static int clean_up(void **state _unused_)
{
	_cleanup_free_ char *command = mem_format("rm -rf %s", folder);

	return system(command) == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_proc),
		cmocka_unit_test(test_depth),
	};

	return cmocka_run_group_tests(tests, NULL, clean_up);
}
