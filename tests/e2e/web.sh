# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# The web for a test (web.py). Read after tap.sh.

# web DIR HOST...: all hosts of the web are answered from DIR, HOST... with https too; tripod is
# pointed there by the environment. Requests are logged in $WORK/requests.
web()
{
	web_dir=$1
	shift
	web_names=$(printf ',DNS:%s' "$@")
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test \
		-addext "subjectAltName=${web_names#,}" -keyout "$WORK/tls.key" \
		-out "$WORK/tls.crt" 2>/dev/null
	TRIPOD_TEST=$WORK python3 tests/e2e/web.py "$web_dir" "$WORK/requests" "$WORK/tls.crt" \
		"$WORK/tls.key" >"$WORK/port" &
	wait_for test -s "$WORK/port" || bail 'there is no web'
	unset HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy NO_PROXY no_proxy
	http_proxy=http://127.0.0.1:$(cat "$WORK/port")
	https_proxy=$http_proxy
	SSL_CERT_FILE=$WORK/tls.crt
	export http_proxy https_proxy SSL_CERT_FILE
}
