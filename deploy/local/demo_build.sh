# shellcheck shell=bash
#
# Building the programs, and running a long step so that Ctrl-C ends it in good order.
#
# To be sourced by demo.sh after lib.sh. Expects HERE and ROOT.

readonly BUILD_DIR=$ROOT/build
readonly BIN=$BUILD_DIR/workers
readonly BUILD_SECONDS=1800

# quoted PATH: as a shell takes it, with quotes only where they are needed; below the caller's
# directory without that.
quoted() {
    local path=${1#"$PWD/"}
    if [[ $path =~ ^[A-Za-z0-9_./:@%+=-]+$ ]]; then
        printf '%s' "$path"
    else
        printf '%s' "${path@Q}"
    fi
}

tell() { # LINE...
    printf '%s\n' "$@" >&2
}

# can_make DIRECTORY...: makes them where they are missing; fails unless this user may write there.
can_make() {
    local directory
    for directory; do
        mkdir -p -- "$directory" 2>/dev/null || return 1
        [[ -w $directory ]] || return 1
    done
}

# ---------------------------------------------------------------- steps

# The process of the step under way; negative where it is a whole group.
step=

# run_step COMMAND...: in a session of its own, which Ctrl-C does not reach. A trap waits for a
# command in the foreground, so this one is in the background.
run_step() {
    local status=0 process
    setsid "$@" &
    process=$!
    step=${step_group:+-}$process
    wait "$process" || status=$?
    step=
    return "$status"
}

# Ends the step that was under way when the script was interrupted; it tidies up by itself.
end_step() {
    [[ -n $step ]] || return 0
    kill -TERM -- "$step" 2>/dev/null || true
    wait "${step#-}" 2>/dev/null || true
}

# ---------------------------------------------------------------- the build

build_log() {
    printf '%s/demo.log' "$BUILD_DIR"
}

# Compilers end at once, all of them.
logged_build() {
    local step_group=yes
    run_step "$@" >>"$(build_log)" 2>&1 ||
        die "Flotilla could not be built." "$(build_excerpt)" \
            "Remove the cause and run this again. All of it is in $(build_log)."
}

build_excerpt() {
    local lines
    lines=$(grep -aE -A 3 'error:|CMake Error|^FAILED' "$(build_log)" | head -n 12) || true
    printf '%s\n' "${lines:-$(tail -n 12 "$(build_log)")}" | cut -c -200
}

# A checkout that was moved or copied takes a build directory along that still means the old place.
configure() {
    local home
    local -a fresh=()
    home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$BUILD_DIR/CMakeCache.txt" 2>/dev/null) || true
    [[ $home != "$ROOT" ]] || return 0
    [[ -z $home ]] || fresh=(--fresh)
    logged_build cmake "${fresh[@]}" -S "$ROOT" -B "$BUILD_DIR" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo
}

# One build at a time in a checkout.
build() {
    local lock
    can_make "$BUILD_DIR" ||
        die "Flotilla could not be built." "This user may not write to $BUILD_DIR." \
            "Run this as the owner of the checkout, or remove that directory if another user made it."
    exec {lock}>"$BUILD_DIR/.lock"
    if ! flock -n "$lock"; then
        say "waiting for another build in $BUILD_DIR ..."
        flock -w "$BUILD_SECONDS" "$lock" ||
            die "Flotilla was not built." "Another build has been under way for $BUILD_SECONDS s." \
                "See with ps what it does, end it if it hangs, and run this again."
    fi
    : >"$(build_log)"
    [[ -x $BIN/flotilla && -x $BIN/flotilla-features && -x $BIN/flotilla-ranker && -x $BIN/flotilla-recorder ]] ||
        say "building Flotilla in $BUILD_DIR ..."
    trap end_step EXIT
    configure
    logged_build cmake --build "$BUILD_DIR" --parallel "$(nproc)" \
        --target program_ctl program_features program_ranker program_recorder
    trap - EXIT
    exec {lock}>&-
    say "built ($(elapsed))"
}
