/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"

static const char usage[] =
	"usage: bench --dflyguard PROGRAM --json FILE [--rounds N] [--sizes N,N,...] [--only PART,...] [--quick]\n"
	"\n"
	"Measures dflyguard beside nft, in private namespaces; changes nothing on this host.\n"
	"\n"
	"  --dflyguard PROGRAM  the program to measure\n"
	"  --json FILE          also write every value there\n"
	"  --rounds N           rounds of everything (default: as many as fit each size)\n"
	"  --sizes N,N,...      how many source networks (default: 10,1000,10000,100000)\n"
	"  --only PART,...      apply, noop, change, list, packet, watch (default: all)\n"
	"  --quick              fewer rounds, no 100,000: half a minute instead of four\n"
	"\n"
	"Exit status: 0 measured, whatever the figures say; 1 something could not be measured; 2 trouble.\n";

_Noreturn void fail(const char *format, ...)
{
	va_list arguments;

	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	fputs("bench: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(2);
}

void progress(const char *format, ...)
{
	va_list arguments;

	if (!isatty(STDERR_FILENO))
		return;
	fputs("\r\033[K", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fflush(stderr);
}

void note(struct results *results, const char *format, ...)
{
	va_list arguments;
	char text[512];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	ARRAY_GROW(results->notes, results->note_count, results->note_capacity);
	results->notes[results->note_count++] = mem_string(text);
}

static unsigned long parse_number(const char *text, const char *what, unsigned long limit)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || number == 0 || number > limit)
		fail("%s: '%s' is not a number from 1 to %lu", what, text, limit);
	return number;
}

static void parse_sizes(struct options *options, char *text)
{
	char *rest = NULL;

	options->size_count = 0;
	for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		if (options->size_count == ARRAY_SIZE(options->sizes))
			fail("--sizes: at most %zu of them", ARRAY_SIZE(options->sizes));
		options->sizes[options->size_count++] = parse_number(word, "--sizes", NETWORKS_LIMIT);
	}
	if (options->size_count == 0)
		fail("--sizes: none given");
}

static void parse_parts(struct options *options, char *text)
{
	static const char *const names[] = {"apply", "noop", "change", "list", "packet", "watch"};
	char *rest = NULL;

	options->parts = 0;
	for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		size_t i = 0;

		while (i < ARRAY_SIZE(names) && strcmp(word, names[i]) != 0)
			i++;
		if (i == ARRAY_SIZE(names))
			fail("--only: '%s' is none of apply, noop, change, list, packet, watch", word);
		options->parts |= 1U << i;
	}
}

