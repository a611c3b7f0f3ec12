# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2034 # variables for the tests
#
# A registry for a test: Debian's docker-registry on loopback, with TLS. Read after tap.sh.
#
#	make_ca
#	start_registry NAME basic     user "user", password "pass:word"; none lets everybody in
#	echo "$REGISTRY"              127.0.0.1:PORT, its log is $WORK/NAME.log

# A CA, which is the server's certificate as well: $WORK/ca.pem, $WORK/key.pem
make_ca()
{
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test \
		-addext subjectAltName=IP:127.0.0.1,DNS:localhost \
		-keyout "$WORK/key.pem" -out "$WORK/ca.pem" >/dev/null 2>&1
	mkdir -p "$WORK/certs"
	cp "$WORK/ca.pem" "$WORK/certs/ca.crt"
}

# listens LOG ERE: wait until a server says so
listens()
{
	wait_for has_line "$1" "$2" || bail "nothing in $1 matches $2: $(head -n 3 "$1")"
}

# registry_config NAME, the part about authorization on stdin
registry_config()
{
	cat >"$WORK/$1.yml" <<-EOM
	version: 0.1
	log: {level: info, formatter: text, accesslog: {disabled: false}}
	storage: {filesystem: {rootdirectory: $WORK/$1}}
	http:
	  addr: 127.0.0.1:0
	  secret: x
	  tls: {certificate: $WORK/ca.pem, key: $WORK/key.pem}
	EOM
	cat >>"$WORK/$1.yml"
}

start_registry()
{
	case $2 in
	basic)
		# bcrypt of pass:word
		cat >"$WORK/htpasswd" <<-'EOM'
		user:$2y$05$gxwjF8Vpw/zXiol4V1hNueS0CqF.ZNXXjYaTSGTiIitAu2quehbFq
		EOM
		registry_config "$1" <<-EOM
		auth: {htpasswd: {realm: test, path: $WORK/htpasswd}}
		EOM
		;;
	token) # TOKEN_REALM is where tokens are
		registry_config "$1" <<-EOM
		auth:
		  token:
		    realm: $TOKEN_REALM
		    service: test
		    issuer: test
		    rootcertbundle: $WORK/ca.pem
		EOM
		;;
	none) registry_config "$1" </dev/null ;;
	esac
	# it takes variables called REGISTRY_... for its configuration
	env -u REGISTRY_AUTH_FILE TRIPOD_TEST="$WORK" docker-registry serve "$WORK/$1.yml" \
		>"$WORK/$1.log" 2>&1 </dev/null &
	listens "$WORK/$1.log" 'listening on 127'
	REGISTRY=$(sed -n 's/.*listening on \(127\.0\.0\.1:[0-9]*\).*/\1/p' "$WORK/$1.log")
}
