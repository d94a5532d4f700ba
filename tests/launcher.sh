#!/usr/bin/env bash
# The launcher's own promises, checked with stand-ins for the three programs: it starts them in order, ends them in
# order whatever happens, leaves none behind, and its exit status tells the truth.
set -euo pipefail

# A job that a script starts in the background ignores SIGINT, and no shell can trap what was ignored when it
# started: so the signals that the cases below send are given their defaults first.
if [ -z "${LAUNCHER_SIGNALS:-}" ] && env --default-signal=INT true 2>/dev/null; then
  LAUNCHER_SIGNALS=default exec env --default-signal=INT,HUP,TERM "${BASH_SOURCE[0]}" "$@"
fi
unset LAUNCHER_SIGNALS

# Job control gives each launcher a process group, so that a signal can be sent as a terminal's Ctrl-C sends it.
set -m

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
outside=$(mktemp -d)
trap 'rm -rf "${outside:?}"' EXIT
# Every path below has a space in it, the launcher's own too, which is called through a symbolic link.
scratch="$outside/of all cases"
mkdir -p "$scratch/check out" "$scratch/bin" "$scratch/tmp"
cp "$root/p2c2r" "$scratch/check out/"
p2c2r=$scratch/p2c2r
ln -s "check out/p2c2r" "$p2c2r"

# A stand-in notes in $NOTES what it does, ends on SIGTERM, and otherwise does what its variable says.
cat >"$scratch/bin/p2c2r-stand-in" <<'EOF'
#!/usr/bin/env bash
me=${0##*/p2c2r-} name=coordinator
note() { echo "$*" >>"$NOTES"; }
if [ "$me $1" = "server invite" ]; then note "invite $2"; echo "p2c2r://127.0.0.1:9/for-a-$2#key"; exit 0; fi
if [ "$me $1" = "server ledger" ]; then note "ledger $2"; [ "$2" != check ] || exit "${LEDGER_STATUS:-0}"; exit 0; fi
while [ $# -gt 0 ]; do
  case $1 in
    --ready-file) ready=$2 ;;
    --report) report=$2 ;;
    --screenshot) screenshot=$2 ;;
    --film) film=$2 ;;
    --name) name=$2 ;;
  esac
  shift
done
[ "$me" != game ] || name=game
exec {idle}<> <(:)
pause() { read -rt "$1" -u "$idle" _; }
until_noted() {
  local tries
  for ((tries = 0; tries < 1200; tries++)); do
    ! grep -q -x "$1" "$NOTES" || return 0
    pause 0.05
  done
  note "$name waited a minute for \`$1\`"
  exit 1
}
trap 'note "$name ended"; exit 0' TERM
trap 'note "$name saw SIGINT"' INT
note "$name started"
[ "$me" != game ] || note "game joins $P2C2R_JOIN"
[ "$me" != worker ] || note "$name joins $P2C2R_JOIN"
echo $$ >>"$PIDS"
[ -z "${ready:-}" ] || { echo 127.0.0.1:9 >"$ready.part" && mv "$ready.part" "$ready"; }
doing=${name^^} doing=${doing//-/_}
case ${!doing:-} in
  dies) until_noted "game started"; note "$name died"; exit 7 ;;
  deaf) trap 'note "$name is deaf"' TERM ;;
  no-window) [ -n "${report:-}" ] || { echo "There is no adapter."; exit 69; } ;;
  waits) while :; do pause 1; done ;;
esac
if [ "$me" = game ]; then
  pause 0.3
  [ "${WORKER_1:-}" != dies ] || until_noted "worker-1 died"
  echo "HUD line"
  [ -z "${screenshot:-}" ] || echo picture >"$screenshot"
  [ -z "${film:-}" ] || { mkdir -p "$film" && echo picture >"$film/0001.png"; }
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

# What the launcher is started with, for example `env NAME=VALUE`.
as=()
failures=0
fail() {
  echo "FAILED $case: $*"
  sed 's/^/    /' "$scratch/out" "$NOTES"
  failures=$((failures + 1))
}

