//! What the machine did meanwhile: whether all its CPUs were there, and how much
//! of them others had.

use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Linux' list of the CPUs online, as it prints it; empty where it does not.
#[must_use]
pub fn online() -> String {
    let list = fs::read_to_string("/sys/devices/system/cpu/online");
    list.unwrap_or_default().trim().to_owned()
}

/// The longest such list that is seen in a fifth of a second: a CPU that is only
/// away for a moment belongs to the machine.
#[must_use]
pub fn most_online() -> String {
    let look = |_| {
        thread::sleep(Duration::from_millis(10));
        online()
    };
    let lists = (0..20).map(look);
    lists
        .max_by_key(|list| numbers(list).len())
        .unwrap_or_default()
}

/// Their numbers, ascending.
#[must_use]
pub fn online_cpus() -> Vec<usize> {
    numbers(&online())
}

fn numbers(list: &str) -> Vec<usize> {
    let number = |text: &str| text.parse::<usize>().ok();
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(number(first)?..=number(last)?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// A moment, by everything that counts time.
#[derive(Debug)]
pub struct Moment {
    online: String,
    clock: Instant,
    /// Of all CPUs together: all their time, and that in which they did something.
    all: Duration,
    busy: Duration,
    ours: Duration,
}

/// What happened since a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Meanwhile {
    /// CPUs came or went: what was measured is of two machines.
    CpusChanged,
    /// They were all there.
    Steady {
        /// The share of their time that others had.
        others: f64,
        /// The time that this process had on them.
        ours: Duration,
    },
}

impl Moment {
    /// This one.
    #[must_use]
    pub fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        // user, nice, system, idle, iowait, irq, softirq, steal, in 1/100 s;
        // what guests had is in the first two already.
        let line = stat.lines().next().unwrap_or_default();
        let fields = line.split_whitespace().skip(1).take(8);
        let ticks: Vec<u64> = fields.map(|field| field.parse().unwrap_or(0)).collect();
        let all: u64 = ticks.iter().sum();
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        let of = |ticks: u64| Duration::from_millis(10 * ticks);
        let ours = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            online: online(),
            clock: Instant::now(),
            all: of(all),
            busy: of(all - idle),
            ours: Duration::new(ours.tv_sec as u64, ours.tv_nsec as u32),
        }
    }

    /// What happened since then.
    #[must_use]
    pub fn meanwhile(&self) -> Meanwhile {
        let now = Self::now();
        let passed = |then: Duration, now: Duration| now.saturating_sub(then).as_secs_f64();
        let cpus = online_cpus().len().max(1) as f64;
        let whole = cpus * passed(Duration::ZERO, now.clock - self.clock);
        // A CPU that was gone for a while has not counted its time.
        let counted = passed(self.all, now.all);
        if self.online != now.online || counted < 0.9 * whole - 0.02 {
            return Meanwhile::CpusChanged;
        }
        let ours = now.ours.saturating_sub(self.ours);
        let others = passed(self.busy, now.busy) - ours.as_secs_f64();
        Meanwhile::Steady {
            others: (others / whole).max(0.0),
            ours,
        }
    }
}
