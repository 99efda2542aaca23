//! The chain on snapshots of hosts: whole ones in many states, and damaged ones.

mod damage;
mod devices;
mod nodes;
mod platform;
mod queues;
mod table;

#[path = "hosts.rs"]
mod hosts;

use hosts::{Shape, Snapshot, State};
use pagepress_idxd::chain::{Link, LinkName, Status};
use pagepress_idxd::{Diagnosis, Host, Root};
use tempfile::TempDir;

/// All the devices, in a command.
const EACH: &str = "for i in 1 3 5 7 9 11 13 15; do ";
/// What follows `config-wq NAME` but for a size.
const SETTINGS: &str = "--group-id=0 --mode=shared --threshold=128 --priority=10 \
                        --block-on-fault=1 --type=user --driver-name=user --name=pagepress \
                        --max-transfer-size=2147483648";

/// A host and what is said of it.
#[derive(Debug)]
struct Seen {
    host: Host,
    diagnosis: Diagnosis,
}

impl Seen {
    /// A host in a state.
    fn of(name: &str) -> Self {
        let state = State::find(name).unwrap_or_else(|| panic!("no state `{name}`"));
        Self::snapshot(&state.snapshot(Shape::SHORT))
    }

    fn snapshot(snapshot: &Snapshot) -> Self {
        let dir = scratch();
        snapshot.write(dir.path()).unwrap();
        let host = Host::look(&Root::new(dir.path())).unwrap();
        let diagnosis = Diagnosis::of(&host);
        Self { host, diagnosis }
    }

    /// The host with something changed that no snapshot can have.
    fn with(mut self, change: impl FnOnce(&mut Host)) -> Self {
        change(&mut self.host);
        self.diagnosis = Diagnosis::of(&self.host);
        self
    }

    /// A letter for each link: `o`k, `b`roken, `d`egraded, `u`nknown, `s`kipped.
    fn letters(&self) -> String {
        letters(&self.diagnosis)
    }

    fn link(&self, name: LinkName) -> &Link {
        self.diagnosis.link(name).unwrap()
    }

    fn fix(&self, name: LinkName) -> Vec<&str> {
        self.link(name).fix.iter().map(String::as_str).collect()
    }

    fn found(&self, name: LinkName) -> &str {
        &self.link(name).found
    }

    /// The one advice that contains something.
    fn advice(&self, with: &str) -> &str {
        let all = &self.diagnosis.advice;
        let found: Vec<&String> = all.iter().filter(|a| a.contains(with)).collect();
        assert_eq!(found.len(), 1, "`{with}` in {all:#?}");
        found[0]
    }

    /// The queues that would be used.
    fn usable(&self) -> Vec<&str> {
        let paths = self.diagnosis.paths.iter();
        let usable = paths.filter(|path| path.is_usable());
        usable.map(|path| path.queue.as_str()).collect()
    }

    /// What keeps a queue from being used.
    fn refused(&self, queue: &str) -> Vec<LinkName> {
        let mut paths = self.diagnosis.paths.iter();
        let path = paths.find(|path| path.queue == queue).unwrap();
        path.refused.iter().map(|(name, _)| *name).collect()
    }
}

/// A directory for many small files, in memory where there is one.
fn scratch() -> TempDir {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    in_memory.or_else(|_| tempfile::tempdir()).unwrap()
}

fn letters(diagnosis: &Diagnosis) -> String {
    let letter = |link: &Link| match link.status {
        Status::Ok => 'o',
        Status::Broken => 'b',
        Status::Degraded => 'd',
        Status::Unknown => 'u',
        Status::Skipped => 's',
    };
    diagnosis.links.iter().map(letter).collect()
}

/// The commands that have a queue of each device configured anew.
fn reconfigured(name: &str) -> Vec<String> {
    let settings = SETTINGS.replace("pagepress", name);
    vec![
        format!("{EACH}accel-config disable-wq iax$i/wq$i.0; done   # ends all use of it"),
        format!("{EACH}accel-config config-wq iax$i/wq$i.0 {settings}; done"),
        format!("{EACH}accel-config enable-wq iax$i/wq$i.0; done"),
    ]
}

/// The commands that set up every device, after they were disabled.
fn set_up() -> Vec<String> {
    vec![
        format!(
            "{EACH}for e in $(seq 0 7); do accel-config config-engine iax$i/engine$i.$e \
             --group-id=0; done; done"
        ),
        format!("{EACH}accel-config config-wq iax$i/wq$i.0 --wq-size=128 {SETTINGS}; done"),
        format!("{EACH}accel-config enable-device iax$i; done"),
        format!("{EACH}accel-config enable-wq iax$i/wq$i.0; done"),
    ]
}