# begin NAME: fresh notes for one case.
begin() {
  case=$1 as=() && [ -z "${LAUNCHER_TIMES:-}" ] || echo "$SECONDS $1"
  export NOTES=$scratch/notes.$1 PIDS=$scratch/pids.$1
  : >"$NOTES" && : >"$PIDS"
}

launch() {
  local status=0
  "${as[@]}" "$p2c2r" "$@" >"$scratch/out" 2>&1 </dev/null || status=$?
  echo "$status" >"$scratch/status"
}

status_is() { [ "$(cat "$scratch/status")" = "$1" ] || fail "exit status $(cat "$scratch/status"), not $1"; }
said() { grep -q -e "$1" "$scratch/out" || fail "did not say: $1"; }
noted() { grep -q -x -e "$1" "$NOTES" || fail "did not happen: $1"; }
noted_times() {
  [ "$(grep -c -x -e "$2" "$NOTES")" = "$1" ] || fail "did not happen $1 times: $2"
}
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
launch_until() { launch_until_times 1 "$@"; }

# The same, when the note is there for the $1st time.
launch_until_times() {
  local times=$1 note=$2 tries
  shift 2
  "${as[@]}" "$p2c2r" "$@" >"$scratch/out.of-launcher" 2>&1 </dev/null &
  launcher=$!
  for ((tries = 0; tries < 100; tries++)); do
    [ "$(grep -c -x "$note" "$NOTES")" -lt "$times" ] || return 0
    read -rt 0.1 <> <(:) || true
  done
  fail "never happened: $note"
}

join() {
  local status=0
  wait "$launcher" 2>/dev/null || status=$?
  cp "$scratch/out.of-launcher" "$scratch/out"
  echo "$status" >"$scratch/status"
}

# This case waits ten seconds for a deaf worker. It runs beside all others, and its result is checked at the end.
begin demo_ends_a_child_that_does_not_end_itself
mkdir "$scratch/tmp of deaf"
TMPDIR="$scratch/tmp of deaf" WORKER_2=deaf \
  "$p2c2r" demo --seconds 1 --workers 2 >"$scratch/out of deaf" 2>&1 </dev/null &
deaf=$!

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

begin ctrl_c_reaches_the_launcher_only_and_ends_all
GAME=waits launch_until "game started" demo --seconds 60
kill -INT -- "-$launcher" && join
status_is 130 && none_left && not_noted "worker-1 saw SIGINT" && in_order "worker-1 ended" "coordinator ended"

begin a_hangup_ends_all
GAME=waits launch_until "game started" demo --seconds 60
kill -HUP -- "-$launcher" && join
status_is 129 && none_left && in_order "game ended" "coordinator ended"

# If the hang-up had ended it, its status would be 129.
begin a_hangup_that_nohup_ignores_ends_nothing
# shellcheck disable=SC2016 # the inner shell's words
as=(sh -c 'trap "" HUP && exec "$0" "$@"')
GAME=waits launch_until "game started" demo --seconds 60
kill -HUP -- "-$launcher" && kill -TERM "$launcher" && join
status_is 143 && none_left && in_order "game ended" "coordinator ended"

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

# A stand-in says that every library is there, and a variable names a software driver, so these cases are the same on
# every machine.
mkdir "$scratch/libraries"
cat >"$scratch/libraries/ldconfig" <<'EOF'
#!/bin/sh
grep -v "${LACKS:-^$}" <<'NAMES' | sed 's/.*/\t& (libc6)/'
libX11.so.6
libX11-xcb.so.1
libXcursor.so.1
libXi.so.6
libXrandr.so.2
libxkbcommon.so.0
libxkbcommon-x11.so.0
libvulkan.so.1
libEGL.so.1
NAMES
EOF
chmod +x "$scratch/libraries/ldconfig"
with_window=(env "PATH=$scratch/libraries:$PATH" VK_DRIVER_FILES=lvp DISPLAY=elsewhere:0)

begin play_with_a_window_ends_well_and_leaves_nothing_behind
rm -rf "${scratch:?}/tmp" && mkdir "$scratch/tmp"
as=("${with_window[@]}")
launch play --port 0
status_is 0 && said "Keys: " && noted "coordinator ended" && none_left && not_noted "ledger check"
[ -z "$(ls -A "$scratch/tmp")" ] || fail "left files behind"

