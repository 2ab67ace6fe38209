# dflyguard: `make run` shows it, `make test` proves it, `make` builds build/dflyguard.
# All files go to build/. V=1 shows the commands, WERROR=1 makes warnings errors (CI), DESTDIR and PREFIX as usual.

VERSION := 0.1.0
PREFIX ?= /usr
SBINDIR ?= $(PREFIX)/sbin
# dflyguard-probe, which nobody starts by hand.
LIBEXECDIR ?= $(PREFIX)/libexec/dflyguard
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/dflyguard
SYSCONFDIR ?= /etc
# Where systemd looks for units; its pkg-config file tells, where there is one.
SYSTEMDUNITDIR ?= $(or $(shell $(PKG_CONFIG) --variable=systemdsystemunitdir systemd 2>/dev/null),/lib/systemd/system)
BUILD ?= build

CC ?= gcc
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla -Wundef -Wpointer-arith \
	-Wwrite-strings -Wswitch-enum $(if $(WERROR),-Werror)
HARDENING := -fstack-protector-strong -fPIE $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)
comma := ,
SANITIZER := $(if $(SANITIZE),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
PACKAGES := libnftnl libmnl libconfuse
# Loaded by the commands that need them (dlopen): headers only.
LOADED := libnetfilter_log libbpf libsystemd
PKG_CONFIG ?= pkg-config

# Recursive (=): asked only when something is compiled, after set-up has installed pkg-config and the libraries.
PACKAGE_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(PACKAGES) $(LOADED))
PACKAGE_LIBS = $(shell $(PKG_CONFIG) --libs $(PACKAGES))
# What dflyguard-probe alone is linked with.
PROBE_PACKAGES := openssl hiredis libseccomp
PROBE_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(PROBE_PACKAGES))
# libzxcvbn has no file for pkg-config.
PROBE_LIBS = $(shell $(PKG_CONFIG) --libs $(PROBE_PACKAGES)) -lzxcvbn -lm
override CFLAGS += -std=gnu17 -D_GNU_SOURCE -Iinclude -DDFLYGUARD_VERSION='"$(VERSION)"' -DDFLYGUARD_LIBEXECDIR='"$(LIBEXECDIR)"' -DDFLYGUARD_SBINDIR='"$(SBINDIR)"' $(WARNINGS) $(HARDENING) $(SANITIZER)
override LDFLAGS += -pie -Wl,-z,relro,-z,now,--as-needed,-O1,--hash-style=gnu $(SANITIZER)

ifeq ($(V),)
quiet = @printf '  %-8s %s\n' $(1) $(2);
else
quiet =
endif

