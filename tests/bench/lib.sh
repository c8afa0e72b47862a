# What the benchmarks share: building one, and saying what it ran on. Sourced; ROOT is the clone.

BUILD_DIR=${BUILD_DIR:-$ROOT/build-bench}

# build_bench [TARGET]: builds it, or everything.
build_bench() {
    local -a generator=()
    [[ -e $BUILD_DIR/CMakeCache.txt ]] || generator=(-G Ninja)
    cmake -S "$ROOT" -B "$BUILD_DIR" "${generator[@]}" -DFLOTILLA_TESTS=ON -DFLOTILLA_BENCH=ON \
        >/dev/null
    cmake --build "$BUILD_DIR" ${1:+--target "$1"} >/dev/null
}

# say_machine COMMAND...: the processor, the compiler, the type of build, and what is run.
say_machine() {
    local type
    # Without a type of its own a build has the one that CMakeLists.txt sets.
    type=$(sed -n 's/^CMAKE_BUILD_TYPE:[A-Z]*=//p' "$BUILD_DIR/CMakeCache.txt")
    printf '%s, %s processors, %s, %s\n' \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" \
        "$(cc --version | head -n 1)" "${type:-RelWithDebInfo}"
    printf '$ %s\n' "$*"
}
