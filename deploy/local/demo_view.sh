# shellcheck shell=bash
#
# What the demo shows: where to look, what happens as it happens, and what is decided upon that.
#
# To be sourced by demo.sh after demo_learn.sh.

readonly PLAIN_SECONDS=5 QUIET_SECONDS=3 RATE_SECONDS=5
readonly SHOWN_SCOPES=3
# Fewer pages decide nothing, whatever their interval is; and nobody waits longer for a decision.
readonly PAGES_LEAST=500 DECISION_SECONDS=300
# Kinds whose values are computed for a request are never in PostgreSQL.
readonly PUBLISHED='^(count|sum|mean|min|max|rate|recency|decay|distinct)$'

number() { # 1234567: 1,234,567
    local text=$1
    while [[ $text =~ ^([0-9]+)([0-9]{3}.*)$ ]]; do
        text=${BASH_REMATCH[1]},${BASH_REMATCH[2]}
    done
    printf '%s' "$text"
}

# ---------------------------------------------------------------- where to look

explain() {
    local name config user=ID
    [[ -n $EVENTS ]] || user='u1 --placement home'
    config="--config $(quoted "$DIR/flotilla.yaml")"
    tell "" "It listens on (logs in $(quoted "$DIR/logs")):" \
        "  Kafka        $KAFKA_BROKERS" \
        "  PostgreSQL   $POSTGRES_URL"
    for name in "${WORKERS[@]}"; do
        say "$(printf '  %-12s http://127.0.0.1:%s' "$name" "${PORTS[$name]}")"
    done
    tell "To look further, in another terminal:" \
        "  psql $POSTGRES_URL -c 'SELECT * FROM feature_value ORDER BY as_of DESC LIMIT 20'" \
        "  kcat -b $KAFKA_BROKERS -L" \
        "  curl -s http://127.0.0.1:${PORTS[features-1]}/metrics" \
        "  $(quoted "$BIN/flotilla") tail features $config" \
        "  $(quoted "$BIN/flotilla") rank --user $user --explain $config" \
        "  $(quoted "$BIN/flotilla") models status $config" \
        "  $(quoted "$BIN/flotilla") status $config" ""
}

# ---------------------------------------------------------------- numbers

