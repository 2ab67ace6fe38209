#!/bin/bash
# A server's certificate and key with every defect, made on the spot, and what an audit finds; then versions, ciphers and
# certificates of clients, as a server takes them.
. "$(dirname "$0")/../lib/guard.sh"
. "$root/tests/lib/findings.sh"
ip link set lo up
ip address add 10.20.0.5/32 dev lo
chmod 755 "$work"
cd "$work" || exit 2

# ---------------------------------------------------------------------------------------------------- an authority ---
make_request() { # make_request NAME [OPTION...]: NAME.key and NAME.csr
	local name=$1
	shift
	[ $# -ne 0 ] || set -- -newkey ec -pkeyopt ec_paramgen_curve:prime256v1
	openssl req -new "$@" -nodes -subj "/CN=$name" -keyout "$name.key" -out "$name.csr" 2>/dev/null
}
sign() { # sign NAME ISSUER EXTENSIONS [OPTION...]: NAME.crt
	local name=$1 issuer=$2
	printf '%b\n' "$3" >extensions
	shift 3
	[[ " $* " = *" -days "* ]] || set -- -days 400 "$@"
	openssl x509 -req -in "$name.csr" -CA "$issuer.crt" -CAkey "$issuer.key" -CAcreateserial -extfile extensions \
		-out "$name.crt" "$@" 2>/dev/null || wrong "openssl does not sign $name"
}
authority='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign'
leaf='basicConstraints=CA:FALSE\nsubjectAltName=DNS:db.in.example,IP:10.20.0.5'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 4000 -subj /CN=root -keyout root.key \
	-out root.crt 2>/dev/null
make_request middle && sign middle root "$authority"
good() { # good [NAME]: NAME.crt, of the authority in the middle
	local name=${1:-leaf}
	make_request "$name" && sign "$name" middle "$leaf"
}
good

server_policy() { # server_policy TEXT...
	policy <<-END
		default_environment = test
		service { port = 6379 tls_port = 6380 admin_port = 9999 flagfile = "$work/flags" }
		environment test { tls = required clients = {"10.20.0.0/24"} bind = {"10.20.0.5"} password = required $* }
	END
}
server_policy 'server_names = {"db.in.example"}'
apply
told() { # told CERTIFICATE KEY [FLAG...]: what the next start would be told; there is no server
	printf '%s\n' --port=6380 --bind=10.20.0.5 --tls "--tls_cert_file=$work/$1" "--tls_key_file=$work/$2" \
		--requirepass=correct-horse-battery-staple-17 "${@:3}" >flags
	look
}

# ---------------------------------------------------------------------------------------------------- files as told ---
as_it_should_be() {
	cat leaf.crt middle.crt root.crt >chain.crt
	told chain.crt leaf.key
	local check
	for check in files key_private key_match strength validity names chain; do row pass tls.$check ''; done
	no_row fail 'tls.[a-z_]*'
}
t "a good certificate, its chain and its key" as_it_should_be

# DEFECT: each makes bad.crt and bad.key; what is found; whatever else is said of it.
dated() { # dated BEGIN END: bad.crt with these dates
	make_request bad
	printf '%b\n' "$leaf" >extensions
	printf '[ca]\ndefault_ca=a\n[a]\ndatabase=index\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\npolicy=p\n' >ca.conf
	printf '[p]\ncommonName=supplied\n' >>ca.conf
	: >index
	openssl ca -batch -config ca.conf -rand_serial -startdate "$1" -enddate "$2" -extfile extensions -cert middle.crt \
		-keyfile middle.key -in bad.csr -out bad.crt -notext 2>ca.log || wrong "openssl ca: $(cat ca.log)"
}
expired() { dated 20200101000000Z "$(date -u -d '3 days ago' +%Y%m%d%H%M%SZ)"; }
not_yet() { dated 20900101000000Z 20910101000000Z; }
ends_soon() { make_request bad && sign bad middle "$leaf" -days 3; }
weak_rsa() { make_request bad -newkey rsa:1024 && sign bad middle "$leaf"; }
weak_curve() { make_request bad -newkey ec -pkeyopt ec_paramgen_curve:secp224r1 && sign bad middle "$leaf"; }
sha1() { make_request bad && sign bad middle "$leaf" -sha1; }
wrong_key() { good bad && openssl ecparam -name prime256v1 -genkey -noout -out bad.key; }
encrypted() { good bad && openssl pkcs8 -topk8 -in bad.key -passout pass:x -out k 2>/dev/null && mv k bad.key; }
key_of_all() { good bad && chmod 644 bad.key; }
key_of_group() { good bad && chmod 640 bad.key; }
self_signed() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 400 -subj /CN=bad \
		-addext 'subjectAltName=DNS:db.in.example' -keyout bad.key -out bad.crt 2>/dev/null
}
lonely() { good bad; }
without_middle() { good bad && cat root.crt >>bad.crt; }
wrong_order() { good bad && cat middle.crt bad.crt root.crt >b && mv b bad.crt; }
other_order() { good bad && cat bad.crt root.crt middle.crt >b && mv b bad.crt; }
wildcard() { make_request bad && sign bad middle 'subjectAltName=DNS:*.in.example'; }
short_wildcard() { make_request bad && sign bad middle 'subjectAltName=DNS:*.db.in.example,DNS:*.example,DNS:*'; }
other_name() { make_request bad && sign bad middle 'subjectAltName=DNS:db.in.example.org,IP:10.20.0.5'; }
common_name() { make_request bad && sign bad middle 'basicConstraints=CA:FALSE'; }
for_clients() { make_request bad && sign bad middle "$leaf\nextendedKeyUsage=clientAuth"; }
der() { good bad && openssl x509 -in bad.crt -outform DER -out b && mv b bad.crt; }
empty() { good bad && : >bad.crt; }
empty_key() { good bad && : >bad.key; }
garbage() { good bad && head -c 20000 /dev/urandom >bad.crt; }
garbage_inside() { good bad && printf -- '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' >bad.crt; }
garbage_behind() { good bad && printf -- '-----BEGIN CERTIFICATE-----\nAAAA\n' >>bad.crt; }
large() { good bad && head -c 5000000 /dev/zero >bad.crt; }
endless_pem() { good bad && { echo '-----BEGIN CERTIFICATE-----'; yes AAAA | head -c 900000; } >bad.crt; }
many() { good bad && for _ in $(seq 100); do cat middle.crt; done >>bad.crt; }
absent() { good bad && rm bad.crt; }
a_folder() { good bad && rm bad.crt && mkdir bad.crt; }
a_pipe() { good bad && rm bad.crt && mkfifo bad.crt; }
a_key() { good bad && cp bad.key bad.crt; }
escapes() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 400 \
	-subj $'/CN=\x1b[2J\r\x7fevil' -keyout bad.key -out bad.crt 2>/dev/null; }
