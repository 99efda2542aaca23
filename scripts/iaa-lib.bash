# shellcheck shell=bash
# What scripts/configure-iaa reads and writes: the driver's tree in sysfs, the
# commands, and the state that --undo restores. Sourced by it; of no use alone.
#
# It has set: root, bus, state, name, dry, method, apply.
# shellcheck disable=SC2154

wq_attributes='size mode type driver_name name group_id priority prs_disable block_on_fault
    threshold max_transfer_size ats_disable enqcmds_retries op_config'
group_attributes='traffic_class_a traffic_class_b desc_progress_limit batch_progress_limit'

say() {
    echo "configure-iaa: $*" >&2
}

fail() {
    say "$@"
    exit 1
}

# --- reading

# Leaves the first line of a file in $got; 1 if it cannot be read.
read_file() { # FULL PATH
    got=
    [ -f "$1" ] || return 1
    { IFS= read -r got <"$1" || [ -n "$got" ]; } 2>/dev/null
}

get() { # DEVICE/PART/ATTRIBUTE
    read_file "$root$bus/devices/$1"
}

is() { # PATH VALUE
    get "$1" && [ "$got" = "$2" ]
}

has() {
    [ -e "$root$bus/devices/$1" ]
}

# Leaves the parts of a device in $list: wq1.0, wq1.1 and so on.
parts() { # DEVICE KIND
    local n=0 part
    list=()
    while part=$2${1#iax}.$n && [ -d "$root$bus/devices/$1/$part" ]; do
        list+=("$part")
        n=$((n + 1))
    done
}

devices() {
    local path
    for path in "$root$bus/devices"/iax[0-9]*; do
        [[ ${path##*/} =~ ^iax[0-9]+$ ]] && [ -d "$path" ] && echo "${path##*/}"
    done | sort -V
}

# The driver that has an enabled WQ.
driver_of() { # DEVICE/WQ
    local to
    if to=$(readlink -- "$root$bus/devices/$1/driver"); then
        echo "${to##*/}"
    elif get "$1/driver_name" && [ -n "$got" ]; then
        echo "$got"
    elif get "$1/type" && [ "$got" = kernel ] && get "$1/name" && [ "$got" = dmaengine ]; then
        echo dmaengine
    elif get "$1/type" && [ "$got" = kernel ]; then
        echo crypto
    else
        echo user
    fi
}

boot_id() {
    read_file "$root/proc/sys/kernel/random/boot_id" || :
    echo "$got"
}

# What the driver and the device mean by the last command's status.
meaning() { # STATUS
    case $1 in
    0x80000010) echo "the device is enabled already" ;;
    0x80000020) echo "the device is not enabled" ;;
    0x80000021) echo "the WQ is enabled already" ;;
    0x80020000) echo "the DMA device could not be registered" ;;
    0x80030000) echo "the WQ is in no group" ;;
    0x80040000) echo "the WQ has no name" ;;
    0x80050000) echo "no shared virtual memory for the WQ" ;;
    0x80060000) echo "the shared WQ has no threshold" ;;
    0x80070000) echo "the portal could not be mapped" ;;
    0x80080000) echo "resources could not be allocated" ;;
    0x80090000) echo "a per-CPU counter could not be set up" ;;
    0x800a0000) echo "the DMA channel could not be registered" ;;
    0x800b0000) echo "the device node could not be made" ;;
    0x800c0000) echo "shared WQs are not supported: no PASID, see intel_iommu=on,sm_on" ;;
    0x800d0000) echo "nothing is configured" ;;
    0x800e0000) echo "the WQ has no size" ;;
    0x800f0000) echo "a privileged WQ cannot be enabled" ;;
    0x80100000) echo "interrupts could not be set up" ;;
    0x80110000) echo "user WQs need the IOMMU with shared virtual memory: intel_iommu=on,sm_on" ;;
    0x80120000) echo "the event log could not be set up" ;;
    0x80200000) echo "the WQ has no driver name" ;;
    0x1[0-9a-b]) echo "the device refused to be enabled" ;;
    0x22) echo "the device refused the WQ: no size" ;;
    0x23) echo "the device refused the WQ: priority 0" ;;
    0x25) echo "the device refused the WQ: block-on-fault without page requests" ;;
    0x26) echo "the device refused the WQ: PASID" ;;
    0x28) echo "the device refused the WQ: maximum transfer size" ;;
    0x2d) echo "the device refused the WQ: operations" ;;
    0x2[0-9a-e]) echo "the device refused the WQ" ;;
    *) echo "of unknown meaning" ;;
    esac
}

