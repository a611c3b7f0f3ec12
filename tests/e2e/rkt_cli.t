#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The command line as rkt 1.30 has it, through a link of that name: what docs/compatibility.md promises
# and no other test shows. Without a VM: stage1 is a few lines here.
. tests/e2e/tap.sh
. tests/e2e/stub.sh
need_command python3

export GC_LOG="$WORK/gc.log" LOG="$WORK/log"
: >"$GC_LOG"
mkdir "$WORK/bin"
ln -s "$TRIPOD" "$WORK/bin/rkt"
app=$WORK/app.aci
make_app "$app" web '"ports": [{"name": "http", "protocol": "tcp", "port": 80}]'
make_app "$WORK/db.aci" db
make_stage1 "$WORK/stage1.aci" 6 <<'EOM'
#!/bin/sh
for arg; do echo "arg=$arg"; done >"$LOG"
echo $$ >pid
mkdir -p stage1/rootfs/rkt/status
for app in $(ls appsinfo); do echo ${EXIT:-0} >stage1/rootfs/rkt/status/$app; done
exit ${EXIT:-0}
EOM
stage1=--stage1-path=$WORK/stage1.aci

# rkt WORD...: with the data directory of this test
rkt()
{
	run "$WORK/bin/rkt" --dir="$DATA" --insecure-options=image "$@"
	unwarned
}

# version (2.17)
run "$WORK/bin/rkt" version
is 'version: five lines, names and order' "$(printf '%s\n' "$out" | sed 's/: .*/:/' | tr '\n' ' ')" \
	'rkt Version: appc Version: Go Version: Go OS/Arch: Features: '
like 'version: features with + or -' "$out" '^Features: [+-]TPM [+-]SDJOURNAL$'
like 'version: this machine' "$out" '^Go OS/Arch: linux/(amd64|aarch64)$'

# the frame (1.1, 1.2, 1.3)
run "$WORK/bin/rkt"
is 'no command: status 2' "$status" 2
like 'no command: usage on stdout' "$out" '^USAGE:'
like 'no command: a short message on stderr' "$err" '^rkt: '
run "$WORK/bin/rkt" nonsense
is 'unknown command: 254, only stderr' "$status $out" '254 '
like 'unknown command: it is named, with a hint' "$err" '"nonsense" for "rkt"'
run "$WORK/bin/rkt" image
is 'bare image prints usage' "$status" 0
run "$WORK/bin/rkt" list --nonsense
is 'a bad flag: 254' "$status" 254
like 'a bad flag: usage on stdout' "$out" '^USAGE:'
is 'a bad flag: Error: and an empty line on stderr' "$(cat "$WORK/err"; echo .)" \
	"$(printf 'Error: unknown flag: --nonsense\n\n.')"
for help in --help -h; do
	run "$WORK/bin/rkt" run $help
	is "run $help succeeds" "$status" 0
done
run "$WORK/bin/rkt" help run
like 'help CMD is CMD --help' "$out" '^	run - '
is 'sections in order' "$(printf '%s\n' "$out" | grep '^[A-Z ]*:$' | tr '\n' ' ')" \
	'NAME: USAGE: DESCRIPTION: OPTIONS: GLOBAL OPTIONS: '
like 'booleans are shown as --x[=false], strings quoted' "$out" '^	--interactive\[=false\]	'
like 'string defaults are quoted' "$out" '^	--hostname=""	'
is 'options are sorted' "$(printf '%s\n' "$out" | sed -n '/^OPTIONS:/,/^$/s/^	--\([a-z0-9-]*\).*/\1/p' | LC_ALL=C sort -c 2>&1)" ''
run "$WORK/bin/rkt" help
like 'the list of commands ends with help' "$(printf '%s\n' "$out" | sed -n '/^COMMANDS:/,/^$/p' | tail -n 2)" '^	help	'
for command in api-service nonsense; do
	run "$WORK/bin/rkt" $command
	is "$command is no command" "$status" 254