defects() {
	local defect outcome check pattern
	while read -r defect outcome check pattern; do
		rm -rf bad.crt bad.key
		umask 077
		$defect || { wrong "cannot make $defect"; continue; }
		told bad.crt bad.key
		row "$outcome" "tls.$check" "$pattern" >"$work/said"
		[ ! -s "$work/said" ] || wrong "$defect: $(cat "$work/said")"
		! grep -q $'\x1b' look || wrong "$defect: an escape sequence is shown"
	done <<-'END'
		expired fail validity ended.[23].days.ago
		not_yet fail validity not.valid.yet
		ends_soon fail validity ends.in.[23].days
		weak_rsa fail strength RSA.with.1024.bits
		weak_curve fail strength curve.with.224.bits
		sha1 fail strength signature.*weak
		wrong_key fail key_match not.the.certificate's
		encrypted fail files encrypted
		encrypted unknown key_match could.not.be.read
		key_of_all fail key_private everybody
		key_of_group fail key_private its.group
		self_signed fail chain signed.itself
		lonely unknown chain an.issuer.that.neither.*middle
		without_middle unknown chain an.issuer.that.neither.*middle
		wrong_order fail key_match not.the.certificate's
		other_order pass chain complete
		wildcard pass names is.for
		short_wildcard fail names not.for.db.in.example
		other_name fail names not.for.db.in.example$
		common_name fail names not.for.db.in.example
		for_clients fail chain key.usage
		der fail files cannot.be.used
		empty fail files it.is.empty
		empty_key fail files it.is.empty
		garbage fail files cannot.be.used
		garbage_inside fail files cannot.be.used
		garbage_behind fail files cannot.be.used
		large fail files too.large
		endless_pem fail files cannot.be.used
		many fail files more.certificates
		absent fail files not.there
		a_folder unknown files no.regular.file
		a_pipe unknown files no.regular.file
		a_key fail files cannot.be.used
		escapes fail chain signed.itself
	END
}
t "each defect of certificate and key is found, whatever the bytes" defects