begin play_without_vulkan_draws_with_opengl_and_with_neither_goes_on_as_demo
as=("${with_window[@]}" LACKS=libvulkan)
launch play --port 0
status_is 0 && said "drawing with OpenGL" && said "Keys: " && none_left
as=("${with_window[@]}" 'LACKS=libvulkan\|libEGL')
launch play --workers 1
status_is 0 && said "no graphics driver here: going on as .demo." && said "HUD line" && none_left

# A stand-in for cat shows a system without IPv6 on which a program listens on TCP port 8800 (hexadecimal 2260).
begin a_taken_port_is_found_without_ipv6_too
cat >"$scratch/libraries/cat" <<'EOF'
#!/bin/sh
case $1 in
  /proc/net/tcp) echo "   0: 0100007F:2260 00000000:0000 0A" && exit 1 ;;
  /proc/net/*) exit 1 ;;
esac
exec /bin/cat "$@"
EOF
chmod +x "$scratch/libraries/cat"
as=("${with_window[@]}")
launch play --port 8800
status_is 0 && said "Port 8800 is taken" && none_left
launch play --port 8801
status_is 0 && ! grep -q "is taken" "$scratch/out" || fail "port 8801 is free"
rm "$scratch/libraries/cat"

if command -v flock >/dev/null; then
  begin a_second_play_joins_the_first_ones_coordinator
  as=("${with_window[@]}")
  GAME=waits launch_until "game started" play --port 0
  launch play --port 0
  status_is 0 && said "joining its coordinator on 127.0.0.1:9" && noted_times 2 "game joins p2c2r://127.0.0.1:9/for-a-gamer#key"
  noted_times 1 "coordinator started" && noted_times 1 "worker-1 started" && not_noted "coordinator ended"
  launch play --port 0 --workers 1
  status_is 0 && noted_times 2 "worker-1 started" && noted_times 1 "worker-1 ended"
  launch play --port 0 --db "$scratch/another ledger"
  status_is 0 && noted_times 2 "coordinator started" && noted_times 1 "coordinator ended"
  kill -TERM "$launcher" && join
  none_left && noted_times 2 "coordinator ended"
  launch play --port 0
  status_is 0 && noted_times 3 "coordinator started" && none_left

  begin a_play_that_has_joined_goes_on_when_the_first_ends
  as=("${with_window[@]}")
  GAME=waits launch_until "game started" play --port 0
  first=$launcher
  GAME=waits launch_until_times 2 "game started" play --port 0
  kill -TERM "$first"
  wait "$first" || true
  noted "coordinator ended"
  kill -0 "$launcher" || fail "ended with the first"
  kill -TERM "$launcher" && join
  status_is 143 && said "joining" && none_left
fi

begin without_home_the_ledger_is_where_the_system_knows_the_user
printf '#!/bin/sh\necho "user:x:1:1::%s:/bin/sh"\n' "$scratch/someone" >"$scratch/libraries/getent"
chmod +x "$scratch/libraries/getent"
for unset in "-u HOME" "HOME=" "HOME=relative"; do
  rm -rf "${scratch:?}/someone"
  # shellcheck disable=SC2206 # words
  as=(env -u XDG_DATA_HOME $unset "${with_window[@]}")
  (cd "$scratch" && launch play --port 0)
  status_is 0 && said "ledger in $scratch/someone/.local/share/p2c2r/results.db"
done
as=(env HOME="$scratch/someone" "${with_window[@]}" XDG_DATA_HOME=relative)
(cd "$scratch" && launch play --port 0)
status_is 0 && said "ledger in $scratch/someone/.local/share/p2c2r/results.db" && none_left
[ ! -e "$scratch/relative" ] || fail "a relative XDG_DATA_HOME was used"

begin without_any_home_it_says_what_to_set
printf '#!/bin/sh\nexit 2\n' >"$scratch/libraries/getent"
as=(env -u XDG_DATA_HOME -u HOME "${with_window[@]}")
launch play --port 0
status_is 1 && said "set HOME or XDG_DATA_HOME" && not_noted "coordinator started"
launch play --port 0 --db "$scratch/named.db"
status_is 0 && said "ledger in $scratch/named.db"
for verb in "demo --seconds 1" doctor help "game --name x"; do
  # shellcheck disable=SC2086 # words
  launch $verb
  ! grep -q "unbound variable" "$scratch/out" || fail "$verb needs HOME"
done
none_left
rm "$scratch/libraries/getent"

begin the_way_to_a_coordinator_is_examined_by_the_doctors_program
as=()
launch doctor --join p2c2r://127.0.0.1:9/x --seconds 1
status_is 1 && said "P2C2R_BIN_DIR has no program p2c2r-doctor"
printf '#!/bin/sh\necho "examined: $*"\nexit 3\n' >"$scratch/bin/p2c2r-doctor" && chmod +x "$scratch/bin/p2c2r-doctor"
launch doctor --join p2c2r://127.0.0.1:9/x --seconds 1
status_is 3 && said "examined: --join p2c2r://127.0.0.1:9/x --seconds 1"
rm "$scratch/bin/p2c2r-doctor"

begin packages_are_not_made_of_programs_that_are_not_there
launch package --out "$scratch/packages"
status_is 1 && said "P2C2R_BIN_DIR has no program p2c2r-doctor"
launch package --in "$scratch"
status_is 2 && said "package has no option"

begin a_folder_that_cannot_be_written_is_named
as=("${with_window[@]}" "XDG_DATA_HOME=$scratch/out")
launch play --port 0
status_is 1 && said "cannot make $scratch/out/p2c2r" && said "XDG_DATA_HOME"
as=(env "TMPDIR=$scratch/out")
launch demo
status_is 1 && said "set TMPDIR" && not_noted "coordinator started"

begin a_system_without_nproc_has_one_core_at_least
for program in nproc getconf; do
  printf '#!/bin/sh\nexit 127\n' >"$scratch/libraries/$program" && chmod +x "$scratch/libraries/$program"
done
as=(env "PATH=$scratch/libraries:$PATH")
launch demo --seconds 1
status_is 0 && noted "worker-2 started" && none_left
rm "$scratch/libraries"/{nproc,getconf}

# A display on another host is assumed to be there. What else is said depends on whether this machine has a Vulkan
# driver.
begin play_whose_game_finds_no_window_goes_on_as_demo
as=(env DISPLAY=elsewhere:0)
GAME=no-window launch play --port 0
status_is 0 && said "as .demo." && said "HUD line" && none_left

# A stand-in for cargo: it tells its progress as cargo does, and goes on when the launcher has told it.
mkdir "$scratch/tools"
cat >"$scratch/tools/cargo" <<'EOF'
#!/usr/bin/env bash
echo "cargo $1" >>"$NOTES"
echo "building in ${CARGO_TARGET_DIR:-}" >>"$NOTES"
[ "$1" != metadata ] || { echo "{\"target_directory\":\"$TARGET\"}" && exit; }
printf '    Building [=>       ] 1/3: one                 \r' >&2
printf '    Building [==>      ] 2/3: two, three(build)   \rwarning: a complaint of cargo\n' >&2
for ((tries = 0; tries < 100; tries++)); do
  grep -q "2 of 3 units" "$OUT" && break
  read -rt 0.1 <> <(:) || true
done
[ -z "${BROKEN:-}" ] || { echo "error: it does not compile" >&2 && exit 101; }
mkdir -p "$TARGET/debug" && ln -sf "$STAND_IN" "$TARGET/debug/p2c2r-game"
EOF
printf '#!/bin/sh\necho "rustc 1.95.0 (of a test)"\n' >"$scratch/tools/rustc"
printf '#!/bin/sh\ncat >/dev/null\n' >"$scratch/tools/cc"
chmod +x "$scratch/tools"/*
building=(env -u P2C2R_BIN_DIR "PATH=$scratch/tools:$PATH" "TARGET=$scratch/target" "OUT=$scratch/out"
  "STAND_IN=$scratch/bin/p2c2r-stand-in" P2C2R_PROGRESS_SECONDS=1)

begin a_build_that_no_terminal_shows_says_how_far_it_is
as=("${building[@]}")
launch game --name x
status_is 0 && said "idle cores; this machine has [0-9]" && said "Building for 0:[0-9]*: 2 of 3 units done"
said "^warning: a complaint of cargo" && said "Building took" && noted "game ended" && none_left
launch bench --rounds 1
said "Building for 0:[0-9]*: 2 of 3 units done"

begin the_bench_is_run_with_its_options_and_its_status
launch bench potato --preset stress --seconds 6
status_is 1 && said "P2C2R_BIN_DIR has no program p2c2r-bench"
launch bench --rounds 1
status_is 1 && said "P2C2R_BIN_DIR has no program p2c2r-bench"
cat >"$scratch/bin/p2c2r-bench" <<'END'
#!/usr/bin/env bash
echo "bench $* with $P2C2R_BIN_DIR" >>"$NOTES"
exit 69
END
chmod +x "$scratch/bin/p2c2r-bench"
launch bench potato --preset stress --seconds 6
status_is 69 && noted "bench potato --preset stress --seconds 6 with $scratch/bin"
launch bench --rounds 1
status_is 69 && noted "bench --rounds 1 with $scratch/bin"

# Cargo is run in the checkout, wherever the launcher is.
begin a_relative_target_folder_is_the_callers
as=("${building[@]}" CARGO_TARGET_DIR=relative)
(cd "$scratch/tmp" && launch game --name x)
status_is 0 && noted "building in $scratch/tmp/relative" && not_noted "building in relative"

begin a_build_that_fails_says_why
as=("${building[@]}" BROKEN=1)
launch game --name x
status_is 1 && said "^error: it does not compile" && said "the build failed" && not_noted "game started"

begin a_checkout_that_cannot_be_written_is_no_riddle
as=("${building[@]}" "TARGET=$scratch/out/target")
launch game --name x
status_is 1 && said "set CARGO_TARGET_DIR" && not_noted "cargo build"

begin nothing_is_installed_with_sudo_by_somebody_who_cannot_be_asked
mkdir "$scratch/unasked"
printf '#!/bin/sh\nexit 1\n' >"$scratch/unasked/cc"
printf '#!/bin/sh\necho 1000\n' >"$scratch/unasked/id"
printf '#!/bin/sh\necho "sudo $*" >>"$NOTES"\n' >"$scratch/unasked/sudo"
cp "$scratch/unasked/sudo" "$scratch/unasked/apt-get"
chmod +x "$scratch/unasked"/*
as=("${building[@]}" "PATH=$scratch/unasked:$scratch/tools:$PATH" P2C2R_NO_INSTALL=0)
# Its input is a terminal and its output a pipe, so nobody sees the question.
"${as[@]}" script --quiet --return --command "'$p2c2r' game --name x 2>&1 | cat" /dev/null </dev/null >"$scratch/out" 2>&1 || true
said "The build needs: sudo apt-get" && not_noted "sudo .*"

# What packs the programs notes what it is given.
begin packages_go_where_the_help_says_wherever_the_programs_are
mkdir -p "$scratch/check out/deploy" "$scratch/packing"
cat >"$scratch/check out/deploy/package.sh" <<'END'
#!/usr/bin/env bash
echo "packs $(cd "$1" && echo *) into $2" >>"$NOTES"
END
cp "$scratch/tools/cc" "$scratch/packing/dpkg-deb"
cp "$scratch/tools/cc" "$scratch/packing/objdump"
chmod +x "$scratch/check out/deploy/package.sh"
ln -s p2c2r-stand-in "$scratch/bin/p2c2r-doctor"
packed="packs p2c2r-doctor p2c2r-game p2c2r-server p2c2r-worker into"
as=(env "PATH=$scratch/packing:$scratch/tools:$PATH" "TARGET=$scratch/target" "OUT=$scratch/out")
launch package
status_is 0 && noted "$packed $scratch/target/package"
(cd "$scratch/tmp" && launch package --out here --debug)
status_is 0 && noted "$packed $scratch/tmp/here"
rm "$scratch/bin/p2c2r-doctor"

# The files of the checkout that `test` uses, and a stand-in for cargo. With DENY set it has `cargo deny`, whose exit
# status that is.
mkdir -p "$scratch/check out/tests" "$scratch/stages"
printf '#!/bin/sh\n' >"$scratch/check out/tests/launcher.sh"
echo 'name = "bevy_ecs"' >"$scratch/check out/Cargo.lock"
cat >"$scratch/stages/cargo" <<'EOF'
#!/usr/bin/env bash
[ "$1" != deny ] || [ -n "${DENY:-}" ] || exit 101
echo "cargo $1 ${!#}" >>"$NOTES"
[ "$1 $2" != "deny --locked" ] || exit "$DENY"
EOF
chmod +x "$scratch/check out/tests/launcher.sh" "$scratch/stages/cargo"
testing=("${building[@]}" "PATH=$scratch/stages:$scratch/tools:$PATH" "CARGO_HOME=$scratch/cargo")

begin dependencies_are_held_to_deny_toml_where_cargo_deny_is
as=("${testing[@]}" DENY=0)
launch test
status_is 0 && said "everything passed" && noted "cargo deny sources" && noted "cargo test --doc"
mkdir -p "$scratch/cargo/advisory-dbs/rustsec"
launch test
status_is 0 && noted "cargo deny advisories"
as=("${testing[@]}" DENY=1)
launch test
status_is 1 && said "cargo deny failed"

begin where_there_is_no_cargo_deny_one_line_says_so
as=("${testing[@]}" DENY=)
launch test
status_is 0 && said "^Not checked, because there is no cargo deny" && noted "cargo test --doc"

begin wrong_options_are_usage_errors_before_anything_is_built
as=("${building[@]}" "PATH=$scratch/tools:$scratch/libraries:$PATH" VK_DRIVER_FILES=lvp DISPLAY=elsewhere:0)
for options in "demo --workers x" "demo --nonsense" "play --port" "dance" "play --port 99999" "play --port 65536" \
  "play --port -1" "play --workers 65" "demo --workers 4294967298" "demo --seconds 0" "demo --seconds 86401" \
  "bench --rounds x" "bench --rounds 0" "bench --rounds" "bench potato --seconds 5" "bench potato --repeats x"; do
  # shellcheck disable=SC2086 # words
  launch $options
  status_is 2 && not_noted "cargo build"
done

begin an_option_is_not_the_value_of_the_one_before_it
(cd "$scratch/tmp" && launch demo --seconds 1 --report --screenshot)
status_is 2 && said "report needs a value, and .--screenshot. looks like an option" && not_noted "coordinator started"
[ ! -e "$scratch/tmp/--screenshot" ] || fail "wrote a report called --screenshot"

# The helper's command, with its folders in a scratch folder, and with stand-ins for what needs root or a service
# manager.
helper=$outside/helper
mkdir -p "$helper/etc" "$helper/bin"
sed -e "s|/etc/p2c2r|$helper/etc|g" -e "s|/usr/bin/|$helper/bin/|g" "$root/deploy/p2c2r-helper" >"$helper/p2c2r-helper"
cat >"$helper/bin/stand-in" <<'EOF'
#!/usr/bin/env bash
case ${0##*/} in
  id) echo 0 ;;
  setpriv)
    while [ "$1" != --clear-groups ]; do shift; done
    shift
    # Where the service's user cannot go.
    [ "$1" != test ] || [[ $PWD/$3 != *"${HIDDEN:-nowhere}"* ]] || exit 1
    exec "$@"
    ;;
  systemctl) echo "systemctl $*" >>"$NOTES" ;;
  p2c2r-worker)
    file=${!#} file=${file#@}
    case "$1 ${2:-}" in
      "config check") grep -q '^p2c2r://' "$file" || { echo "this is no join link" >&2 && exit 2; } ;;
      "status --json") echo "{\"connected\":${CONNECTED:-true}}" ;;
      "status "*) echo "ada: how it stands" ;;
    esac
    ;;