done
rkt image fetch "$app"
like 'image fetch is fetch, which the list of commands does not say' "$status $out" '^0 sha512-[0-9a-f]{32}$'
rkt fetch "$WORK/none.aci" "$app"
is 'fetch: the first failure ends it' "$status $out" '254 '
for switch in 'app list' attach; do
	# shellcheck disable=SC2086 # one word or two
	run env -u RKT_EXPERIMENT_APP -u RKT_EXPERIMENT_ATTACH "$WORK/bin/rkt" $switch
	like "$switch without its experiment is an unknown command" "$status $err" '^254 .*unknown command'
done
run "$WORK/bin/rkt" --pretty-print=false config
is 'a flag of the command may stand before it' "$status $(printf '%s\n' "$out" | wc -l)" '0 1'
run "$WORK/bin/rkt" --no-legend --dir="$DATA" list
is 'mixed with global ones' "$status$out" 0
run "$WORK/bin/rkt" --dir "$DATA" lis --no-legend
is 'commands may be shortened, values may be the next word' "$status$out" 0
for word in 1 t T TRUE true True; do
	run "$WORK/bin/rkt" --dir="$DATA" list --no-legend=$word
	is "=$word is true" "$status$out" 0
done
for word in 0 f F FALSE false False; do
	run "$WORK/bin/rkt" --dir="$DATA" list --no-legend=$word
	like "=$word is false" "$status$out" '^0UUID'
done
run "$WORK/bin/rkt" --dir="$DATA" list --no-legend=yes
is 'another word is a usage error' "$status" 254

# who needs root (1.7)
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$WORK" "$WORK/bin"
	cp "$TRIPOD" "$WORK/tripod"
	ln -sf "$WORK/tripod" "$WORK/bin/user-rkt"
	mkdir "$WORK/user"
	ln -s "$WORK/tripod" "$WORK/user/rkt"
	chmod 755 "$WORK/user"
	for command in run prepare run-prepared enter rm gc 'attach' 'app exec'; do
		# shellcheck disable=SC2086 # one word or two
		run setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs env HOME=/nonexistent \
			RKT_EXPERIMENT_APP=true RKT_EXPERIMENT_ATTACH=true "$WORK/user/rkt" $command
		case $command in
		'app exec') case $err in *unknown*) continue ;; esac ;;
		esac
		like "$command: cannot run as unprivileged user, before arguments are looked at" \
			"$status $err" '^254 .*: cannot run as unprivileged user$'
	done
	run setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent "$WORK/user/rkt" version
	is 'version needs no root' "$status" 0
else
	skip 'who needs root' 'not root'
fi

# list (2.8)
rkt list --format=json
is 'list: no pod is null in JSON' "$out" null
rkt prepare "$stage1" "$app" --user-annotation=a=b --user-label=c=d --annotation=x=y --- "$WORK/db.aci" --name=store
one=$out
like 'prepare: the UUID and nothing else' "$status $out $err" '^0 [0-9a-f-]{36} $'
rkt list
is 'list: header' "$(head -n 1 "$WORK/out" | tr -s '\t')" 'UUID	APP	IMAGE NAME	STATE	CREATED	STARTED	NETWORKS'
like 'list: UUID8, name:version, state, age' "$out" \
	"^$(echo "$one" | cut -c1-8)	+web	+example\\.com/web:1\\.0	+prepared	+(now|[0-9]+ seconds? ago)	"
like 'list: one row an app, pod-wide cells in the first alone' "$out" '^	+store	+example\.com/db:1\.0	*'
rkt list --full
is 'list --full: header' "$(head -n 1 "$WORK/out" | tr -s '\t')" \
	'UUID	APP	IMAGE NAME	IMAGE ID	STATE	CREATED	STARTED	NETWORKS'
like 'list --full: UUID, 19 characters of the image ID, whole times' "$out" \
	"^$one	+web	.*	sha512-[0-9a-f]{12}	+prepared	+20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8}(\\.[0-9]{1,3})? [+-][0-9]{4} [A-Z]+	"