bundles() {
	cat leaf.crt middle.crt root.crt >chain.crt
	for _ in $(seq 150); do cat root.crt; done >bundle.crt
	told chain.crt leaf.key "--tls_ca_cert_file=$work/bundle.crt"
	row pass tls.files ''
	: >bundle.crt
	told chain.crt leaf.key "--tls_ca_cert_file=$work/bundle.crt"
	row fail tls.files 'bundle.crt: it cannot be used: it is empty'
}
t "a bundle of authorities: of any number, but not of none" bundles

# What the server's user may not read, the server cannot either.
of_another_user() {
	[ "$(awk '{print $3}' /proc/self/uid_map)" = 4294967295 ] || { skip "there is no other user here"; return; }
	cat leaf.crt middle.crt root.crt >chain.crt
	chmod 644 chain.crt
	chown root leaf.key
	chmod 600 leaf.key
	printf '%s\n' --port=6380 --bind=10.20.0.5 --tls "--tls_cert_file=$work/chain.crt" "--tls_key_file=$work/leaf.key" >flags
	chmod 644 flags
	CERTIFICATE=$work/chain.crt KEY=$work/leaf.key doors_as='setpriv --reuid 65534 --regid 65534 --clear-groups' \
		doors 10.20.0.5,6380,noauth -- "--flagfile=$work/flags" || return
	look
	row fail tls.files "leaf.key: the server's user may not read it"
	row fail tls.handshake 'does not speak TLS'
	stop
}
t "a key that the server's user may not read" of_another_user

# -------------------------------------------------------------------------------------------------------- handshakes ---
cat leaf.crt middle.crt root.crt >chain.crt
export CERTIFICATE=$work/chain.crt KEY=$work/leaf.key
handshakes() { # handshakes BEHAVIOUR [NAME=VALUE...]
	local behaviour=$1
	shift
	told chain.crt leaf.key
	env "$@" true || return
	DOORS=10.20.0.5,6380,$behaviour start "$work/doors" env "$@" "$work/dragonfly" "--flagfile=$work/flags" || return
	server=$started
	look
	stop
}
live() {
	handshakes tls VERSIONS=1.2-1.3 || return
	local check
	for check in handshake versions ciphers served plaintext; do row pass tls.$check 10.20.0.5:6380; done
	row not-applicable tls.client_certificates 'does not ask'
	handshakes tls VERSIONS=1.0-1.3 || return
	row fail tls.versions 'TLS 1.0 are taken'
	row fail tls.versions 'TLS 1.1 are taken'
	handshakes tls VERSIONS=1.1-1.2 || return
	row fail tls.versions 'TLS 1.1 are taken'
	no_row fail tls.versions 'TLS 1.0'
	handshakes tls VERSIONS=1.2-1.2 CIPHERS=ALL:aNULL:@SECLEVEL=0 || return
	row fail tls.ciphers 'ciphers without a certificate are taken: ADH|ciphers without a certificate are taken: AECDH'
	handshakes tls VERSIONS=1.2-1.2 CIPHERS=ALL:eNULL:@SECLEVEL=0 || return
	row fail tls.ciphers 'weak ciphers are taken: .*NULL'
	good other
	cat other.crt middle.crt >other.chain.crt
	handshakes tls VERSIONS=1.2-1.3 "CERTIFICATE=$work/other.chain.crt" "KEY=$work/other.key" || return
	row fail tls.served 'another certificate is served'
	handshakes noauth || return
	row fail tls.handshake 'does not speak TLS'
	row fail tls.plaintext 'plaintext is answered'
	# The key is not the certificate's: it starts, and serves nobody.
	handshakes tls "KEY=$work/other.key" || return
	row fail tls.handshake 'no handshake succeeds'
	no_row pass tls.versions
}
t "versions, ciphers and the certificate of a server that runs" live

mutual() {
	local range
	server_policy 'server_names = {"db.in.example"} client_certificates = required'
	apply
	for range in 1.2-1.2 1.2-1.3; do
		handshakes mutual VERSIONS=$range || return
		row pass tls.client_certificates 'not served'
		row pass tls.handshake succeeds
	done
	handshakes tls || return
	row fail tls.client_certificates 'without a certificate is served'
}
t "clients without a certificate, in TLS 1.2 and 1.3" mutual
finish