static void parse_options(struct options *options, struct tools *tools, int argc, char *argv[])
{
	static const struct option long_options[] = {
		{"dflyguard", required_argument, NULL, 'd'},
		{"json", required_argument, NULL, 'j'},
		{"rounds", required_argument, NULL, 'r'},
		{"sizes", required_argument, NULL, 's'},
		{"only", required_argument, NULL, 'o'},
		{"quick", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	static const size_t full[] = {10, 1000, 10000, 100000};
	const char *program = NULL;
	int option;

	*options = (struct options){.parts = PART_ALL};
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 'd':
			program = optarg;
			break;
		case 'j':
			options->json = optarg;
			break;
		case 'r':
			options->rounds = (unsigned int)parse_number(optarg, "--rounds", 1000);
			break;
		case 's':
			parse_sizes(options, optarg);
			break;
		case 'o':
			parse_parts(options, optarg);
			break;
		case 'q':
			options->quick = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
	if (optind < argc || !program || !options->json) {
		fputs(usage, stderr);
		exit(2);
	}
	if (options->size_count == 0) {
		options->size_count = ARRAY_SIZE(full) - options->quick;
		memcpy(options->sizes, full, options->size_count * sizeof(*full));
	}
	tools->dflyguard = realpath(program, NULL);
	if (!tools->dflyguard || access(tools->dflyguard, X_OK))
		fail("%s: %s", program, strerror(errno));
}

/* The path of a program, also where an ordinary user's PATH does not look; NULL if it is not installed. */
static char *find_tool(const char *name)
{
	const char *path = getenv("PATH");
	_cleanup_free_ char *places = mem_format("%s:/usr/sbin:/usr/bin:/sbin:/bin", path ? path : "");
	char *rest = NULL;

	for (char *place = strtok_r(places, ":", &rest); place; place = strtok_r(NULL, ":", &rest)) {
		char *candidate = mem_format("%s/%s", place, name);

		if (*place == '/' && access(candidate, X_OK) == 0)
			return candidate;
		free(candidate);
	}
	return NULL;
}

static char *need_tool(const char *name, const char *package)
{
	char *path = find_tool(name);

	if (!path)
		fail("'%s' is missing: install the Debian package %s, or run contrib/setup test", name, package);
	return path;
}

static void find_tools(struct tools *tools, unsigned int parts)
{
	tools->nft = need_tool("nft", "nftables");
	tools->true_program = need_tool("true", "coreutils");
	tools->strace = find_tool("strace");
	if (!(parts & PART_PACKET))
		return;
	tools->ip = need_tool("ip", "iproute2");
	tools->redis_benchmark = need_tool("redis-benchmark", "redis-tools");
	tools->openssl = need_tool("openssl", "openssl");
	tools->redis_name = "redis-server";
	tools->redis_server = find_tool("redis-server");
	if (!tools->redis_server)
		tools->redis_server = need_tool("redis-check-rdb", "redis-tools");
}

/* First line of what a command prints, or "NAME of unknown version". */
static char *version_of(const char *program, const char *name)
{
	const char *const argv[] = {program, "--version", NULL};
	struct reading reading = run(SPACE_EMPTY, CPU_ANY, argv, WORK_FILE("version"));
	_cleanup_free_ char *text = read_file(WORK_FILE("version"));
	size_t length;

	if (reading.status != 0 || !text || !*text)
		return mem_format("%s of unknown version", name);
	length = strcspn(text, "\n(");
	while (length > 0 && text[length - 1] == ' ')
		length--;
	return mem_stringn(text, length);
}

/* The value of the first line of a file that begins with `name`, without what stands before `separator`. */
static char *value_in(const char *path, const char *name, char separator)
{
	_cleanup_free_ char *text = read_file(path);
	char *line = text ? strstr(text, name) : NULL;

	line = line ? strchr(line, separator) : NULL;
	if (!line)
		return mem_string("?");
	line += 1 + strspn(line + 1, " \t");
	return mem_stringn(line, strcspn(line, "\n"));
}

static char *load_average(void)
{
	_cleanup_free_ char *text = read_file("/proc/loadavg");

	return text ? mem_stringn(text, strcspn(text, " \n")) : mem_string("?");
}

static void describe_machine(struct machine *machine, const struct tools *tools)
{
	_cleanup_free_ char *memory = value_in("/proc/meminfo", "MemTotal", ':');
	char directory[] = WORK_DIRECTORY, link[] = WORK_FILE("redis-server");
	struct utsname system;

	uname(&system);
	machine->kernel = mem_format("%s %s %s", system.sysname, system.release, system.machine);
	machine->processor = value_in("/proc/cpuinfo", "model name", ':');
	machine->processors = sysconf(_SC_NPROCESSORS_ONLN);
	machine->memory = strtod(memory, NULL) * 1024;
	machine->load_before = load_average();
	/* Half of one processor at work on something else is more than the differences that are looked for. */
	machine->busy = strtod(machine->load_before, NULL) > 0.5;
	machine->dflyguard_version = version_of(tools->dflyguard, "dflyguard");
	machine->nft_version = version_of(tools->nft, "nft");
	machine->redis_version = mem_string("none");
	if (tools->redis_server) {
		if (chdir(directory) || symlink(tools->redis_server, link))
			fail("%s: %s", link, strerror(errno));
		free(machine->redis_version);
		machine->redis_version = version_of(link, "redis");
		if (strstr(machine->redis_version, " sha="))
			*strstr(machine->redis_version, " sha=") = '\0';
	}
}

static bool anything_failed(const struct results *results)
{
	bool failed = false;

	for (size_t i = 0; i < results->measurement_count; i++)
		failed = failed || results->measurements[i].failure;
	for (size_t i = 0; i < results->packet_count; i++)
		failed = failed || results->packets[i].failure;
	for (size_t i = 0; i < results->watch_count; i++)
		failed = failed || results->watches[i].failure;
	return failed;
}

int main(int argc, char *argv[])
{
	struct machine machine = {0};
	struct results results = {0};
	struct options options;
	struct tools tools = {0};
	char directory_name[PATH_MAX], file_name[PATH_MAX];
	double begin = now();
	int directory;

	parse_options(&options, &tools, argc, argv);
	find_tools(&tools, options.parts);
	if (strlen(options.json) >= PATH_MAX)
		fail("--json: the name is too long");
	strcpy(directory_name, options.json);
	strcpy(file_name, options.json);
	directory = open(dirname(directory_name), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		fail("%s: %s", options.json, strerror(errno));

	sandbox_enter(tools.dflyguard);
	spawner_start();
	describe_machine(&machine, &tools);
	results.least_peak = run_least_peak(&tools);
	if (options.parts & ~(unsigned int)(PART_PACKET | PART_WATCH))
		bench_kernel(&options, &tools, &results);
	if (options.parts & PART_PACKET)
		bench_packet(&options, &tools, &results);
	if (options.parts & PART_WATCH)
		bench_watch(&options, &tools, &results);
	progress("%s", "");
	machine.load_after = load_average();
	results.elapsed = now() - begin;
	report_table(&results, &machine);
	fflush(stdout);
	report_json(&results, &machine, &options, directory, basename(file_name));
	return anything_failed(&results);
}