rkt list --no-legend
unlike 'list --no-legend: no header' "$out" UUID
like 'list: STARTED ends with a tab, also when it is empty' "$out" "	now	+	|ago	+	"
rkt list --format=nonsense
is 'list: another format is a usage error' "$status" 254
rkt list --format=json-pretty
like 'list: json-pretty is indented by tabs' "$out" '^		"name": '
cat >"$WORK/keys.py" <<'EOM'
import json, sys
pod = json.load(sys.stdin)
pod = pod[0] if isinstance(pod, list) else pod
print(*sorted(k for k in pod if k not in ("measured", "pcrs")))
print(*sorted(pod["apps"][0]))
print(type(pod["created_at"]).__name__, len(str(pod["created_at"])), len(str(pod["apps"][0]["created_at"])))
print(pod["apps"][0]["state"], pod["apps"][0].get("user_annotations"), pod["apps"][0].get("user_labels"))
print(pod["app_names"], len(pod["apps"][0]["image_id"]))
EOM
rkt status --format=json "$one"
json=$(python3 "$WORK/keys.py" <"$WORK/out")
is 'status JSON: the fields of a pod that has not started' "$(echo "$json" | sed -n 1p)" \
	'app_names apps created_at name state'
is 'status JSON: the fields of an app' "$(echo "$json" | sed -n 2p)" \
	'created_at image_id name state user_annotations user_labels'
is 'status JSON: seconds for the pod, nanoseconds for the app' "$(echo "$json" | sed -n 3p)" 'int 10 19'
is 'status JSON: user annotations and labels' "$(echo "$json" | sed -n 4p)" \
	"created {'a': 'b'} {'c': 'd'}"
is 'status JSON: app_names, and the whole key' "$(echo "$json" | sed -n 5p)" "['web', 'store'] 71"
rkt cat-manifest --pretty-print=false "$one"
like 'an annotation is of the app in the pod' "$out" '"annotations":\[.*"name":"x","value":"y"'
rkt cat-manifest "$one"
like 'cat-manifest is indented by tabs' "$out" '^	"acKind": "PodManifest"'
is 'the pod says that it can not be changed' \
	"$(printf '%s\n' "$out" | grep -A1 coreos.com/rkt/stage1/mutable | tail -n 1 | tr -d '\t')" '"value": "false"'

# UUIDs (2.1)
for command in status rm stop cat-manifest run-prepared; do
	rkt $command ''
	like "$command: UUID cannot be empty" "$status $err" '^254 .*UUID cannot be empty'
	rkt $command 00000000-0000
	like "$command: no matches found" "$status $err" '^254 .*no matches found for "00000000-0000"'
done
# until two pods begin with the same digit: 17 must
n=0
while [ "$(pods_at prepared | cut -c1 | sort | uniq -d | wc -l)" = 0 ] && [ $n -lt 17 ]; do
	rkt prepare "$stage1" "$app"
	n=$((n + 1))
done
rkt list --no-legend --full
is 'list: pods are in the order of their UUIDs' "$(printf '%s\n' "$out" | grep -o '^[0-9a-f-]\{36\}')" \
	"$(pods_at prepared | LC_ALL=C sort)"
digit=$(pods_at prepared | cut -c1 | sort | uniq -d | head -n 1)
rkt status "$digit"
like 'of several matches none is taken, and they are counted' "$status $err" \
	"^254 .*ambiguous.*$(pods_at prepared | grep -c "^$digit") matches"
for uuid in $(pods_at prepared); do
	[ "$uuid" = "$one" ] || rkt rm "$uuid"
done
printf '  %s\n\n' "$one" >"$WORK/uuid"
for command in status cat-manifest; do
	rkt $command --uuid-file="$WORK/uuid"
	is "$command --uuid-file: white space does not count" "$status" 0
done
rkt status --uuid-file="$WORK/none"
is 'status: a UUID file that can not be read is 1' "$status" 1
rkt rm --uuid-file="$WORK/none"
is 'rm: it is 254' "$status" 254

# status (2.9)
rkt status "$one"
is 'status: the keys of a prepared pod' "$(printf '%s\n' "$out" | sed 's/=.*//' | tr '\n' ' ')" 'state created '
is 'run-prepared --no-overlay, which is for callers of old' \
	"$(rkt run-prepared --no-overlay "$one"; echo "$status$err")" 0
