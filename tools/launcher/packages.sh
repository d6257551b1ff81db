# packages.sh -- Debian packages: which are missing, and installing them. The list is in `packages`.

# missing_packages WHICH -- WHICH is `run`, or `test` for those too.
missing_packages() {
    local wanted
    wanted=$(sed -e 's/#.*//' -e "s/^$1 //" -e '/ /d' -e '/^$/d' "$root/tools/launcher/packages")
    # shellcheck disable=SC2086
    comm -23 <(printf '%s\n' $wanted | sort) \
        <(dpkg-query --show --showformat='${db:Status-Abbrev}${Package}\n' $wanted 2>/dev/null | sed -n 's/^.i *//p' | sort -u)
}

# For what cannot install: says what is missing.
require_packages() {
    local missing
    missing=$(missing_packages run | xargs)
    [ -z "$missing" ] || fail "missing packages; as root: apt-get install $missing"
}

# Debian starts a cluster of its own when Postgres is installed. Not for us: nothing of it is made. A machine that has
# Postgres already is left as it is.
without_main_cluster() {
    local folder=/etc/postgresql-common/createcluster.d status=0
    mkdir -p "$folder"
    echo 'create_main_cluster = false' >"$folder/penstock.conf"
    "$@" || status=$?
    rm -f "$folder/penstock.conf"
    return "$status"
}

install_now() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update || return 1
    without_main_cluster apt-get install --yes --no-install-recommends "$@"
}

# ensure_packages WHICH
ensure_packages() {
    local missing as_root=()
    mapfile -t missing < <(missing_packages "$1")
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "this is not a Debian system; it needs: ${missing[*]}"
    if ! is_root; then
        command -v sudo >/dev/null ||
            fail "missing packages, and no root or sudo to install them; as root: apt-get install ${missing[*]}"
        say "  installing ${#missing[@]} packages needs root; sudo may ask for your password"
        sudo -v || fail "missing packages; as root: apt-get install ${missing[*]}"
        as_root=(sudo bash -c "root=$(printf %q "$root"); . \"\$root/tools/launcher/packages.sh\"; install_now \"\$@\"" install)
        step "installing ${#missing[@]} packages" "$log/apt.log" "${as_root[@]}" "${missing[@]}"
    else
        step "installing ${#missing[@]} packages" "$log/apt.log" install_now "${missing[@]}"
    fi
}