esac
EOF
chmod +x "$helper/bin/stand-in"
for tool in id setpriv chown sleep systemctl journalctl p2c2r-worker; do ln -s stand-in "$helper/bin/$tool"; done
help() {
  local status=0
  PATH="$helper/bin:$PATH" sh "$helper/p2c2r-helper" "$@" >"$scratch/out" 2>&1 || status=$?
  echo "$status" >"$scratch/status"
}
link_is() {
  [ "$(cat "$helper/etc/worker.link")" = "$1" ] || fail "the link is $(cat "$helper/etc/worker.link")"
  [ "$(ls "$helper/etc")" = worker.link ] || fail "left behind: $(ls "$helper/etc")"
}

begin a_helper_joins_by_a_link_from_anywhere
help join 'p2c2r://one#1'
status_is 0 && noted "systemctl restart p2c2r-worker" && said "how it stands" && link_is 'p2c2r://one#1'
help join - <<<'p2c2r://two#2'
status_is 0 && link_is 'p2c2r://two#2'
echo 'p2c2r://three#3' >"$outside/a link"
help join "@$outside/a link"
status_is 0 && link_is 'p2c2r://three#3'

begin a_link_that_is_none_leaves_the_former_one_and_its_worker_alone
for link in nonsense "@$outside/nowhere" '' -; do
  help join "$link" </dev/null
  [ "$(cat "$scratch/status")" != 0 ] || fail "joined by $link"
