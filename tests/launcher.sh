#!/usr/bin/env bash
# The launcher's own promises, held with stand-ins for the three programs: it starts them in order, ends them in
# order whatever happens, leaves none behind, and its exit status tells the truth.
set -euo pipefail
# Job control gives each launcher a process group, so that a signal can be sent as a terminal's Ctrl-C sends it.
set -m

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/bin" "$scratch/tmp"

# A stand-in notes in $NOTES what it does, ends on SIGTERM, and otherwise does what its variable says.
cat >"$scratch/bin/p2c2r-stand-in" <<'EOF'
#!/usr/bin/env bash
me=${0##*/p2c2r-} name=coordinator
note() { echo "$*" >>"$NOTES"; }
if [ "$me $1" = "server ledger" ]; then note "ledger $2"; [ "$2" != check ] || exit "${LEDGER_STATUS:-0}"; exit 0; fi
while [ $# -gt 0 ]; do
  case $1 in
    --ready-file) ready=$2 ;;
    --report) report=$2 ;;
    --screenshot) screenshot=$2 ;;
    --name) name=$2 ;;
  esac
  shift
done
[ "$me" != game ] || name=game
exec {idle}<> <(:)
pause() { read -rt "$1" -u "$idle" _; }
trap 'note "$name ended"; exit 0' TERM
trap 'note "$name saw SIGINT"' INT
note "$name started"
echo $$ >>"$PIDS"
[ -z "${ready:-}" ] || { echo 127.0.0.1:9 >"$ready.part" && mv "$ready.part" "$ready"; }
doing=${name^^} doing=${doing//-/_}
case ${!doing:-} in
  dies) pause 0.3; note "$name died"; exit 7 ;;
  deaf) trap 'note "$name is deaf"' TERM ;;
  no-window) [ -n "${report:-}" ] || { echo "There is no adapter."; exit 69; } ;;
  waits) while :; do pause 1; done ;;
esac
if [ "$me" = game ]; then
  pause 0.6
  echo "HUD line"
  [ -z "${screenshot:-}" ] || echo picture >"$screenshot"
  [ -z "${report:-}" ] ||
    printf '{"kinds": {"path": {"remote": %s}}, "ledger_balanced": null}\n' "${REMOTE:-3}" >"$report"
  note "game ended"
  exit 0
fi
while :; do pause 1; done
EOF
chmod +x "$scratch/bin/p2c2r-stand-in"
for program in server worker game; do ln -s p2c2r-stand-in "$scratch/bin/p2c2r-$program"; done

export P2C2R_BIN_DIR=$scratch/bin P2C2R_NO_INSTALL=1 TMPDIR=$scratch/tmp XDG_DATA_HOME=$scratch/data
unset DISPLAY

failures=0
fail() {
  echo "FAILED $case: $*"
  sed 's/^/    /' "$scratch/out" "$NOTES"
  failures=$((failures + 1))
}

# begin NAME: fresh notes for one case.
begin() {
  case=$1 && [ -z "${LAUNCHER_TIMES:-}" ] || echo "$SECONDS $1"
  export NOTES=$scratch/notes.$1 PIDS=$scratch/pids.$1
  : >"$NOTES" && : >"$PIDS"
}

launch() {
  local status=0
  "$root/p2c2r" "$@" >"$scratch/out" 2>&1 </dev/null || status=$?
  echo "$status" >"$scratch/status"
}

status_is() { [ "$(cat "$scratch/status")" = "$1" ] || fail "exit status $(cat "$scratch/status"), not $1"; }
said() { grep -q -e "$1" "$scratch/out" || fail "did not say: $1"; }
noted() { grep -q -x -e "$1" "$NOTES" || fail "did not happen: $1"; }
not_noted() { ! grep -q -x -e "$1" "$NOTES" || fail "happened: $1"; }
# in_order A B: the first A in the notes comes before the first B.
in_order() {
  awk -v a="$1" -v b="$2" '$0 == a && !x { x = NR } $0 == b && !y { y = NR } END { exit !(x && y && x < y) }' "$NOTES" ||
    fail "not in this order: $1, $2"
}

# Every stand-in has ended. A child ended by the kernel may need a moment: up to five seconds.
none_left() {
  local pid tries
  while read -r pid; do
    for ((tries = 0; tries < 50; tries++)); do
      kill -0 "$pid" 2>/dev/null || continue 2
      read -rt 0.1 <> <(:) || true
    done
    fail "process $pid was left behind" && kill -KILL "$pid"
  done <"$PIDS"
}

# Starts the launcher in the background and returns when its note $1 is there; sets $launcher.
launch_until() {
  local note=$1 tries
  shift
  "$root/p2c2r" "$@" >"$scratch/out" 2>&1 </dev/null &
  launcher=$!
  for ((tries = 0; tries < 100; tries++)); do
    ! grep -q -x "$note" "$NOTES" || return 0
    read -rt 0.1 <> <(:) || true
  done
  fail "never happened: $note"
}