ROOMS := base policy ruleset nft bindguard probe audit report cmd
SOURCES := $(filter-out src/cmd/main.c %.bpf.c,$(foreach room,$(ROOMS),$(wildcard src/$(room)/*.c)))
OBJECTS := $(SOURCES:src/%.c=$(BUILD)/%.o)
MAIN := $(BUILD)/cmd/main.o
# The program without privileges. Tests link what its main() does not stand in.
INSPECT_MAIN := $(BUILD)/inspect/inspect_main.o
INSPECT := $(filter-out $(INSPECT_MAIN),$(patsubst src/%.c,$(BUILD)/%.o,$(wildcard src/inspect/*.c)))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))

UNITS := $(notdir $(wildcard systemd/*.service systemd/*.timer))

.DELETE_ON_ERROR:
.PHONY: all run test test-long bench analyze format format-check layers install uninstall clean setup setup-run setup-test

all: setup
	@$(MAKE) --no-print-directory programs
.PHONY: programs
programs: $(BUILD)/dflyguard $(BUILD)/dflyguard-probe

setup:
	@contrib/setup build
setup-run:
	@contrib/setup build run
setup-test:
	@contrib/setup build run test

$(BUILD)/%.o: src/%.c
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(CC) $(CFLAGS) $(PACKAGE_CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/inspect/%.o: PACKAGE_CFLAGS = $(PROBE_CFLAGS)

# The bind guard's programs run in the kernel: clang is the compiler that makes those. The object is then part of ours.
CLANG ?= clang
BPF_FLAGS = -O2 -g -Wall -Wextra $(if $(WERROR),-Werror) -fdebug-compilation-dir=. $(addprefix -I/usr/include/,$(shell $(CC) -print-multiarch))
$(BUILD)/bindguard/bindguard.bpf.o: src/bindguard/bindguard.bpf.c src/bindguard/bindguard_maps.h
	@mkdir -p $(@D)
	$(call quiet,BPF,$<)$(CLANG) -target bpf $(BPF_FLAGS) -c -o $@ $<
$(BUILD)/bindguard/bindguard_object.o: $(BUILD)/bindguard/bindguard.bpf.o
$(BUILD)/bindguard/bindguard_object.o: override CFLAGS += -DBINDGUARD_OBJECT='"$(BUILD)/bindguard/bindguard.bpf.o"'

$(BUILD)/libdflyguard.a: $(OBJECTS)
	$(call quiet,AR,$@)rm -f $@ && ar rcsD $@ $(OBJECTS)

$(BUILD)/dflyguard: $(MAIN) $(BUILD)/libdflyguard.a
	$(call quiet,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(MAIN) $(BUILD)/libdflyguard.a $(PACKAGE_LIBS)

$(BUILD)/libinspect.a: $(INSPECT)
	$(call quiet,AR,$@)rm -f $@ && ar rcsD $@ $(INSPECT)

$(BUILD)/dflyguard-probe: $(INSPECT_MAIN) $(BUILD)/libinspect.a $(BUILD)/libdflyguard.a
	$(call quiet,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PROBE_LIBS)

$(BUILD)/tests/%.o: tests/unit/%.c
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(CC) $(CFLAGS) -Itests/unit -Isrc $(PACKAGE_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/%.o: tests/fuzz/%.c
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(CC) $(CFLAGS) -Itests/unit -Isrc $(PACKAGE_CFLAGS) -MMD -MP -c -o $@ $<

# A part of dflyguard-probe that needs none of its libraries.
$(BUILD)/tests/test_logs $(BUILD)/tests/fuzz_server_log: $(BUILD)/inspect/log_line.o

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(BUILD)/libdflyguard.a
	$(call quiet,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libdflyguard.a $(PACKAGE_LIBS) $$($(PKG_CONFIG) --libs cmocka)

$(BUILD)/tests/fuzz_%: $(BUILD)/tests/fuzz_%.o $(BUILD)/libdflyguard.a
	$(call quiet,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libdflyguard.a $(PACKAGE_LIBS)

# These are of the program without privileges, and linked as it is.
INSPECT_TESTS := $(addprefix $(BUILD)/tests/,test_sandbox fuzz_inspect)
$(INSPECT_TESTS): $(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/libinspect.a $(BUILD)/libdflyguard.a
	$(call quiet,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PROBE_LIBS) $$($(PKG_CONFIG) --libs cmocka)

$(BUILD)/bench: $(wildcard tests/bench/*.c tests/bench/*.h) $(BUILD)/libdflyguard.a
	$(call quiet,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c %.a,$^) -lm

.PHONY: build-tests
build-tests: programs $(UNIT_TESTS) $(FUZZERS)

run: setup-run
	@$(MAKE) --no-print-directory programs
	@contrib/demo $(BUILD)/dflyguard

test: setup-test
	@tests/run

test-long: setup-test
	@tests/run --long

bench: setup-test
	@$(MAKE) --no-print-directory programs $(BUILD)/bench
	@$(BUILD)/bench --dflyguard $(BUILD)/dflyguard --json $(BUILD)/bench.json $(BENCH)

analyze:
	@contrib/analyze

format:
	@clang-format -i $$(git ls-files '*.c' '*.h')
format-check:
	@clang-format --dry-run --Werror $$(git ls-files '*.c' '*.h')
layers:
	@tests/layers

install: all
	install -D -m 0755 $(BUILD)/dflyguard $(DESTDIR)$(SBINDIR)/dflyguard
	install -D -m 0755 $(BUILD)/dflyguard-probe $(DESTDIR)$(LIBEXECDIR)/dflyguard-probe
	install -D -m 0644 docs/dflyguard.8 $(DESTDIR)$(MANDIR)/man8/dflyguard.8
	install -d -m 0755 $(DESTDIR)$(DOCDIR)/policies
	install -m 0644 README.md LICENSE docs/*.md docs/schema.json systemd/dflyguard-posture.conf $(DESTDIR)$(DOCDIR)
	install -m 0644 policies/*.conf $(DESTDIR)$(DOCDIR)/policies
	install -d -m 0755 $(DESTDIR)$(SYSCONFDIR)/dflyguard
	install -d -m 0755 $(DESTDIR)$(SYSTEMDUNITDIR)
	for unit in $(UNITS); do \
		sed 's|/usr/sbin/dflyguard|$(SBINDIR)/dflyguard|; s|/etc/dflyguard|$(SYSCONFDIR)/dflyguard|' systemd/$$unit \
			>$(DESTDIR)$(SYSTEMDUNITDIR)/$$unit && chmod 0644 $(DESTDIR)$(SYSTEMDUNITDIR)/$$unit || exit; \
	done

uninstall:
	rm -rf $(DESTDIR)$(SBINDIR)/dflyguard $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(MANDIR)/man8/dflyguard.8 $(DESTDIR)$(DOCDIR)
	rm -f $(addprefix $(DESTDIR)$(SYSTEMDUNITDIR)/,$(UNITS))

clean:
	rm -rf $(BUILD)

# The helpers of tests/kernel: traffic, and the kernel's generation id.
KERNEL_HELPERS := $(patsubst tests/kernel/%.c,$(BUILD)/tests/kernel/%,$(wildcard tests/kernel/*.c))
$(BUILD)/tests/kernel/%: tests/kernel/%.c
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(CC) $(CFLAGS) $(PACKAGE_CFLAGS) $(LDFLAGS) -o $@ $< $(PACKAGE_LIBS)
$(BUILD)/tests/kernel/doors: tests/kernel/doors.c
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(CC) $(CFLAGS) $(PROBE_CFLAGS) $(LDFLAGS) -o $@ $< $$($(PKG_CONFIG) --libs openssl)
# These ask the program's own rooms, too.
$(BUILD)/tests/kernel/differential: tests/kernel/differential.h
$(addprefix $(BUILD)/tests/kernel/,differential ask listeners): $(BUILD)/tests/kernel/%: tests/kernel/%.c $(BUILD)/libdflyguard.a
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(CC) $(CFLAGS) $(PACKAGE_CFLAGS) $(LDFLAGS) -o $@ $< $(BUILD)/libdflyguard.a $(PACKAGE_LIBS)
.PHONY: build-kernel-tests
build-kernel-tests: programs $(KERNEL_HELPERS)

-include $(wildcard $(BUILD)/*/*.d)
