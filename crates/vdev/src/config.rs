//! What `pagepress vdev run` tells the library that it preloads.

use pagepress_model::profile::{Mode, Profile, QueueConfig};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The environment variable that names the directory.
pub const VARIABLE: &str = "PAGEPRESS_VDEV";
/// The file of the configuration in it.
pub const CONFIG: &str = "config.json";
/// The file of the counters in it.
pub const COUNTERS: &str = "counters";
/// The directory in it that the served paths are below: what a program knows as
/// `/sys/bus/dsa` is `root/sys/bus/dsa` there.
pub const ROOT: &str = "root";

/// A generation of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Generation {
    /// Sapphire and Emerald Rapids.
    Gen1,
    /// Granite Rapids.
    Gen2,
}

impl Generation {
    /// The registers of its devices.
    #[must_use]
    pub fn profile(self) -> Profile {
        match self {
            Self::Gen1 => Profile::GEN1,
            Self::Gen2 => Profile::GEN2,
        }
    }
}

/// All that the library needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// What the devices are.
    pub generation: Generation,
    /// How many there are. Each has one work queue.
    pub devices: usize,
    /// Whether the queues are dedicated.
    pub dedicated: bool,
    /// Entries of each queue.
    pub size: u16,
    /// Of those, how many a shared queue accepts before ENQCMD says retry.
    pub threshold: u16,
    /// What goes wrong, as [`Plan`](pagepress_model::faults::Plan) reads it; empty
    /// for nothing.
    pub faults: String,
    /// Whether portals may be mapped, as opposed to EPERM.
    pub mmap: bool,
    /// Whether a thread completes descriptors behind the program's back, in the time
    /// that a device takes, as opposed to at once. Faults need it.
    pub device_thread: bool,
    /// Where a line for each descriptor goes: an absolute path.
    pub trace: Option<PathBuf>,
    /// The paths that are served, and all below them: absolute, without a slash at
    /// the end.
    pub served: Vec<String>,
    /// The nodes of the queues.
    pub nodes: Vec<Node>,
}

/// The node of a work queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its path to programs, `/dev/iax/wq1.0`. Below the root there is a regular
    /// file for it.
    pub path: String,
    /// Its device, counted from 0.
    pub device: usize,
    /// The major number that `stat` tells.
    pub major: u32,
    /// The minor number.
    pub minor: u32,
}

impl Config {
    /// The configuration of each queue.
    #[must_use]
    pub fn queue(&self) -> QueueConfig {
        QueueConfig {
            mode: if self.dedicated {
                Mode::Dedicated
            } else {
                Mode::Shared
            },
            threshold: self.threshold,
            ..QueueConfig::shared(self.size)
        }
    }

    /// Writes it into the directory.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        fs::write(directory.join(CONFIG), serde_json::to_vec_pretty(self)?)
    }

    /// Reads it from the directory.
    ///
    /// # Errors
    /// If the file cannot be read, or is none that [`write`](Self::write) has
    /// written.
    pub fn read(directory: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(directory.join(CONFIG))?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            generation: Generation::Gen2,
            devices: 2,
            dedicated: true,
            size: 64,
            threshold: 32,
            faults: "late:5us@1/7".to_owned(),
            mmap: false,
            device_thread: true,
            trace: Some("/tmp/t r".into()),
            served: vec!["/sys/bus/dsa".to_owned()],
            nodes: vec![Node {
                path: "/dev/iax/wq1.0".to_owned(),
                device: 0,
                major: 235,
                minor: 0,
            }],
        };
        config.write(dir.path()).unwrap();
        assert_eq!(Config::read(dir.path()).unwrap(), config);
        assert_eq!(config.queue().mode, Mode::Dedicated);
        assert!(Config::read(Path::new("/nothing")).is_err());
    }
}
