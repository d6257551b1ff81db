# ports.sh -- TCP ports on 127.0.0.1.

port_is_open() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# reserve_ports N -- sets ports: N of them (at most 16) that are free, and that nobody else who asks here is given while this shell lives,
# or anything it has started. They are below the range that the kernel hands out, so that no connection of anybody's has one of them
# while the server it is meant for is down.
reserve_ports() {
    local folder=/tmp/penstock-ports block port lock
    mkdir --mode=1777 "$folder" 2>/dev/null || true
    while true; do
        block=$((SRANDOM % 700)) ports=()
        { exec {lock}>"$folder/$block"; } 2>/dev/null || continue # another user's
        if flock --nonblock "$lock"; then
            for ((port = 20000 + block * 16; port < 20016 + block * 16 && ${#ports[@]} < $1; port++)); do
                port_is_open "$port" || ports+=("$port")
            done
            [ ${#ports[@]} -lt "$1" ] || return 0
        fi
        exec {lock}>&-
    done
}
