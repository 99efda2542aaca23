//! Pools while CPUs come and go: threads compress and decompress on pools of
//! every backend, change CPUs at random and are moved by others, pools are made
//! and dropped, and meanwhile a CPU is taken offline and brought back, and a
//! cpuset changes. Every page is compared; no context may be made twice, shared,
//! moved or freed before its pool.
//!
//! The host is left alone unless `PAGEPRESS_HOTPLUG_HOST=1`; `scripts/hotplug` says
//! that, and restores the host whatever happens. 5 seconds by default;
//! `PAGEPRESS_HOTPLUG_SECONDS=120` asks for so many. `PAGEPRESS_HOTPLUG_PAGES`
//! is the least number of pages to verify, `PAGEPRESS_HOTPLUG_THREADS` how many
//! threads do. What the host does not allow is said and left out.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod churn;
#[cfg(target_os = "linux")]
mod cpus;
#[cfg(target_os = "linux")]
mod disturb;
#[cfg(target_os = "linux")]
mod host;
#[cfg(target_os = "linux")]
mod pools;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(target_os = "linux")]
mod watched;

#[cfg(target_os = "linux")]
#[path = "../campaign/pages.rs"]
mod pages;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("hotplug: skipped: only Linux takes CPUs offline");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    run::main()
}