rkt status "$one"
is 'status: the keys of a pod that has ended, in order' \
	"$(printf '%s\n' "$out" | grep -v ^app- | sed 's/=.*//' | tr '\n' ' ')" \
	'state created started networks pid exited '
is 'status: a line for each app' "$(printf '%s\n' "$out" | grep ^app- | sort | tr '\n' ' ')" 'app-store=0 app-web=0 '
for wait in --wait --wait=true --wait=10s --wait=-1s --wait=0s --wait-ready=false; do
	rkt status $wait "$one"
	is "status $wait of a pod that has ended returns" "$status" 0
done
rkt status --wait=soon "$one"
is 'status --wait wants a boolean or a duration' "$status" 254

# stop, rm, gc (2.11 to 2.13)
rkt stop "$one"
is 'stop: a pod that has ended is a notice on stdout, and success' "$status $out" \
	"0 pod \"$one\" is already stopped"
rkt prepare "$stage1" "$app"
two=$out
rkt stop "$two"
is 'stop: one that never ran is a failure' "$status$out" 254
rkt rm "$two" "$one" 0000
is 'rm: one of three is not there' "$status" 254
is 'rm: the others are gone all the same, quoted on stdout' "$(printf '%s\n' "$out" | sort)" \
	"$(printf '"%s"\n' "$one" "$two" | sort)"
like 'rm: a prepared one with a notice' "$err" "^rm: moving pod $two \\(prepared\\) to garbage"
like 'rm: and they are counted' "$err" '^rm: 1 of 3 pods could not be removed'
no_pods 'rm: nothing of them stays'
rkt run "$stage1" "$app"
rkt prepare "$stage1" "$app"
two=$out
one=$(pods_at run)
rkt gc --mark-only extra words
is 'gc --mark-only: marks, whatever else is said' "$status $(pods_at exited-garbage)" "0 $one"
like 'gc: with the UUID' "$err" "^gc: moving pod $one to exited-garbage"
rkt list --no-legend
like 'list: exited garbage' "$out" '	exited garbage	'
# held DIR WORD...: rkt while somebody has the lock of a pod
held()
{
	dir=$1
	shift
	run flock "$dir" "$WORK/bin/rkt" --dir="$DATA" --insecure-options=image "$@"
	unwarned
}
held "$DATA/pods/exited-garbage/$one" list --no-legend
like 'list: exited deleting, while it is locked' "$out" '	exited deleting	'
held "$DATA/pods/exited-garbage/$one" gc --grace-period=0s
is 'gc: what another collector has is passed over without a word' "$status $out$err $(pods_at exited-garbage)" \
	"0  $one"
held "$DATA/pods/exited-garbage/$one" rm "$one"
like 'rm: so it is not by rm' "$status $err" '^254 .*deleting'
mv "$DATA/pods/exited-garbage/$one/stage1/manifest" "$WORK/stage1-manifest"
rkt gc
like 'gc: the period is said in the words of Go' "$err" "^gc: pod $one .*30m0s"
is 'gc: prepared pods have a day' "$(pods_at prepared)" "$two"
rkt gc --grace-period=0 --expire-prepared=0s
is 'gc: 0 needs no unit' "$status" 0
is 'gc: without a manifest of stage1 there is no entry point to call, which is no failure' \
	"$status $(pods_at exited-garbage)" '0 '
is 'gc: what is deleted is on stdout, quoted' "$(printf '%s\n' "$out" | sort)" \
	"$(printf 'Garbage collecting pod "%s"\n' "$one" "$two" | sort)"
for period in 1 x -1x 5; do
	rkt gc --grace-period=$period
	is "gc: $period is no period" "$status" 254
done

