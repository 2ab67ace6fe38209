#!/bin/bash
# `explain --live` tells of the table that is in the kernel, with the policy's lines; and a policy that is not what it
# expects of itself is not applied.
. "$(dirname "$0")/../lib/guard.sh"
asked=(explain --from 10.20.0.7 --port 6380)

live() {
	environment 'clients = {"10.20.0.0/24"}'
	apply
	expect_exit 0 guard "${asked[@]}" --live
	expect_text "$out" '^allowed: 10\.20\.0\.7 to this host port 6380, speaking TLS$' 'the table in the kernel' \
		'10\.20\.0\.0/24 in clients_v4, .*policy\.conf:10'
	# The policy and the kernel part.
	nft 'delete element inet dflyguard clients_v4 { 10.20.0.0/24 }'
	expect_exit 0 guard "${asked[@]}"
	expect_exit 1 guard "${asked[@]}" --live
	expect_text "$out" '^refused: .*: no list of the policy names the source$'
}
t "the kernel's table is asked, not the policy's" live

opaque() {
	apply
	nft 'insert rule inet dflyguard judge meta skuid 0 accept'
	expect_exit 2 guard "${asked[@]}" --live
	expect_text "$out" '^unknown: ' 'not known: what this rule does'
	expect_exit 2 guard --format json "${asked[@]}" --live
	expect_text "$out" '"verdict": "unknown"'
	# What does not come there is known.
	expect_exit 0 guard explain --from 10.20.0.7 --port 7000 --live
}
t "a rule that has no words makes it unknown, never allowed" opaque

foreign_drop() {
	apply
	nft 'insert rule inet dflyguard tls drop'
	expect_exit 1 guard "${asked[@]}" --live
	expect_text "$out" '^refused: .*: a rule that counts no reason refuses it$' '^    tls  *1  drop'
}
t "a foreign rule is found" foreign_drop

absent() {
	guard --quiet remove
	expect_exit 0 guard "${asked[@]}" --live
	expect_text "$out" 'there is no table inet dflyguard'
	# A policy that was named must be there.
	expect_exit 2 "$dflyguard" --policy "$work/none" "${asked[@]}" --live
}
t "without a table all is allowed" absent

unmet() {
	environment 'clients = {"10.20.0.0/24"}'
	apply
	listing >"$work/before"
	environment 'clients = {"10.20.0.0/16"}
			expect { from = "10.20.1.0/24" to_port = 6380 speaks = tls verdict = refuse }'
	expect_exit 2 guard apply
	expect_text "$errors" 'policy\.conf:11: expected verdict = refuse .* but 10\.20\.1\.0 is allowed: .*policy\.conf:10 \(clients\)$' \
		'nothing was changed'
	expect_exit 2 guard plan
	expect_exit 1 guard check
	listing >"$work/after"
	expect_same "the table" "$work/before" "$work/after"
	environment 'clients = {"10.20.0.0/24"}
			expect { from = "10.20.1.0/24" to_port = 6380 speaks = tls verdict = refuse }'
	expect_exit 0 guard check
	apply
}
t "a policy that is not what it expects of itself is not applied" unmet
finish