# --- doing

# Ends a run in the middle.
broken() { # WHAT WHY
    say "failed: $1${2:+: $2}"
    if [ -n "${device-}" ] && get "$device/cmd_status" && [ "$got" != 0 ] && [ "$got" != 0x0 ]; then
        say "command status of $device: $got, $(meaning "$got")"
    fi
    say "stopped there; dmesg may say more"
    if [ -e "$state" ]; then
        say "to go back: $0 --undo --state $(printf %q "$state")"
    fi
    exit 1
}

run() { # COMMAND...
    local error
    printf '%s\n' "$*"
    if ! $dry; then
        error=$("$@" 2>&1) || broken "$*" "$(tail -n 1 <<<"$error")"
    fi
}

# A word as the shell wants it.
quoted() {
    local quote="'" escaped="'\\''"
    if [[ $1 =~ ^[A-Za-z0-9._,:+-]*$ ]]; then
        printf '%s' "$1"
    else
        printf "'%s'" "${1//$quote/$escaped}"
    fi
}

put() { # VALUE FULL PATH
    local error
    printf 'echo%s > %s\n' "${1:+ $(quoted "$1")}" "$2"
    if ! $dry; then
        error=$( (printf '%s\n' "$1" >"$root$2") 2>&1) || broken "writing '$1' to $2" "${error##*: }"
    fi
}

write() { # DEVICE/PART/ATTRIBUTE VALUE
    put "$2" "$bus/devices/$1"
}

# Gives a device or WQ to a driver, or takes it away.
drive() { # bind|unbind DRIVER NAME
    if [ -z "$apply" ] || $dry; then
        put "$3" "$bus/drivers/$2/$1"
    else
        printf 'echo %s > %s\n' "$3" "$bus/drivers/$2/$1"
        "$apply" "$root" "$1" "$2" "$3" </dev/null || broken "$1 of $3"
    fi
}

# In a dry run, nothing changes its state.
expect() { # DEVICE[/WQ] STATE
    $dry || is "$1/state" "$2" || broken "$1 is ${got:-of no state}, not $2"
}

disable_all() { # DEVICE
    local wq driver
    parts "$1" wq
    for wq in ${list[@]+"${list[@]}"}; do
        is "$1/$wq/state" enabled || continue
        driver=$(driver_of "$1/$wq")
        # accel-config refuses those of the kernel, which is its own client.
        if [ "$method" = accel-config ] && [ "$driver" = user ]; then
            run accel-config disable-wq "$1/$wq"
        else
            drive unbind "$driver" "$wq"
        fi
        expect "$1/$wq" disabled
    done
    if is "$1/state" enabled; then
        if [ "$method" = accel-config ]; then
            run accel-config disable-device "$1"
        else
            drive unbind idxd "$1"
        fi
        expect "$1" disabled
    fi
}

# --- saving and restoring

attributes_of() { # DEVICE/PART
    local attribute names=$group_attributes
    case ${1##*/} in
    wq*) names=$wq_attributes ;;
    engine*) names=group_id ;;
    esac
    for attribute in $names; do
        if get "$1/$attribute"; then echo "set $1/$attribute $got"; fi
    done
}