# an aborted preparation
mv "$DATA/locks" "$WORK/locks" && : >"$DATA/locks"
rkt prepare "$stage1" "$app"
rm "$DATA/locks" && mv "$WORK/locks" "$DATA/locks"
rkt list --no-legend
like 'list: an aborted one has - for its app and image' "$out" '^[0-9a-f]{8}	+-	+-	+aborted prepare	'
is 'list: and does not make it fail' "$status" 0
half=$(pods_at prepare)
held "$DATA/pods/prepare/$half" list --no-legend
like 'list: while somebody has its lock it is preparing' "$out" '	preparing	'
held "$DATA/pods/prepare/$half" rm "$half"
like 'rm: refuses it then' "$status $err" '^254 .*preparing'
rkt rm "$half"
is 'rm: takes it away' "$status" 0

# the pod's directory (4.4)
rkt prepare "$stage1" "$app"
uuid=$out
pod=$DATA/pods/prepared/$uuid
for file in pod pod.lck pod-created stage1/manifest stage1TreeStoreID appsinfo/web/manifest \
	appsinfo/web/treeStoreID; do
	ok "a pod has $file" test -e "$pod/$file"
done
is 'its manifest is compact' "$(wc -l <"$pod/pod" | tr -d ' ')" 0
is 'its tree is where rkt has it' "$(cat "$pod/stage1/rootfs/opt/stage2/web/rootfs/bin/app")" 'content of web'
is 'pods are not for others' "$(stat -c %a "$pod" "$DATA" | tr '\n' ' ')" '750 750 '
is 'all places for pods are there' "$(find "$DATA/pods" -mindepth 1 -maxdepth 1 -printf "%f\n" | sort | tr '\n' ' ')" \
	'embryo exited-garbage garbage prepare prepared run '

# what prepare has not, what run-prepared has (2.4, 2.5)
for option in --net=none --dns=host --dns-search=x --dns-opt=x --dns-domain=x --hosts-entry=host \
	--hostname=x --interactive --uuid-file-save=/dev/null; do
	rkt prepare $option "$stage1" "$app"
	is "prepare has no ${option%%=*}" "$status" 254
done
rkt run-prepared --net=none --dns=192.0.2.1 --dns-search=s --dns-opt=o --dns-domain=d \
	--hosts-entry=192.0.2.2=h --hostname=box "$uuid"
is 'run-prepared has them' "$status" 0
is 'and stage1 is told of them' "$(sort "$LOG" | grep -v -e local-config -e "$uuid" | tr '\n' ' ')" \
	'arg=--dns-conf-mode=resolv=stage0,hosts=stage0 arg=--hostname=box arg=--net=none '