join() {
  local status=0
  wait "$launcher" 2>/dev/null || status=$?
  echo "$status" >"$scratch/status"
}

begin demo_ends_well
launch demo --seconds 1 --report "$scratch/report.json"
status_is 0 && said "HUD line" && said "Everything worked" && none_left
grep -q '"ledger_balanced": true' "$scratch/report.json" || fail "the report does not say that the ledger balances"
in_order "coordinator started" "worker-2 started" && in_order "game ended" "worker-1 ended"
in_order "worker-2 ended" "coordinator ended" && in_order "coordinator ended" "ledger check"
[ -z "$(ls -A "$scratch/tmp")" ] || fail "left files behind"

begin demo_fails_when_the_ledger_does_not_balance
LEDGER_STATUS=1 launch demo --seconds 1 --report "$scratch/report.json"
status_is 1 && said "does not balance"
grep -q '"ledger_balanced": false' "$scratch/report.json" || fail "the report does not say that the ledger is off"

begin demo_fails_when_no_worker_computed_anything
REMOTE=0 launch demo --seconds 1
status_is 1 && said "no worker computed"

begin demo_ends_when_the_coordinator_dies
COORDINATOR=dies GAME=waits launch demo --seconds 60
status_is 1 && said "coordinator ended" && noted "game ended" && none_left

begin demo_goes_on_when_a_worker_dies_but_fails
WORKER_1=dies launch demo --seconds 1
status_is 1 && said "worker-1 ended" && noted "game ended" && noted "ledger check" && none_left

begin demo_fails_when_the_game_fails
echo '{"of": "an earlier run"}' >"$scratch/report.json"
GAME=dies launch demo --seconds 1 --report "$scratch/report.json"
status_is 1 && said "game ended with status 7" && noted "coordinator ended" && none_left
[ ! -e "$scratch/report.json" ] || fail "left an earlier run's report"

begin demo_ends_a_child_that_does_not_end_itself
WORKER_2=deaf launch demo --seconds 1 --workers 2
status_is 1 && said "worker-2 did not end when asked" && none_left

begin ctrl_c_reaches_the_launcher_only_and_ends_all
GAME=waits launch_until "game started" demo --seconds 60
kill -INT -- "-$launcher" && join
status_is 130 && none_left && not_noted "worker-1 saw SIGINT" && in_order "worker-1 ended" "coordinator ended"

begin sigterm_ends_all
GAME=waits launch_until "game started" demo --seconds 60
kill -TERM "$launcher" && join
status_is 143 && none_left && in_order "game ended" "coordinator ended"

if setpriv --pdeathsig TERM true 2>/dev/null; then
  begin children_of_a_killed_launcher_end
  GAME=waits launch_until "game started" demo --seconds 60
  kill -KILL "$launcher" && join
  none_left && noted "coordinator ended"
fi

begin play_without_a_display_goes_on_as_demo
launch play --workers 1
status_is 0 && said "no X11 display" && said "HUD line" && none_left

# Every library is said to be there, and a software driver: so this case is the same on every machine.
begin play_with_a_window_ends_well_and_leaves_nothing_behind
mkdir "$scratch/libraries"
cat >"$scratch/libraries/ldconfig" <<'EOF'
#!/bin/sh
sed 's/.*/\t& (libc6)/' <<'NAMES'
libX11.so.6
libX11-xcb.so.1
libXcursor.so.1
libXi.so.6
libXrandr.so.2
libxkbcommon.so.0
libxkbcommon-x11.so.0
libvulkan.so.1
NAMES
EOF
chmod +x "$scratch/libraries/ldconfig"
rm -rf "$scratch/tmp"/*
PATH=$scratch/libraries:$PATH VK_DRIVER_FILES=lvp DISPLAY=elsewhere:0 launch play --port 0
status_is 0 && said "Keys: " && noted "coordinator ended" && none_left && not_noted "ledger check"
[ -z "$(ls -A "$scratch/tmp")" ] || fail "left files behind"

# A display on another host is believed to be there; without a Vulkan driver the sentence is another.
begin play_whose_game_finds_no_window_goes_on_as_demo
DISPLAY=elsewhere:0 GAME=no-window launch play --port 0
status_is 0 && said "as .demo." && said "HUD line" && none_left

begin wrong_options_are_usage_errors
for options in "demo --workers x" "demo --nonsense" "play --port" "dance"; do
  # shellcheck disable=SC2086 # words
  launch $options
  status_is 2
done

[ "$failures" = 0 ] || { echo "launcher: $failures failed" && exit 1; }
echo "launcher: every promise held"
