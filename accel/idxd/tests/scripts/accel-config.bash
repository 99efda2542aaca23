#!/usr/bin/env bash
# Does to files below FAKE_ROOT what accel-config does to sysfs, with
# FAKE_DRIVER for the driver.
set -eu
devices=$FAKE_ROOT/sys/bus/dsa/devices
command=$1 name=$2
shift 2
[ -d "$devices/$name" ] || { echo "no $name" >&2 && exit 1; }
case $command in
enable-device) exec "$FAKE_DRIVER" "$FAKE_ROOT" bind idxd "$name" ;;
disable-device) exec "$FAKE_DRIVER" "$FAKE_ROOT" unbind idxd "$name" ;;
enable-wq) exec "$FAKE_DRIVER" "$FAKE_ROOT" bind user "${name#*/}" ;;
disable-wq) exec "$FAKE_DRIVER" "$FAKE_ROOT" unbind user "${name#*/}" ;;
config-engine | config-wq) ;;
*) exit 1 ;;
esac
for option in "$@"; do
    attribute=${option%%=*}
    attribute=${attribute#--}
    attribute=${attribute//-/_}
    if [ "$attribute" = wq_size ]; then attribute=size; fi
    [ -f "$devices/$name/$attribute" ] || { echo "no $attribute" >&2 && exit 1; }
    echo "${option#*=}" >"$devices/$name/$attribute"
done