done
not_noted "systemctl restart p2c2r-worker" && link_is 'p2c2r://three#3'

begin an_interrupted_join_leaves_no_link_behind
mkfifo "$outside/typed"
for signal in HUP TERM; do
  (PATH="$helper/bin:$PATH" exec sh "$helper/p2c2r-helper" join - <>"$outside/typed" >"$scratch/out" 2>&1) &
  job=$!
  # It has these permissions just before it reads the link.
  until [ "$(stat -c %a "$helper"/etc/worker.link.* 2>/dev/null)" = 640 ] || ! kill -0 "$job" 2>/dev/null; do
    read -rt 0.05 <> <(:) || true
  done
  kill "-$signal" -- "-$job" || fail "it ended before it was interrupted"
  ! wait "$job" 2>/dev/null || fail "an interrupted join is a success"
  link_is 'p2c2r://three#3'
done

begin a_worker_that_is_not_let_in_is_a_failure
export CONNECTED=false
help join 'p2c2r://four#4'
status_is 1 && said "how it stands" && link_is 'p2c2r://four#4'
unset CONNECTED

# The operator's command, which passes files to and from the service's user in a scratch folder.
operator=$outside/operator
mkdir -p "$operator/bin" "$operator/tmp" "$operator/mine"
sed -e "s|/usr/bin/|$operator/bin/|g" "$root/deploy/p2c2r-operator" >"$operator/p2c2r-operator"
for tool in id setpriv chown; do cp "$helper/bin/stand-in" "$operator/bin/$tool"; done
cat >"$operator/bin/p2c2r-server" <<'EOF'
#!/usr/bin/env bash
echo "$*" | sed "s|$TMPDIR/p2c2r-operator[^/]*/|HANDED/|g; s|$OPERATOR/[^ ]*/[.]p2c2r-operator[^/]*/|BESIDE/|g" >>"$NOTES"
case "$1 ${2:-}" in
  "backup "*) mkdir "$2" && echo book >"$2/results.db" ;;
  "restore "*) cat "$2/results.db" ;;
  "ledger backup") echo book >"$3" ;;
  "ledger export") to=${!#} && echo rows >"${to#--to=}" ;;
  "ledger check") [ $# -lt 6 ] || cat "$4" "$6" ;;
  "ledger report") cat "$4" "$4-wal" ;;
  "accounts "*) exit 5 ;;
