//! Who wants to know of every descriptor's end.

use core::fmt;
use pagepress_abi::{Completion, Descriptor, SwError};

/// How a descriptor that a queue took ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It completes so: told before its completion record is written, or before it
    /// would be, had it asked for one.
    Completed(Completion),
    /// Nobody could be told how it ended, and SWERROR says so. Of a record that
    /// cannot be written, this comes after [`Completed`](Self::Completed).
    Untold(SwError),
    /// It never will: the device was halted or reset, the queue aborted, or the
    /// device is gone.
    Abandoned,
}

/// Why a queue did not take a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A shared queue sent it back.
    Retry,
    /// A dedicated queue was full: only SWERROR says so.
    Dropped,
    /// A dedicated queue took nothing just then.
    Ignored,
}

/// Somebody who is told of every descriptor that a device's queues take, and of its
/// end, by the thread that is the device just then, which waits meanwhile and holds
/// locks: nothing that is told may come back to the device.
pub trait Observer: fmt::Debug + Send + Sync {
    /// A queue of the device takes a descriptor.
    fn taken(&self, queue: usize, descriptor: &Descriptor);

    /// A queue of the device did not take a descriptor.
    fn refused(&self, queue: usize, descriptor: &Descriptor, why: Refused);

    /// A descriptor of this queue of the device has come to its end.
    fn ended(&self, queue: usize, descriptor: &Descriptor, end: End);
}
