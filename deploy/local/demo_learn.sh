# shellcheck shell=bash
#
# How the demo comes by a model: definitions where there are none, a training set of what happened, a
# model of that, and who is served by it.
#
# To be sourced by demo.sh after demo_fleet.sh. Expects DIR, FEATURES, EVENTS, PROPOSITIONS, USERS.
#
# DIR/model has the model's state in one line: "none" (it could not be trained: rules go on ranking),
# "VERSION canary" or "VERSION champion".

# Of the shop's requests, what is trained on: of its last days, when users and propositions are as
# well known as those that will be served.
readonly SHOP_TRAINED_DAYS=4 SHOP_SAMPLE=0.9
# Few trees, to be there soon; and larger ones than the standard, as the shop has rows enough.
readonly SHOP_PARAMETERS=(--param eta=0.1 --param max_depth=6 --param colsample_bytree=0.5 --param min_child_weight=80)
readonly CANARY_SHARE=0.5
readonly ANSWER_MS=20000

# The model's name, also in the placements.
model_name() {
    if [[ -n $EVENTS ]]; then printf 'own'; else printf 'shop'; fi
}

model_state() {
    cat "$DIR/model" 2>/dev/null || true
}

# shown LOG COMMAND...: a step that takes a while; what it says is kept, and shown but for the parts
# of a model's report that its page has as well.
shown() {
    local log=$DIR/logs/$1.log status=0
    shift
    run_step "$BIN/flotilla" "$@" --config "$DIR/flotilla.yaml" >"$log" 2>&1 || status=$?
    sed -e '/^For whom:/,$d' -e 's/^/  /' -e 's/[[:space:]]*$//' "$log" | cut -c -180 >&2
    return "$status"
}

# ---------------------------------------------------------------- definitions

# Without --features, a newcomer's first ones; with them, only the line that says what to train on.
# They depend on the files alone, as the directory does.
suggest_features() {
    local kind made=$DIR/suggested.yaml
    local -a files=(--events "$EVENTS")
    for kind in propositions users; do
        local -n file=${kind^^}
        [[ -z $file ]] || files+=("--$kind" "$file")
    done
    rm -f "$made"
    if ! "$BIN/flotilla" features suggest "${files[@]}" --out "$made" 2>"$DIR/logs/suggest.log"; then
        [[ -n $FEATURES ]] || die "No definitions could be suggested." "$(tail -n 3 "$DIR/logs/suggest.log")" \
            "Correct the file that is named, or write definitions yourself: --features FILE."
        return 0
    fi
    say "what was seen in these files:"
    sed -n -e '/^#$/q' -e '1d' -e 'p' "$made" | head -n 1 >&2 || true
    sed -n '/^# Seen:/,/^#$/ { /^#$/d; s/^#/ /p }' "$made" >&2
    [[ -z $FEATURES ]] || return 0
    FEATURES=$made
    say "definitions were made of that: $(quoted "$made")"
}