# Sets handled, waiting, unrecorded, worked, series, ready from what the workers say of themselves.
measure() {
    local name
    local -a urls=()
    for name in "${WORKERS[@]}"; do
        urls+=("http://127.0.0.1:${PORTS[$name]}/metrics")
        # Rankers read the same events, which count once.
        [[ $name == ranker-* ]] || urls+=("http://127.0.0.1:${PORTS[$name]}/status")
    done
    read -r handled waiting unrecorded worked series ready < <(
        { curl -s --noproxy '*' --max-time 2 "${urls[@]}" || true; } | awk '
            # Metrics of the last one may have no newline behind them: status begins with a brace.
            /^flotilla_worker_ready / { ready += $2 }
            /^flotilla_features_lag_records/ { lag["f"]++; if (/"events\//) waiting += $2; else other += $2 }
            /^flotilla_recorder_lag_records/ { lag["r"]++; unrecorded += $2 }
            /^flotilla_features_(events|deltas|published_keys)_total / { worked += $2 }
            /^flotilla_recorder_rows_total/ { worked += $2 }
            /"partitions":\[/ {
                rest = $0
                while (match(rest, /"topic":"events","partition":[0-9]+,"position":[0-9]+/)) {
                    position = substr(rest, RSTART, RLENGTH)
                    sub(/.*:/, "", position)
                    handled += position
                    rest = substr(rest, RSTART + RLENGTH)
                }
            }
            END {
                printf "%.0f %.0f %.0f %.0f %d %d\n", handled, waiting, unrecorded + other, worked, \
                    (lag["f"] > 0) + (lag["r"] > 0), ready
            }')
}

# Events a second, over the last few measurements.
measure_rate() {
    local now=$((${EPOCHREALTIME/[.,]/} / 1000)) first
    history+=("$now $handled")
    ((${#history[@]} <= RATE_SECONDS + 1)) || history=("${history[@]:1}")
    read -r -a first <<<"${history[0]}"
    rate=0
    if ((now > first[0] && handled > first[1])); then
        rate=$(((handled - first[1]) * 1000 / (now - first[0])))
    fi
}

# Whether everything that was sent is in PostgreSQL: nothing waits, and nothing has moved for a
# while, as values are published a second after they change.
is_quiet() {
    if ((ready < ${#WORKERS[@]} || series < 2 || waiting + unrecorded > 0 || worked != quiet_worked)); then
        quiet_worked=$worked
        quiet_since=$SECONDS
    fi
    ((SECONDS - quiet_since >= QUIET_SECONDS))
}

# ---------------------------------------------------------------- what is in PostgreSQL

# Prints "SCOPE<tab>NAME" for the first value of each feature, users and propositions first.
shown_values() {
    "$BIN/flotilla" features list "$FEATURES" --json |
        sed -n 's/.*"scope":"\([^"\\]*\)","kind":"\([a-z]*\)","values":\["\([^"\\]*\)".*/\2\t\1\t\3/p' |
        while IFS=$'\t' read -r kind scope name; do
            case $scope in
            user) order=1 ;;
            proposition) order=2 ;;
            *) order=3 ;;
            esac
            [[ ! $kind =~ $PUBLISHED ]] || printf '%s\t%s\t%s\n' "$order" "$scope" "$name"
        done | sort -s -n -k 1,1 | cut -f 2-
}

# scope_query SCOPE ROWS WIDTH NAME...: the newest of a scope, with as many values as there is room.
scope_query() {
    local scope=$1 rows=$2 room=$3 columns='' dimension name i=0 format='HH24:MI:SS'
    local -a dimensions
    shift 3
    IFS='*' read -r -a dimensions <<<"$scope"
    for dimension in "${dimensions[@]}"; do
        i=$((i + 1))
        columns+="left(key[$i], 24) AS \"${dimension//\"/\"\"}\", "
        room=$((room - 12))
    done
    if [[ -n $EVENTS ]]; then format='YYYY-MM-DD HH24:MI:SS'; fi
    columns+="to_char(as_of, '$format') AS \"at\""
    room=$((room - ${#format}))
    for name; do
        room=$((room - ${#name} - 1))
        ((room >= 0)) || break
        columns+=", trim_scale(round((\"values\" ->> '${name//\'/\'\'}')::numeric, 3)) AS \"${name//\"/\"\"}\""
    done
    printf "SELECT %s\n  FROM feature_values WHERE scope = '%s' ORDER BY as_of DESC, key LIMIT %d;\n" \
        "$columns" "${scope//\'/\'\'}" "$rows"
}

# write_view ROWS WIDTH: the statements behind what is shown, to be read by psql at each turn.
write_view() {
    local scope name
    local -a order=()
    local -A names=()
    while IFS=$'\t' read -r scope name; do
        [[ -n ${names[$scope]-} ]] || order+=("$scope")
        names[$scope]+="${names[$scope]:+$'\t'}$name"
    done < <(shown_values)
    {
        # All rows of a scope have the same values.
        cat <<'SQL'
\pset format unaligned
\t on
SELECT COALESCE(sum(n * (SELECT count(*) FROM feature_values f, jsonb_object_keys(f."values")
                          WHERE f.scope = s.scope AND f.key = s.key)), 0),
       (SELECT count(*) FROM dead_letters)
  FROM (SELECT scope, min(key) AS key, count(*) AS n FROM feature_values GROUP BY scope) s;
\pset format aligned
\pset border 0
\pset footer off
\pset null -
\t off
SQL
        for scope in "${order[@]:0:SHOWN_SCOPES}"; do
            IFS=$'\t' read -r -a values <<<"${names[$scope]}"
            scope_query "$scope" "$1" "$2" "${values[@]}"
        done
    } >"$DIR/view.sql"
}

# Reads them, and seldom where that takes long. Sets stored, dead, tables; what was read before stays
# where PostgreSQL does not answer.
read_values() {
    local began=${EPOCHREALTIME/[.,]/} text
    ((SECONDS >= read_again)) || return 0
    if text=$(PGCONNECT_TIMEOUT=2 psql -Xq -F ' ' -v ON_ERROR_STOP=1 -f "$DIR/view.sql" "$POSTGRES_URL" 2>&1); then
        read -r stored dead <<<"$text"
        tables=
        ((stored == 0)) || tables=$(sed -e '1d' -e '/^[- ]*$/d' -e 's/^/  /' -e 's/ *$//' <<<"$text")
    else
        tables="  PostgreSQL does not answer: ${text##*$'\n'}"
    fi
    # A tenth of the time, at most.
    read_again=$((SECONDS + (${EPOCHREALTIME/[.,]/} - began) / 100000))
}

# ---------------------------------------------------------------- showing

summary() {
    local total
    total="total $(number "$handled")"
    [[ -z $EVENTS ]] || total+=" of $(number "$EVENT_COUNT")"
    printf 'events      %s/s, %s, lag %s\n' "$(number "$rate")" "$total" "$(number "$waiting")"
    printf 'PostgreSQL  %s values, %s keys on their way, %s dead letters\n' "$(number "$stored")" \
        "$(number "$unrecorded")" "$(number "$dead")"
    [[ -z $rankings ]] || printf '%s\n' "$rankings"
}

# Sets rankings to the newest lines in which the shop says how its requests were answered.
read_rankings() {
    [[ -z $EVENTS ]] || return 0
    rankings=$(tail -n 10 "$DIR/logs/feeder.log" 2>/dev/null |
        awk '/^requests /{ text = ""; seen = 1 } seen && !/^[{]/ { text = text $0 "\n" } END { printf "%s", text }') || true
}

# Over what was drawn before.
draw() {
    local line text=''
    measure_terminal
    local -a lines
    mapfile -t lines < <(summary; printf '%s\n' "$tables")
    for line in "${lines[@]:0:height}"; do
        text+=${line:0:width}$'\n'
    done
    if ((drawn > 0)); then printf '\033[%dA\033[J' "$drawn"; fi
    printf '%s' "$text"
    drawn=${#lines[@]}
    ((drawn <= height)) || drawn=$height
}

# Every few seconds, and only where something has changed.
print_plain() {
    local now
    now=$(summary; printf '%s' "$tables")
    ((SECONDS >= print_again)) && [[ $now != "$printed" ]] || return 0
    printf '%s\n' "$now"
    printed=$now
    print_again=$((SECONDS + PLAIN_SECONDS))
}

measure_terminal() {
    local rows=24 columns=100
    # The block of a terminal is redrawn; what a program reads is not.
    is_terminal=
    if [[ -t 1 && ${TERM:-dumb} != dumb ]]; then
        is_terminal=yes
        read -r rows columns < <(stty size <&"$screen" 2>/dev/null || echo 24 80)
        ((rows > 0 && columns > 0)) || { rows=24 columns=80; }
    fi
    height=$((rows - 1))
    width=$((columns - 1))
}

# What came of it, once all of the user's files are in.
report_taken_in() {
    drawn=0
    tell "" "everything has been taken in ($(elapsed)): $(number "$handled") events made $(number "$stored") values"
    ((dead == 0)) ||
        tell "records that could not be used: $(number "$dead")" "$(sql -F ' ' -A -c \
            "SELECT '  ' || count(*) || ' ' || reason || ', such as: ' || min(detail) FROM dead_letters GROUP BY reason")"
    tell ""
}

# Reads what the shop says of its clicks, and promotes once they leave no doubt. Looking again and
# again would find a difference by chance some day: it has to be there with PAGES_LEAST pages, and a
# new model has little time.
decide() {
    local version state low high difference pages
    read -r version state < <(model_state) || return 0
    [[ $state == canary ]] || return 0
    pages=$(sed -n 's/^gain .*(\([0-9]*\) pages)$/\1/p' <<<"$rankings")
    read -r difference low high < <(sed -n \
        "s/^clicks .*model v$version .*: \([+-][0-9.]*\) \[\([-0-9.]*\), \([-0-9.]*\)\]\$/\1 \2 \3/p" <<<"$rankings") || return 0
    ((${pages:-0} >= PAGES_LEAST)) || return 0
    if [[ $low != -* && $low != 0.000 ]]; then
        promote "$version" "$difference clicks a page against rules, 95 % interval $low to $high, by user"
        drawn=0
        tell "" "promoted: version $version brings $difference clicks a page against rules, and the 95 % interval," \
            "$low to $high, excludes zero: it ranks for everybody now ($(elapsed))" ""
    elif [[ $high == -* ]]; then
        flotilla models plan shop --remove first --reason "$difference clicks a page against rules, $low to $high"
        printf 'none\n' >"$DIR/model"
        drawn=0
        tell "" "taken back: version $version brings $difference clicks a page against rules ($low to $high):" \
            "rules rank for everybody" ""
    fi
}

# watch for_ever|until_taken_in|until_decided
watch() {
    local handled=0 waiting=0 unrecorded=0 worked=0 series=0 ready=0 rate=0 stored=0 dead=0 tables='' rankings=''
    local quiet_worked=-1 quiet_since=0 read_again=0 print_again=0 printed='' drawn=0
    local is_terminal height width began left screen decide_by=$((SECONDS + DECISION_SECONDS))
    local -a history=()
    exec {screen}>&1
    measure_terminal
    if [[ -n $is_terminal ]]; then write_view 3 "$width"; else write_view 1 "$width"; fi
    while :; do
        began=${EPOCHREALTIME/[.,]/}
        check_fleet
        check_feeder
        measure
        measure_rate
        read_values
        read_rankings
        if [[ -n $is_terminal ]]; then draw; else print_plain; fi
        if [[ $1 == until_taken_in && $(fed) == *' sent' ]] && is_quiet; then
            read_again=0
            read_values
            report_taken_in
            return 0
        fi
        [[ -n $EVENTS ]] || decide
        [[ $1 != until_decided || $(model_state) == *' canary' ]] || return 0
        if [[ $1 == until_decided ]] && ((SECONDS >= decide_by)); then
            tell "" "$DECISION_SECONDS s of clicks have left it open which is better: half of the users keep the model" ""
            return 0
        fi
        left=$((1000000 - (${EPOCHREALTIME/[.,]/} - began)))
        ((left <= 0)) || sleep "0.$(printf '%06d' $((left < 1000000 ? left : 999999)))"
    done
}

# Files end; the shop does not.
check_feeder() {
    [[ -e $DIR/run/feeder.pid ]] && ! is_up feeder || return 0
    drawn=0
    take_end_of_feeder
    [[ -z $EVENTS ]] || printf '%s sent\n' "$IDENTITY" >"$DIR/fed"
}