# Adds a device to the state, unless it is there from an earlier run: undoing
# goes back to before the first.
save() { # DEVICE
    local part kind
    start_state
    if grep -qx "device $1 .*" "$state"; then return; fi
    {
        get "$1/state"
        echo "device $1 $got"
        for kind in wq engine group; do
            parts "$1" "$kind"
            for part in ${list[@]+"${list[@]}"}; do
                attributes_of "$1/$part"
                if [ "$kind" = wq ] && is "$1/$part/state" enabled; then
                    echo "enabled $1/$part $(driver_of "$1/$part")"
                fi
            done
        done
    } >>"$state" || fail "cannot write $state"
}

start_state() {
    mkdir -p -- "$(dirname -- "$state")" || fail "cannot write $state"
    # idxd forgets at a restart, and so does this.
    if [ -e "$state" ] && ! grep -qx "boot $(boot_id)" "$state"; then
        mv -- "$state" "$state.old"
    fi
    if [ ! -e "$state" ]; then
        printf '%s\n' "# What configure-iaa found; --undo restores it." "boot $(boot_id)" >"$state" ||
            fail "cannot write $state"
    fi
    grep -qx "name $name" "$state" || echo "name $name" >>"$state"
}

# What an attribute is when it comes to restore it: the driver resets a device
# that is disabled, which a dry run does not do.
now() { # DEVICE/PART/ATTRIBUTE
    if $dry && is "${1%%/*}/state" enabled; then
        case ${1##*/} in
        group_id) got=-1 ;;
        mode) got=shared ;;
        type) got=none ;;
        name) got= ;;
        max_transfer_size) got=2097152 ;;
        enqcmds_retries) got=32 ;;
        op_config) get "${1%%/*}/op_cap" || : ;;
        driver_name | prs_disable | traffic_class_? | *_progress_limit) get "$1" || : ;;
        *) got=0 ;;
        esac
    else
        get "$1" || got=
    fi
}

restore_attribute() { # PATH VALUE
    now "$1"
    [ "$got" != "$2" ] || return 0
    if [ "${1##*/}" = threshold ] && [ "$2" = 0 ]; then
        # 0 is refused; a dedicated WQ has none, and loses the one it had.
        now "${1%/*}/mode"
        if [ "$got" = shared ]; then
            write "${1%/*}/mode" dedicated
            write "${1%/*}/mode" shared
        fi
    elif [ "${1##*/}" = enqcmds_retries ] && is "${1%/*}/mode" dedicated; then
        return 0
    else
        write "$1" "$2"
    fi
}

restore() { # DEVICE STATE
    local path value wq driver
    echo "# $1: as it was"
    disable_all "$1"
    # Room first: sizes may not add up to more than there is on the way.
    parts "$1" wq
    for wq in ${list[@]+"${list[@]}"}; do
        now "$1/$wq/size"
        [ "$got" = 0 ] || write "$1/$wq/size" 0
    done
    while read -r path value; do
        restore_attribute "$path" "$value"
    done < <(sed -n "s|^set \($1/\)|\1|p" "$state")
    if [ "$2" = enabled ]; then
        drive bind idxd "$1"
        expect "$1" enabled
        while read -r wq driver; do
            drive bind "$driver" "${wq##*/}"
            expect "$wq" enabled
        done < <(sed -n "s|^enabled \($1/\)|\1|p" "$state")
    fi
}

# The state is root's own file; its paths are checked all the same.
check_state() {
    local line
    while IFS= read -r line; do
        [[ $line =~ ^(#.*|boot\ [0-9a-f-]*|device\ iax[0-9]+\ [a-z]+|(rule|name)\ [A-Za-z0-9._-]*)$ ||
            $line =~ ^set\ iax[0-9]+/(wq|engine|group)[0-9]+\.[0-9]+/[a-z_]+\ .*$ ||
            $line =~ ^enabled\ iax[0-9]+/wq[0-9]+\.[0-9]+\ [a-z_]+$ ]] ||
            fail "$state is not what this script wrote: $line"
    done <"$state"
}