# Appends to `options` what the line of `features suggest` gives backfill: what says what was shown,
# and what counts. Names with blanks stand in quotes there, as a shell has them, which xargs reads.
add_suggested() {
    local i
    local -a words
    mapfile -t words < <(sed -n 's/^#   flotilla backfill //p' "$DIR/suggested.yaml" 2>/dev/null | head -n 1 |
        xargs -n 1 printf '%s\n' 2>/dev/null)
    for ((i = 0; i + 1 < ${#words[@]}; i++)); do
        case ${words[i]} in
        --impression | --labels | --label-window) options+=("${words[i]}" "${words[i + 1]}") ;;
        esac
    done
}

# ---------------------------------------------------------------- learning

# Whatever goes wrong, rules go on ranking: that is what they are for.
learn() {
    local state
    state=$(model_state)
    if [[ -n $state ]]; then
        say "model: $state, as it was left"
        return 0
    fi
    # An old one was of an interrupted run, whose records may be others.
    rm -rf "$DIR/set" "$DIR/set.journal"
    if make_set && train_model; then
        rm -rf "$DIR/set"
        return 0
    fi
    tell "" "no model this time, for the reason above: rules go on ranking" ""
    printf 'none\n' >"$DIR/model"
}

make_set() {
    local status=0 word said=''
    local -a options=(--out "$DIR/set")
    if [[ -n $EVENTS ]]; then
        add_suggested
    else
        options+=(--from "$(date -u -d "-$SHOP_TRAINED_DAYS days" +%FT%TZ)" --sample "$SHOP_SAMPLE")
    fi
    for word in "${options[@]}"; do
        said+=" $(quoted "$word")"
    done
    tell "" "making a training set: flotilla backfill$said"
    shown backfill backfill "${options[@]}" || status=$?
    # 3: what was logged live differs from what is computed; the set is there, and the lines above
    # say it.
    ((status == 0 || status == 3)) || return 1
    say "the training set is there ($(elapsed))"
}

train_model() {
    local version
    local -a options=(--param eta=0.1)
    [[ -n $EVENTS ]] || options=("${SHOP_PARAMETERS[@]}")
    tell "" "training: flotilla train --data $(quoted "$DIR/set") --model $(model_name) --trials 1 ${options[*]}"
    shown train train --data "$DIR/set" --model "$(model_name)" --trials 1 "${options[@]}" --threads "$(nproc)" \
        --report "$DIR/report.html" --note "by demo.sh" || return 1
    version=$(sql -A -c "SELECT max(version) FROM model_versions WHERE model = '$(model_name)'") || return 1
    [[ -n $version ]] || return 1
    printf '%s registered\n' "$version" >"$DIR/model"
    tell "" "trained and registered: $(model_name) version $version ($(elapsed)); its report: $(quoted "$DIR/report.html")"
}

# ---------------------------------------------------------------- serving

# Half of the users, the other half by rules: what a model is worth is only told beside those.
start_canary() {
    local version
    read -r version state < <(model_state) || return 0
    [[ $state == registered ]] || return 0
    flotilla models plan shop --challenger "name=first,version=$version,mode=canary,share=$CANARY_SHARE" \
        --reason "trained by demo.sh"
    printf '%s canary\n' "$version" >"$DIR/model"
    say "canary: version $version ranks for half of the users, rules for the others"
}

promote() { # VERSION REASON
    flotilla models promote "$(model_name)" "$1" --reason "$2"
    printf '%s champion\n' "$1" >"$DIR/model"
}

# Whether the report's interval lies above zero.
is_proven() { # VERSION
    [[ $(sql -A -c "SELECT low > 0 FROM model_metrics WHERE model = '$(model_name)' AND version = $1 AND
        scorer = 'model - rules' AND segment = '' AND metric LIKE 'ndcg%'") == t ]]
}

# A question to the model, on the user's own data, as an application would ask.
serve_own() {
    local version state user list
    local -a question
    read -r version state < <(model_state) || return 0
    [[ $state == registered ]] || return 0
    is_proven "$version" ||
        say "note: it is not proven better than rules (see above); where users depend on it, give it a share of them first"
    promote "$version" "trained by demo.sh"
    user=$(last_text user_id) || true
    question=(rank --user "${user:-somebody}" --limit 5)
    # A catalogue is of the propositions' records.
    if [[ -z $PROPOSITIONS ]]; then
        list=$(last_list propositions) || true
        question+=(--candidates "${list:-something}")
    fi
    say "served: version $version ranks for everybody; waiting until the rankers have it"
    wait_until_ranked_by "$version" "${question[@]}" || return 0
    tell "" "flotilla ${question[*]}"
    shown sample "${question[@]}" || true
    tell ""
}

wait_until_ranked_by() { # VERSION QUESTION...
    local deadline=$((SECONDS + READY_SECONDS)) version=$1 answer
    shift
    while :; do
        answer=$("$BIN/flotilla" "$@" --json --timeout "$ANSWER_MS" --config "$DIR/flotilla.yaml" 2>&1) || true
        [[ $answer != *'"model":"own","version":'"$version,"* ]] || return 0
        if ((SECONDS >= deadline)); then
            tell "the rankers did not answer by version $version within $READY_SECONDS s: ${answer:0:300}"
            return 1
        fi
        sleep 0.3
    done
}

# Of the last event that has it, where it has no escapes.
last_text() { # FIELD
    tail -n 2000 "$EVENTS" | grep -aoE "\"$1\" *: *\"[^\"\\\\]+\"" | tail -n 1 | sed 's/^[^:]*: *"//; s/"$//'
}

last_list() { # FIELD
    tail -n 2000 "$EVENTS" | grep -aoE "\"$1\" *: *\[ *\"[^]\\\\]+\]" |
        awk '{ n = gsub(/"[^"]*"/, "&"); if (n >= most) { most = n; line = $0 } } END { print line }' |
        sed 's/^[^[]*\[ *//; s/ *\]$//; s/" *, *"/,/g; s/"//g'
}
