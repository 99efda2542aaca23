//! Device nodes, and who may open them.

use crate::Seen;
use pagepress_idxd::chain::LinkName::{Node, Permission};

#[test]
fn missing() {
    let found = [
        (
            "container-without-node",
            "all 8 work queues: /dev/iax is not there",
        ),
        (
            "node-removed",
            "all 8 work queues: its node in /dev/iax is not there",
        ),
    ];
    for (name, found) in found {
        let seen = Seen::of(name);
        assert_eq!(seen.found(Node), found);
        assert_eq!(
            seen.fix(Node)[..4],
            [
                "docker run --device /dev/iax ...   # in a container",
                "mkdir -p /dev/iax   # on a host, as root",
                "mknod -m 0600 /dev/iax/wq1.0 c 235 0",
                "mknod -m 0600 /dev/iax/wq3.0 c 235 1",
            ]
        );
        assert_eq!(seen.fix(Node).len(), 10);
        assert_eq!(seen.found(Permission), "there is no node");
        assert_eq!(seen.refused("wq1.0"), [Node, Permission]);
    }
}

#[test]
fn of_another_device() {
    let seen = Seen::of("node-of-another-device");
    let found = "iax1/wq1.0: /dev/iax/wq1.0 is device 238:0, and the queue is 235:0; ";
    assert!(seen.found(Node).starts_with(found));
    assert_eq!(
        seen.fix(Node)[..3],
        [
            "rm /dev/iax/wq1.0",
            "mknod -m 0660 /dev/iax/wq1.0 c 235 0",
            "chown 0:1001 /dev/iax/wq1.0",
        ]
    );
}

#[test]
fn permissions() {
    let seen = Seen::of("no-permission");
    assert_eq!(
        seen.found(Permission),
        "all 8 work queues: user 1000 may not use it: owner 0, group 0, mode 0600"
    );
    assert_eq!(
        seen.fix(Permission),
        [
            "for i in 1 3 5 7 9 11 13 15; do setfacl -m u:1000:rw /dev/iax/wq$i.0; done   # until \
             the queue is disabled",
            "groupadd -f iax && usermod -aG iax $(id -un 1000)   # for good, this and the rest; \
             then log in again",
            "echo 'SUBSYSTEM==\"dsa\", KERNEL==\"iax*wq*\", GROUP=\"iax\", MODE=\"0660\"' > \
             /etc/udev/rules.d/90-iax.rules",
            "udevadm control --reload && udevadm trigger --subsystem-match=dsa",
        ]
    );
    let found = |name| Seen::of(name).found(Permission).to_owned();
    let by = |how: &str| format!("all 8 work queues: user 1000 may use it ({how})");
    assert_eq!(found("permission-by-group"), by("mode 0660"));
    assert_eq!(found("permission-by-capability"), by("CAP_DAC_OVERRIDE"));
}

/// What an access control list says is not in a listing.
#[test]
fn access_control_lists() {
    let seen = Seen::of("permission-by-list");
    assert!(
        seen.found(Permission)
            .contains("its access control list is not in the listing")
    );
    assert!(seen.diagnosis.first_broken().is_none() && !seen.diagnosis.is_usable());
    let unknown = seen.diagnosis.first_unknown().map(|link| link.name);
    assert_eq!(unknown, Some(Permission));
}

/// Who asks, where `proc/self/status` is absent: root.
#[test]
fn who_asks() {
    let seen = Seen::of("taken-apart");
    let user = seen.host.user.as_ref().unwrap();
    assert_eq!((user.uid, user.has_rawio()), (0, true));
    let seen = Seen::of("no-permission");
    let user = seen.host.user.as_ref().unwrap();
    assert_eq!(
        (user.uid, &user.gids[..], user.has_rawio()),
        (1000, &[1000, 1000, 4, 27][..], false)
    );
}
