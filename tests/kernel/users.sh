#!/bin/bash
# Who may come in, asked of a real server (redis-server, which speaks the same): passwords, users, and what it noted of
# those who tried.
. "$(dirname "$0")/../lib/guard.sh"
. "$root/tests/lib/findings.sh"
ip link set lo up
ip address add 10.20.0.5/32 dev lo
chmod 755 "$work"
command -v redis-check-rdb >/dev/null || { echo "redis-tools is missing" >&2; exit 77; }
secret=correct-horse-battery-staple-17

server_policy() { # server_policy TEXT...
	policy <<-END
		default_environment = test
		service { port = 6379 tls_port = 6380 admin_port = 9999 flagfile = "$work/flags" }
		environment test { tls = optional clients = {"10.20.0.0/24"} password = required $* }
	END
	apply
}
printf '%s\n' --port=6379 "--requirepass=$secret" >"$work/flags"
serve_redis() { # serve_redis OPTION...: a real server; its process is $redis
	ln -sf "$(command -v redis-check-rdb)" "$work/redis-server"
	"$work/redis-server" --port 6379 --protected-mode no --save '' --appendonly no --dir "$work" --loglevel warning "$@" \
		>"$work/redis.log" 2>&1 &
	server=$!
	wait_until 10 redis-cli -p 6379 ping || wrong "redis-server: $(cat "$work/redis.log")"
}
monitor() { # monitor PASSWORD: the policy's monitor has it
	echo "$1" >"$work/monitor"
	chmod 600 "$work/monitor"
	server_policy "monitor_password_file = \"$work/monitor\" ${2-}"
}

open_server() {
	server_policy
	serve_redis
	look
	row fail auth.open 'it answers who has no password'
	# It tells everybody.
	row fail auth.users 'the user default needs no password'
	row pass auth.http 'no HTTP'
	row not-applicable exposure.version 'it is not Dragonfly: Redis [0-9]'
	stop
}
t "a server without a password" open_server

closed_server() {
	server_policy
	serve_redis --requirepass "$secret"
	look
	row pass auth.open 'asks for a password'
	row not-applicable auth.users 'has no monitor_password_file'
	monitor "$secret"
	look
	row pass auth.users 'needs a password'
	row not-applicable exposure.version 'Redis'
	monitor wrong
	look
	row unknown auth.users 'not let in: WRONGPASS'
	no_row pass auth.users
	# Nothing that was asked is a secret told.
	expect_no_text "$work/look" "$secret"
	stop
}
t "a server with a password, asked with and without one" closed_server

users() {
	monitor "$secret"
	serve_redis --requirepass "$secret"
	redis-cli -a "$secret" acl setuser anyone on nopass '~*' +@all >"$work/cli" 2>&1
	redis-cli -a "$secret" acl setuser nobody off nopass '~*' +@all >"$work/cli" 2>&1
	redis-cli -a "$secret" acl setuser hollow on '>' '~*' +@all >"$work/cli" 2>&1
	look
	row fail auth.users 'the user anyone needs no password'
	row fail auth.users 'the user hollow has the empty password'
	no_row fail auth.users 'nobody'
	# More users than are looked at: the last may be the one.
	redis-cli -a "$secret" acl deluser anyone hollow >"$work/cli" 2>&1
	for i in $(seq 300); do echo "acl setuser u$i on >$secret +ping"; done | redis-cli -a "$secret" >"$work/cli" 2>&1
	look
	row unknown auth.users 'more than are looked at'
	no_row pass auth.users
	stop
}
t "users of a server that runs" users

aclfile() {
	printf '%s\n' "user default on >$secret ~* &* +@all" "user monitor on >$secret +info +ping +acl|list" >"$work/users.acl"
	chmod 600 "$work/users.acl"
	monitor "$secret" 'monitor_user = "monitor"'
	serve_redis --aclfile "$work/users.acl"
	look
	row pass auth.open 'asks for a password'
	row pass auth.users 'needs a password'
	row not-applicable exposure.version 'Redis'
	# Without the right to ask for users.
	redis-cli -a "$secret" acl setuser monitor '-acl|list' >"$work/cli" 2>&1
	look
	row unknown auth.users 'does not tell its users'
	no_row pass auth.users
	stop
}
t "a monitor with few rights" aclfile

# What a Dragonfly would read, told by its flags; it is not asked.
told() { # told LINE...: the file of users
	printf '%b' "$1" >"$work/told.acl"
	printf '%s\n' --port=6379 "--aclfile=$work/told.acl" >"$work/flags"
	look
}
acl_files() {
	local text outcome pattern
	server_policy
	while IFS='|' read -r text outcome pattern; do
		told "$text"
		row "$outcome" auth.aclfile "$pattern" >"$work/said"
		[ ! -s "$work/said" ] || wrong "$text: $(cat "$work/said")"
		expect_no_text "$work/look" hidden
	done <<-'END'
		USER default ON >hidden ~* +@all\n|pass|needs a password
		user default on >hidden ~* +@all|pass|needs a password
		USER alice ON >hidden ~* +@all\n|fail|does not name the user default
		|fail|does not name the user default
		USER default ON nopass ~* +@all\n|fail|the user default needs no password
		USER default ON > ~* +@all\n|fail|the user default needs no password
		# users\nUSER default ON >hidden ~* +@all\n|fail|line 1: a comment
		USER default ON >hidden ~* +@all\nUSER bob OFF\n|fail|line 2: too few words
		USER default ON >hidden sanitize-payload ~* +@all\n|fail|line 1: a word that Dragonfly does not know
		nonsense\n|fail|line 1: it does not begin
		USER default ON >hidden ~* \0+@all\n|fail|line 1: it holds a NUL
	END
	head -c 2000000 /dev/zero >"$work/told.acl"
	look
	row unknown auth.aclfile 'cannot be read'
	for i in $(seq 1500); do echo "USER u$i ON >hidden ~* +@all"; done >"$work/told.acl"
	look
	row unknown auth.aclfile 'more than 1000 users'
	rm "$work/told.acl"
	look
	row fail auth.aclfile 'it is not there'
	mkfifo "$work/told.acl"
	look
	row unknown auth.aclfile 'no regular file'
	rm "$work/told.acl"
}
t "files of users, as Dragonfly reads them" acl_files

passwords() {
	local password outcome pattern
	while IFS='|' read -r password outcome pattern; do
		printf '%s\n' --port=6379 "--requirepass=$password" >"$work/flags"
		look
		row "$outcome" auth.strength "$pattern" >"$work/said"
		[ ! -s "$work/said" ] || wrong "$password: $(cat "$work/said")"
		expect_no_text "$work/look" "$password"
	done <<-'END'
		hunter2|fail|short: 7 characters
		dragonflydragonfly|fail|easy to guess
		aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa|fail|easy to guess
		qwertyuiopasdfgh|fail|easy to guess
		kX9#vLq2!mZr7@Wp4$Tn|pass|hard to guess
	END
	chmod 644 "$work/flags"
	look
	row fail auth.places 'everybody on this host may read requirepass'
	chmod 620 "$work/flags"
	look
	row fail auth.writable 'its group may write it'
	chmod 600 "$work/flags"
}
t "passwords that are short, easy to guess, or to read" passwords
finish
