#!/usr/bin/env bash
# Does to files below a root what idxd does when a device or a work queue is
# bound to a driver, or taken from it: ROOT bind|unbind DRIVER NAME
set -eu
at=$1/sys/bus/dsa/devices/$4

is() {
    [ "$(cat "$at/$1")" = "$2" ]
}

refuse() { # STATUS
    case $at in
    */wq*) echo "$1" >"$at/../cmd_status" ;;
    *) echo "$1" >"$at/cmd_status" ;;
    esac
    exit 1
}

# A queue that is disabled loses all but its size and group.
reset_wq() { # DIRECTORY
    echo disabled >"$1/state"
    echo none >"$1/type"
    echo shared >"$1/mode"
    echo >"$1/name"
    echo 0 | tee "$1/threshold" "$1/priority" "$1/block_on_fault" "$1/ats_disable" >"$1/clients"
    echo 2097152 >"$1/max_transfer_size"
    if [ -e "$1/op_config" ]; then cat "$1/../op_cap" >"$1/op_config"; fi
    rm -f "$1/driver"
}

at=$(realpath "$at")
case $2-$3 in
unbind-idxd)
    for part in "$at"/wq*; do
        reset_wq "$part"
        echo 0 >"$part/size"
        echo -1 >"$part/group_id"
    done
    for part in "$at"/engine*; do echo -1 >"$part/group_id"; done
    for part in "$at"/group*; do echo 1 | tee "$part/traffic_class_a" >"$part/traffic_class_b"; done
    echo disabled >"$at/state"
    ;;
bind-idxd)
    is state disabled || refuse 0x80000010
    grep -qv -e -1 "$at"/wq*/group_id || refuse 0x800d0000
    grep -qhv -e -1 "$at"/engine*/group_id || refuse 0x10
    total=0
    for part in "$at"/wq*; do total=$((total + $(cat "$part/size"))); done
    [ "$total" -le "$(cat "$at/max_work_queues_size")" ] || refuse 0x11
    echo enabled >"$at/state"
    ;;
bind-*)
    [ ! -e "$1/refuses-$4" ] || refuse "$(cat "$1/refuses-$4")"
    [ "$(cat "$at/../state")" = enabled ] || refuse 0x80000020
    is state disabled || refuse 0x80000021
    is driver_name "$3" || refuse 0x80200000
    ! is group_id -1 || refuse 0x80030000
    ! is name '' || refuse 0x80040000
    ! is size 0 || refuse 0x800e0000
    is mode dedicated || ! is threshold 0 || refuse 0x80060000
    ! is priority 0 || refuse 0x23
    echo enabled >"$at/state"
    ln -s "../../../../../bus/dsa/drivers/$3" "$at/driver"
    ;;
unbind-*)
    is state enabled
    reset_wq "$at"
    ;;
esac
