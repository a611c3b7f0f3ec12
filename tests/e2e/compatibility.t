#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# docs/compatibility.md names tests and checks in them: each is there, and each row says something.
. tests/e2e/tap.sh
need_command python3

cat >"$WORK/check.py" <<'END'
import os, re, sys

def text_of(name):
    """The source of a test, its names as they are printed (but for variables)."""
    path = "tests/unit/%s.c" % name if name.startswith("test_") else "tests/e2e/" + name
    if not os.path.exists(path):
        return None
    with open(path) as f:
        text = f.read()
    # helpers that name a check by what they are given: an app, and what is to be found of it
    for app, rows in re.findall(r"^can (\S+) '([^']*)'", text, re.M):
        text += "".join("\n'%s: %s'" % (app, row) for row in rows.split())
    for app, uid, gid, groups in re.findall(r"^is_id (\S+) (\d+) (\d+) (\S+)", text, re.M):
        text += "\n'{0}: Uid={1}' '{0}: Gid={2}' '{0}: Groups={3}'".format(
            app, ",".join([uid] * 4), ",".join([gid] * 4), groups.strip("'"))
    return text.replace("'\\''", "'").replace("'\"'\"'", "'").replace('\\"', '"')

rows = tests = 0
for line in open("docs/compatibility.md"):
    if not line.startswith("| ") or line == "| of rkt | here |\n":
        continue
    rows += 1
    cells = line[2:].rstrip().removesuffix(" |").split(" | ")
    if len(cells) != 2 or not all(cell.strip() for cell in cells):
        print("not a row: " + line.strip())
        continue
    for part in cells[1].split("<br>"):
        match = re.match(r"`([a-z0-9_]+\.(?:t|py)|test_[a-z0-9_]+)`(?:: (.*))?$", part)
        if not match:
            continue
        tests += 1
        source, name = text_of(match[1]), match[2]
        if source is None:
            print("there is no " + match[1])
        elif not name:
            print("%s: no check is named" % match[1])
        elif not re.search("[\"'(]" + re.escape(name) + "[\"',)]", source):
            print("%s has no test called: %s" % (match[1], name))
print(rows, tests, file=sys.stderr)
END
run python3 "$WORK/check.py"
is 'each test that is named is there' "$status $out" '0 '
ok 'there are rows, and tests' test "${err% *}" -gt 200 -a "${err#* }" -gt 200
done_testing