# options of run (2.3)
mistake()
{
	what=$1 why=$2
	shift 2
	rkt run "$stage1" "$@"
	like "$what" "$status $err" "^254 .*$why"
}
mistake '--set-env: the same key twice' 'given twice' --set-env=A=1 --set-env=A=2 "$app"
printf 'A=1\n; comment\n# comment\n\nB=2\n' >"$WORK/env1"
printf 'A=2\n' >"$WORK/env2"
printf 'A = b\n' >"$WORK/env3"
mistake '--set-env-file: the same key in two files' 'A' --set-env-file="$WORK/env1" --set-env-file="$WORK/env2" "$app"
mistake '--set-env-file: nothing is trimmed' 'A ' --set-env-file="$WORK/env3" "$app"
mistake '--no-store and --store-only exclude each other' 'store' --no-store --store-only "$app"
mistake '--pull-policy: another word' 'pull-policy' --pull-policy=nonsense "$app"
mistake '--port: bad syntax' 'port' --port=http "$app"
mistake '--port: a name no app has' 'none' --port=none:8080 "$app"
mistake '--port: none to publish on' 'port' --net=none --port=http:8080 "$app"
mistake '--net: a name twice' 'twice' --net=a,a "$app"
mistake '--net: no name' 'without a name' --net=a,,b "$app"
mistake '--net: arguments for all' 'no arguments' --net=all:a=b "$app"
mistake '--net: two colons' 'colon' --net=a:b=c:d "$app"
mistake '--dns: host and another' 'dns' --dns=host --dns=192.0.2.1 "$app"
mistake '--dns: no address' 'dns' --dns=example.com "$app"
mistake '--dns-search with none' 'dns' --dns=none --dns-search=x "$app"
mistake '--hosts-entry: no address' 'hosts-entry' --hosts-entry=x=y "$app"
mistake '--hosts-entry: host and another' 'hosts-entry' --hosts-entry=host --hosts-entry=192.0.2.1=a "$app"
mistake '--readonly-rootfs wants a boolean' 'readonly-rootfs' "$app" --readonly-rootfs=maybe
mistake '--name: not a valid name' 'name' "$app" --name=A_B
mistake '--cpu-shares: below 2' 'cpu-shares' "$app" --cpu-shares=1
mistake '--cpu-shares: above 262144' 'cpu-shares' "$app" --cpu-shares=262145
mistake '--oom-score-adj: beyond 1000' 'oom-score-adj' "$app" --oom-score-adj=1001
mistake '--caps-retain and --caps-remove exclude each other' 'caps' "$app" --caps-retain=CAP_KILL --caps-remove=CAP_KILL
mistake '--annotation: malformed' 'annotation' "$app" --annotation=x
mistake '--working-dir: relative' 'orking' "$app" --working-dir=x
mistake '--supplementary-gids: no number' 'supplementary' "$app" --supplementary-gids=x
mistake 'arguments without an image' 'image' -- x
rkt run --name=x "$stage1" "$app"
is 'a flag of an app before the first image is a usage error' "$status" 254
like 'with the usage on stdout' "$out" '^USAGE:'
rkt run "$stage1" --no-store "$app"
like 'deprecated flags name what replaces them' "$status $err" '^0 .*--no-store.*--pull-policy=update'
rkt run "$stage1" --port=http:18080 --net=default "$app"
is '--port may stand before an image' "$status" 0
rkt run "$stage1" --net=default "$app" --port=http:127.0.0.1:18080
is 'or after it' "$status" 0
rkt run "$stage1" --net "$app"
is '--net without a value is the default network' "$status $(grep -c '^arg=--net=default$' "$LOG")" '0 1'
rkt run "$stage1" "$app"
is 'the status of run is that of stage1' "$status" 0
rkt run "$stage1" --net= "$app"
is '--net with an empty list is, too' "$status $(grep -c '^arg=--net=default$' "$LOG")" '0 1'
EXIT=5
export EXIT
rkt run "$stage1" "$app"
is 'whatever it is' "$status" 5
unset EXIT

# words of --insecure-options (3.1)
for words in none image tls ondisk http pubkey capabilities paths seccomp all-fetch all-run all \
	IMAGE,Tls image,http,pubkey; do
	run "$WORK/bin/rkt" --dir="$DATA" --insecure-options=$words list
	is "--insecure-options=$words is known" "$status" 0
done
for words in nonsense image,image ''; do
	run "$WORK/bin/rkt" --dir="$DATA" --insecure-options="$words" list
	is "--insecure-options='$words' is a usage error" "$status" 254
done
run "$WORK/bin/rkt" --dir="$DATA" --insecure-options=all --insecure-options=none run "$stage1" "$app"
is 'the last --insecure-options counts' "$status" 254
ln -s "$DATA" "$WORK/data-link"
run "$WORK/bin/rkt" --dir="$WORK/data-link" list --no-legend
is '--dir: links are followed' "$status" 0
run "$WORK/bin/rkt" --dir="$WORK/new/dir" list --no-legend
is '--dir: made on demand' "$status $(find "$WORK/new/dir" -maxdepth 1 -name pods | wc -l)" '0 1'
for flag in --system-config --local-config --user-config; do
	run "$WORK/bin/rkt" --dir="$DATA" $flag="$WORK/nowhere" config
	is "$flag: one that is not there is fine" "$status" 0
done
rkt --debug prepare "$stage1" "$app"
like '--debug: what is done is told' "$err" '^prepare: Writing pod manifest$'

rkt completion bash
is 'completion bash: a script' "$status" 0
rkt completion
is 'completion: no shell is an error' "$status" 254

rkt gc --grace-period=0s --expire-prepared=0s
is 'gc takes it all away' "$status" 0
no_pods 'no pod is left'
no_leaks 'nor anything else'
done_testing