esac
[ -z "${SLOW:-}" ] || read -rt 60 <> <(:)
EOF
chmod +x "$operator/bin/p2c2r-server"
# Replaces the shell by the operator's command, so that signals reach the command.
as_operator() {
  cd "$operator/mine"
  PATH="$operator/bin:$PATH" TMPDIR=$operator/tmp OPERATOR=$operator exec sh "$operator/p2c2r-operator" "$@" >"$scratch/out" 2>&1
}
operate() {
  local status=0
  (as_operator "$@") || status=$?
  echo "$status" >"$scratch/status"
  nothing_left
}
nothing_left() {
  local left
  left=$(ls -A "$operator/tmp" && ls -A "$operator"/* | grep "^[.]p2c2r") || true
  [ -z "$left" ] || fail "left behind: $left"
}
is() { [ "$(cat "$operator/mine/$1")" = "$2" ] || fail "$1 is not $2"; }

begin an_operators_files_may_lie_where_the_service_cannot_go
export HIDDEN=/mine/
operate backup "a copy"
status_is 0 && noted "backup HANDED/out" && is "a copy/results.db" book && said "Put in its place: a copy"
operate backup "a copy"
status_is 1 && said "is there already" && noted_times 1 "backup HANDED/out"
operate restore "a copy"
status_is 0 && noted "restore HANDED/2" && said book
operate ledger backup book.db
status_is 0 && noted "ledger backup HANDED/out" && is book.db book
operate ledger export --csv --to rows.csv
status_is 0 && noted "ledger export --csv --to HANDED/out" && is rows.csv rows
operate ledger export --csv --to=again.csv
status_is 0 && noted "ledger export --csv --to=HANDED/out" && is again.csv rows
operate ledger check --head "a copy/results.db" --head rows.csv
status_is 0 && noted "ledger check --head HANDED/4 --head HANDED/6" && said book && said rows
operate ledger check --head=rows.csv
status_is 0 && noted "ledger check --head=HANDED/3"
operate ledger check --db "a copy/results.db" --head rows.csv
status_is 0 && noted "ledger check --db HANDED/4 --head HANDED/6" && said book && said rows
echo log >"$operator/mine/a copy/results.db-wal"
operate ledger report --db "a copy/results.db"
status_is 0 && noted "ledger report --db HANDED/4" && said book && said log
operate ledger check "--db=a copy/results.db"
status_is 0 && noted "ledger check --db=HANDED/3"
# Into a copy that is thrown away nothing is booked.
operate ledger payout record Ann 1 one --db "a copy/results.db"
status_is 0 && noted "ledger payout record Ann 1 one --db a copy/results.db"
unset HIDDEN

begin what_the_service_can_read_or_write_is_not_copied
operate backup "$operator/mine/beside"
status_is 0 && noted "backup BESIDE/out" && is beside/results.db book
operate ledger check --db beside/results.db
status_is 0 && noted "ledger check --db beside/results.db"

begin a_place_that_is_not_there_is_said_before_anything_is_copied
operate backup nowhere/copy
status_is 1 && said "there is no folder nowhere" && not_noted "backup .*"

begin what_an_operator_types_that_is_no_file_stays_as_it_is
for words in "ledger backup --help" "ledger payout record backup 0.5 one" "page --metrics-token" "ready"; do
  # shellcheck disable=SC2086 # words
  operate $words
  noted "$words"
done
operate accounts rename backup Ann
status_is 5 && noted "accounts rename backup Ann"

begin an_interrupted_backup_leaves_nothing_behind
SLOW=1 as_operator backup later &
job=$!
until grep -q "^backup" "$NOTES" || ! kill -0 "$job" 2>/dev/null; do read -rt 0.05 <> <(:) || true; done
kill -TERM -- "-$job"
status=0 && wait "$job" || status=$?
[ "$status" = 143 ] || fail "ended with status $status"
nothing_left
[ ! -e "$operator/mine/later" ] || fail "half a backup"

case=demo_ends_a_child_that_does_not_end_itself NOTES=$scratch/notes.$case PIDS=$scratch/pids.$case
launcher=$deaf && mv "$scratch/out of deaf" "$scratch/out.of-launcher" && join
status_is 1 && said "worker-2 did not end when asked" && none_left

[ "$failures" = 0 ] || { echo "launcher: $failures failed" && exit 1; }
echo "launcher: every promise held"
