# common.sh -- what every part of the launcher uses: words to the person, where things are, whose they are.
#
# Sourced by ./penstock and tests/with-servers after they have set `root`, the checkout. Functions print to standard error
# unless their output is their result. `fail` ends the command.

penstock_user=${PENSTOCK_USER:-penstock} # servers and services run as this user when the launcher is root

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    printf 'penstock: %s\n' "$*" >&2
    exit 1
}

# Seconds with milliseconds, without a process. EPOCHREALTIME has a comma in some locales.
now_ms() {
    local now=${EPOCHREALTIME/[.,]/}
    printf '%s' "${now%???}"
}

# step TEXT LOG COMMAND… -- one step of several seconds: says what is being done and where its log is, and on failure shows the
# log's end and stops.
step() {
    local text=$1 log_file=$2 begin status=0
    shift 2
    begin=$(now_ms)
    printf '  %-44s ' "$text" >&2
    printf '== %(%F %T)T %s\n' -1 "$text" >>"$log_file"
    ("$@") >>"$log_file" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        printf 'FAILED\n' >&2
        show_end "$log_file"
        fail "$text: failed; the whole log is $log_file"
    fi
    printf '%s\n' "$(seconds_since "$begin")" >&2
}

# The last lines of a log, of the last step that wrote to it.
show_end() {
    [ -s "$1" ] || return 0
    say "  ---- the end of $1"
    awk '/^== / { text = "" } { text = text $0 "\n" } END { printf "%s", text }' "$1" | tail -n 20 | sed 's/^/  | /' >&2
}

seconds_since() {
    local ms=$(($(now_ms) - $1))
    printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

is_root() {
    [ "$(id -u)" -eq 0 ]
}

# Fills run_as: what goes before a command that must not run as root.
choose_user() {
    run_as=()
    is_root || return 0
    if ! id "$penstock_user" >/dev/null 2>&1; then
        useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$penstock_user" ||
            fail "servers must not run as root, and user $penstock_user could not be made (PENSTOCK_USER names another)"
    fi
    run_as=(setpriv --reuid="$penstock_user" --regid="$(id -g "$penstock_user")" --init-groups --no-new-privs)
}

# Can the unprivileged user enter this folder, or the nearest one above it that exists?
can_reach() {
    local folder=$1
    while [ ! -e "$folder" ]; do
        folder=$(dirname "$folder")
    done
    "${run_as[@]}" test -x "$folder" -a -r "$folder"
}

own() {
    [ "${#run_as[@]}" -eq 0 ] || chown "$penstock_user:" "$@"
}

# A folder of the unprivileged user's, closed to others.
private_folder() {
    mkdir -p "$1" || fail "cannot make folder $1"
    own "$1"
    chmod 700 "$1"
}

# Sets home (data), cache (downloads) and their folders. Where the unprivileged user cannot reach the checkout, both go to
# /var/lib/penstock, and so do copies of the programs.
locate_home() {
    local wanted=${PENSTOCK_HOME:-$root/var} base=$root/var
    case $wanted in
    /*) ;;
    *) wanted=$PWD/$wanted ;;
    esac
    home=$wanted copies=
    if ! can_reach "$wanted"; then
        home=/var/lib/penstock/$(printf %s "$wanted" | sha256sum | cut -c1-12)
    fi
    if ! can_reach "$root"; then
        copies=$home/bin
        base=/var/lib/penstock
    fi
    unreached=$wanted
    [ "$home" != "$wanted" ] || unreached=''
    cache=${PENSTOCK_CACHE:-$base/cache}
    run=$home/run log=$home/log secrets=$home/secrets
}

make_home() {
    if [ "$home" != "${PENSTOCK_HOME:-$root/var}" ]; then
        mkdir -p /var/lib/penstock && chmod 755 /var/lib/penstock
    fi
    mkdir -p "$home" "$log" "$cache" || fail "cannot make $home and $cache"
    chmod 755 "$home" "$log"
    own "$home" "$log"
    private_folder "$run"
    private_folder "$secrets"
    private_folder "$home/engine"
}

# For a URL.
percent_encode() {
    local text=$1 i c out=
    for ((i = 0; i < ${#text}; i++)); do
        c=${text:i:1}
        case $c in
        [a-zA-Z0-9._~-]) out+=$c ;;
        *) printf -v c '%%%02X' "'$c" && out+=$c ;;
        esac
    done
    printf %s "$out"
}

# secret NAME -- the path of a generated password; made on first use, readable by its owner alone.
secret() {
    local file=$secrets/$1
    if [ ! -s "$file" ]; then
        (umask 077 && od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$file.new" && mv "$file.new" "$file") ||
            fail "cannot write $file"
        own "$file"
    fi
    printf %s "$file"
}

# write_secret NAME TEXT -- the path of a file that holds TEXT.
write_secret() {
    (umask 077 && printf %s "$2" >"$secrets/$1") || fail "cannot write $secrets/$1"
    own "$secrets/$1"
    printf %s "$secrets/$1"
}
