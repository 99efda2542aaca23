//! Snapshots of hosts in many states, each with its source.
//!
//! Shared by tests, those of the command too, and by the `host` example.
//! `FACT` in a source is a document of the kernel, of Intel or of a project;
//! `owner/name#number` is a public issue.

#[path = "hosts/snapshot.rs"]
mod snapshot;
#[path = "hosts/states.rs"]
mod states;

pub(crate) use snapshot::{Shape, Snapshot};
pub(crate) use states::STATES;

/// A state that a host may be in.
#[derive(Debug)]
pub(crate) struct State {
    /// Its name.
    pub(crate) name: &'static str,
    /// Where it was seen, or what says that it can be.
    pub(crate) source: &'static str,
    /// What makes it of a host on which all is well.
    edit: fn(&mut Snapshot),
}

impl State {
    /// The state of a name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        STATES.iter().find(|state| state.name == name)
    }

    /// A host in this state.
    pub(crate) fn snapshot(&self, shape: Shape) -> Snapshot {
        let mut snapshot = Snapshot::healthy(shape);
        (self.edit)(&mut snapshot);
        snapshot
    }
}
