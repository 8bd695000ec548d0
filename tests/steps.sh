# shellcheck shell=bash
# The steps of tests/run; each is run in a shell of its own with `set -euo pipefail`.

# build FOLDER
build() {
    deploy/tools/configure "$1"
    ninja -C "$1" --quiet
}

# unit FOLDER: what meson knows as a test. The runner's own report goes first, then what the programs said.
unit() {
    local status=0
    meson test -C "$1" --no-rebuild --print-errorlogs --no-suite sim || status=$?
    sed -nE '/^\[  (PASSED|FAILED)  \]/p' "$1/meson-logs/testlog.txt"
    return $status
}

# sim FOLDER SEEDS
sim() {
    "$1/tests/sim/fluxy-sim" --seeds "$2"
    "$1/tests/sim/fluxy-sim" --twice $(($2 / 200))
    # Every wait of a shard and of a gateway, in a short world: they die there, and come back.
    "$1/tests/sim/fluxy-sim" --every-wait 4
}

# sim_broken: builds that break a promise on purpose are caught.
sim_broken() {
    tests/sim/broken
}

# property FOLDER SEEDS
property() {
    "$1/tests/sim/fluxy-property" --seeds "$2"
    # Once showed a repeat's original before its batch, which was in doubt, had been released.
    "$1/tests/sim/fluxy-property" --seed 1321
}

# fuzz_one FOLDER SECONDS TARGET: from its corpus on. What it finds stays in FOLDER/fuzz, the tree is not written to.
fuzz_one() {
    local folder=$1 seconds=$2 name=${3##*/fuzz_}
    local found=$folder/fuzz/$name arguments=()
    mkdir -p "$found/corpus"
    [[ ! -f tests/fuzz/$name.dict ]] || arguments+=(-dict="tests/fuzz/$name.dict")
    if ! "$3" -verbosity=0 -max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 -artifact_prefix="$found/" \
        "${arguments[@]}" "$found/corpus" "tests/fuzz/corpus/$name" >"$found/log" 2>&1; then
        cat "$found/log"
        echo "fuzz $name: failed; once more with: $3 FILE, the FILE that is named above"
        return 1
    fi
    echo "fuzz $name: $(find "$found/corpus" -type f | wc -l) inputs that reach something new"
}

# fuzz FOLDER SECONDS: every target, two at once.
fuzz() {
    local targets=()
    for target in "$1"/tests/fuzz/fuzz_*; do
        [[ ! -f $target || ! -x $target ]] || targets+=("$target")
    done
    export -f fuzz_one
    printf '%s\0' "${targets[@]}" | xargs -0 -n 1 -P 2 bash -c 'set -euo pipefail; fuzz_one "$@"' _ "$1" "$2"
    echo "${#targets[@]} passed, 0 failed"
    [[ ${#targets[@]} -gt 0 ]]
}

# node_tests FOLDER FILE...: real processes from that build.
node_tests() {
    local folder=$1
    shift
    FLUXY_BUILD_DIR=$folder deploy/tools/node --test --test-concurrency="${files_at_once:-1}" --test-reporter=spec "$@"
}

# Each file has clusters of its own, and most of the time it waits: two at once.
system() {
    local files=()
    for file in tests/system/*.test.mjs; do
        [[ $file == */@(browser|depth).test.mjs ]] || files+=("$file")
    done
    files_at_once=2 node_tests "$1" "${files[@]}"
}

# Compares times, so no other test runs beside it.
depth() {
    node_tests "$1" tests/system/depth.test.mjs
}

# chaos FOLDER ARGUMENTS...: real processes under faults.
chaos() {
    local folder=$1
    shift
    tests/chaos/run --build "$folder" "$@"
}

# Builds with one promise broken on purpose must be caught.
chaos_broken() {
    tests/chaos/broken
}

browser() {
    node_tests "$1" tests/system/browser.test.mjs
}

# The promises once more under the sanitizers; sizes smaller, since everything is several times slower.
system_main() {
    FLUXY_TEST_KILLS=2 FLUXY_TEST_MESSAGES=200 \
        node_tests "$1" tests/system/{room,api,hostile,order,crash}.test.mjs
}

# stalls FOLDER OPTION...: how long clients wait when something happens; the bounds with much slack.
stalls() {
    local folder=$1
    shift
    tests/bench/stalls --build "$folder" --dir "$TMPDIR/stalls" "$@"
}
