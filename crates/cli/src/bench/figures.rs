//! The results: every figure that is printed, whatever the format.
//!
//! The names are those of the JSON schema, which `JSON.md` defines.

use super::host::Host;
use super::plan::backend_name;
use super::spread::Repeated;
use super::verdict::Judgement;
use pagepress::iaa::DeviceStats;
use pagepress::{FallbackReason, Tables};
use serde::{Serialize, Serializer};

/// Everything one command found.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Results {
    pub(crate) host: Host,
    pub(crate) input: Input,
    pub(crate) method: Method,
    pub(crate) runs: Vec<Run>,
    /// `None` unless asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) corunner: Option<Corunner>,
    pub(crate) verdict: Judgement,
    /// Those that were asked for, and begun.
    pub(crate) peers: Vec<Peer>,
}

/// How it was measured.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Method {
    /// As asked for, of each run, all its repeats together.
    pub(crate) seconds: f64,
    /// As asked for. All runs take turns in each.
    pub(crate) repeats: usize,
    /// Least time of a turn, of which a repeat has as many as it takes.
    pub(crate) turn_seconds: f64,
    /// Bytes that each worker starts each repeat with, untimed.
    pub(crate) warm_up_bytes: usize,
    /// What a timestamp costs, measured; there is one for each batch.
    pub(crate) timestamp_ns: f64,
    /// Ticks of the TSC in a second; `None` where timestamps are the system's.
    pub(crate) tsc_hz: Option<f64>,
    /// The command was stopped before all was measured.
    pub(crate) interrupted: bool,
    /// Runs asked for, of which those that were not begun are not in `runs`.
    pub(crate) runs_asked: usize,
    /// Those of the runs with canned codes, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tables: Option<Canned>,
}

/// Canned tables.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Canned {
    pub(crate) id: String,
    /// Pages that they were trained on.
    pub(crate) trained_pages: u64,
    pub(crate) trained_bytes: u64,
}

impl From<&Tables> for Canned {
    fn from(tables: &Tables) -> Self {
        let trained_on = tables.trained_on();
        Self {
            id: crate::tables::id(tables),
            trained_pages: trained_on.pages,
            trained_bytes: trained_on.bytes,
        }
    }
}

/// What was measured.
#[derive(Debug, Clone, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Input {
    /// The pages were chosen by this tool, for want of a named input.
    pub(crate) sample: bool,
    pub(crate) sources: Vec<Source>,
    /// Bytes before padding.
    pub(crate) bytes: u64,
    /// Pages of 4 KiB, as all counts here.
    pub(crate) pages: u64,
    pub(crate) same_filled: u64,
    pub(crate) padded_pages: u64,
    pub(crate) skipped: Vec<Skipped>,
    /// Files that were written to between the first reading and the last run.
    pub(crate) changed_files: u64,
    pub(crate) sha256: String,
}

/// One named input, or one part of a sample.
#[derive(Debug, Clone, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) kind: SourceKind,
    /// Regular files read, for a file or directory.
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) pages: u64,
    /// The pages that `pages` were taken from, where not all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) of_pages: Option<u64>,
    /// Of a core file, those that pages were taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) segments: Option<u64>,
    /// Of a cgroup, those that pages were taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) processes: Option<u64>,
}

/// What a source is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum SourceKind {
    #[default]
    File,
    Directory,
    Process,
    /// All processes of a cgroup.
    Cgroup,
    /// The memory in a core file.
    Core,
    /// Read once from front to end: a pipe, a device, standard input.
    Stream,
}

/// Something that was found and not measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Skipped {
    /// The source it belongs to.
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) count: u64,
    /// What `count` counts: `files`, `pages` or `processes`.
    pub(crate) unit: &'static str,
    /// The first of them, where they have names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first: Option<String>,
    /// It could not be read, though it was meant to be.
    #[serde(skip)]
    pub(crate) warn: bool,
}

impl Skipped {
    /// How many of what.
    pub(crate) fn counted(&self) -> String {
        match (self.count, self.unit) {
            (1, "processes") => "1 process".to_owned(),
            (1, units) => format!("1 {}", units.trim_end_matches('s')),
            (n, units) => format!("{n} {units}"),
        }
    }
}

/// One run.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Run {
    pub(crate) backend: &'static str,
    pub(crate) codec: &'static str,
    pub(crate) level: Option<i32>,
    /// The codes that a device used, if one was named; in software, canned ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) huffman: Option<&'static str>,
    pub(crate) performed_by: &'static str,
    pub(crate) unit_size: usize,
    pub(crate) batch: usize,
    pub(crate) threads: usize,
    /// Units in one pass.
    pub(crate) pages: u64,
    pub(crate) compressed_bytes: u64,
    pub(crate) ratio: f64,
    /// `None` if no other pages are there.
    pub(crate) ratio_without_same_filled: Option<f64>,
    /// By what the pages would take in zsmalloc; `None` for units that it does
    /// not take.
    pub(crate) ratio_in_zsmalloc: Option<f64>,
    pub(crate) incompressible_pages: u64,
    pub(crate) padded_pages: u64,
    pub(crate) padding_bytes: u64,
    pub(crate) dropped_same_filled: u64,
    pub(crate) passes: u64,
    pub(crate) seconds: f64,
    pub(crate) compress: Direction,
    pub(crate) decompress: Direction,
    pub(crate) data: Data,
    /// `None` unless runs that are otherwise the same have other unit sizes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) against_smallest_unit: Option<Against>,
    pub(crate) report: Report,
    /// What was done through each queue, in all passes; empty in software.
    pub(crate) queues: Vec<Queue>,
    pub(crate) calls: Calls,
    pub(crate) memory: Memory,
    pub(crate) verified: bool,
    pub(crate) bad_pages: u64,
    /// What went wrong first, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_bad: Option<String>,
}

/// What else did the same pages.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Peer {
    pub(crate) peer: &'static str,
    pub(crate) unit_size: usize,
    pub(crate) threads: usize,
    /// Algorithms that it offers, of which those that were not begun are not in
    /// `algorithms`.
    pub(crate) algorithms_asked: usize,
    /// With pages that need no codec; `None` if that was interrupted.
    pub(crate) floor: Option<PeerRun>,
    pub(crate) algorithms: Vec<PeerRun>,
}

impl Peer {
    /// All rows, the floor first.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &PeerRun> {
        self.floor.iter().chain(&self.algorithms)
    }
}

/// One algorithm of a peer.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PeerRun {
    pub(crate) algorithm: String,
    /// In one pass.
    pub(crate) pages: u64,
    pub(crate) dropped_same_filled: u64,
    /// By compressed bytes. Not a number if there are none.
    pub(crate) ratio: f64,
    /// By all memory taken for them.
    pub(crate) effective_ratio: f64,
    pub(crate) same_filled_share: f64,
    /// `None` where the kernel does not tell.
    pub(crate) incompressible_share: Option<f64>,
    pub(crate) mm_stat: MmStat,
    pub(crate) passes: u64,
    pub(crate) seconds: f64,
    pub(crate) store: Direction,
    pub(crate) load: Direction,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) above_floor: Option<AboveFloor>,
    pub(crate) verified: bool,
    pub(crate) bad_pages: u64,
    /// What went wrong first, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_bad: Option<String>,
}

/// What zram says of its memory after a pass, by the kernel's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct MmStat {
    pub(crate) orig_data_size: u64,
    pub(crate) compr_data_size: u64,
    pub(crate) mem_used_total: u64,
    pub(crate) same_pages: u64,
    pub(crate) huge_pages: Option<u64>,
}

/// The median time per page, less that of the floor.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct AboveFloor {
    pub(crate) store_ns: f64,
    pub(crate) load_ns: f64,
}

impl AboveFloor {
    pub(crate) fn of(run: &PeerRun, floor: &PeerRun) -> Self {
        let above =
            |of: fn(&PeerRun) -> &Direction| of(run).repeats.median - of(floor).repeats.median;
        Self {
            store_ns: above(|run| &run.store),
            load_ns: above(|run| &run.load),
        }
    }
}

/// The speed of one direction. Not a number, which JSON shows as null, if no
/// page went that way.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Direction {
    pub(crate) ns_per_page: Percentiles,
    pub(crate) ns_per_batch: Percentiles,
    pub(crate) pages_per_second: f64,
    pub(crate) gb_per_second: f64,
    pub(crate) cpu_seconds_per_gb: f64,
    pub(crate) tsc_ticks_per_page: Option<f64>,
    /// The mean time per page of the fastest pass of each repeat.
    pub(crate) repeats: Repeated,
    /// What timing costs, as a share of what was timed.
    pub(crate) timing_share: f64,
    /// It was too much, and was taken off all times.
    pub(crate) timing_taken_off: bool,
}

/// Nanoseconds.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
    pub(crate) mean: f64,
}

/// A run's figures on the one scale that unit sizes can be compared on: per 4
/// KiB of the input's own bytes. Padding, of which large units may have much
/// and which costs next to nothing, is no gain here.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Data {
    /// Input bytes without padding, by stored bytes.
    pub(crate) ratio: f64,
    pub(crate) compress_ns_per_4k: f64,
    pub(crate) decompress_ns_per_4k: f64,
}

/// [`Data`] as a change against the run with the smallest unit size that is
/// otherwise the same: 0.1 is a tenth more.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Against {
    pub(crate) unit_size: usize,
    pub(crate) ratio: f64,
    pub(crate) compress_ns: f64,
    pub(crate) decompress_ns: f64,
}

impl Run {
    /// The backend as users name it.
    pub(crate) fn name(&self) -> String {
        backend_name(self.backend, self.level, self.huffman)
    }

    /// Whether a software model of a device did pages of it, in any pass, either way.
    pub(crate) fn is_modelled(&self) -> bool {
        let calls = &self.calls;
        calls.compress.modelled_pages + calls.decompress.modelled_pages > 0
    }

    /// The same but for the unit size.
    fn is_sibling(&self, other: &Self) -> bool {
        let kind = |run: &Self| (run.backend, run.level, run.huffman, run.batch, run.threads);
        kind(self) == kind(other)
    }
}

/// Compares unit sizes, where there is more than one.
pub(crate) fn compare_unit_sizes(runs: &mut [Run]) {
    for at in 0..runs.len() {
        let run = &runs[at];
        let siblings = || runs.iter().filter(|other| other.is_sibling(run));
        if siblings().all(|other| other.unit_size == run.unit_size) {
            continue;
        }
        let Some(base) = siblings().min_by_key(|other| other.unit_size) else {
            continue;
        };
        let change = |of: fn(&Data) -> f64| of(&run.data) / of(&base.data) - 1.0;
        let against = Against {
            unit_size: base.unit_size,
            ratio: change(|data| data.ratio),
            compress_ns: change(|data| data.compress_ns_per_4k),
            decompress_ns: change(|data| data.decompress_ns_per_4k),
        };
        runs[at].against_smallest_unit = Some(against);
    }
}

/// A small service, alone on a CPU and beside loads.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Corunner {
    pub(crate) cpu: usize,
    pub(crate) working_set_bytes: usize,
    /// Pointers that a request follows.
    pub(crate) hops: usize,
    /// Mean time between requests.
    pub(crate) interval_us: f64,
    /// What each load is asked for, in pages of 4 KiB.
    pub(crate) pages_per_second: f64,
    /// What a load compresses at a time.
    pub(crate) burst_bytes: usize,
    pub(crate) alone: Service,
    pub(crate) beside: Vec<Beside>,
}

/// How a service fared.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Service {
    pub(crate) requests: u64,
    /// From when a request was due to its end.
    pub(crate) latency_ns: Percentiles,
    /// From its beginning to its end: what the caches did to it.
    pub(crate) work_ns: Percentiles,
    /// The median latency of each repeat, in nanoseconds.
    pub(crate) p50_repeats: Repeated,
    pub(crate) p99_repeats: Repeated,
}

/// A service beside a load.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Beside {
    pub(crate) backend: &'static str,
    pub(crate) level: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) huffman: Option<&'static str>,
    pub(crate) performed_by: &'static str,
    pub(crate) unit_size: usize,
    pub(crate) batch: usize,
    /// What the load came to, in pages of 4 KiB.
    pub(crate) pages_per_second: f64,
    /// The load's share of the CPU.
    pub(crate) cpu_share: f64,
    pub(crate) service: Service,
    /// Of all pages of the load.
    pub(crate) report: Report,
    pub(crate) bad_pages: u64,
}

/// Who did the pages of one pass of compression.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Report {
    pub(crate) hardware_pages: u64,
    pub(crate) modelled_pages: u64,
    pub(crate) software_pages: u64,
    pub(crate) same_filled_pages: u64,
    pub(crate) failed_pages: u64,
    /// Only the reasons that occurred.
    #[serde(serialize_with = "as_map")]
    #[cfg_attr(test, schemars(with = "std::collections::BTreeMap<String, u64>"))]
    pub(crate) fallbacks: Vec<(FallbackReason, u64)>,
    /// Why no device was used, if one was meant to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unavailable: Option<Unavailable>,
}

/// The link that is missing between the program and a device.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Unavailable {
    pub(crate) link: &'static str,
    pub(crate) found: String,
    pub(crate) fix: Vec<String>,
}

impl From<&pagepress::Unavailable> for Unavailable {
    fn from(unavailable: &pagepress::Unavailable) -> Self {
        Self {
            link: unavailable.link(),
            found: unavailable.found().to_owned(),
            fix: unavailable.fix().to_vec(),
        }
    }
}

fn as_map<S: Serializer>(reasons: &[(FallbackReason, u64)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(reasons.iter().map(|(reason, n)| (reason.name(), n)))
}

/// What was done through one work queue.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) submitted: u64,
    pub(crate) completed: u64,
    pub(crate) refused: u64,
    pub(crate) page_faults: u64,
    pub(crate) timeouts: u64,
    pub(crate) errors: u64,
    pub(crate) mismatches: u64,
    pub(crate) put_aside: u64,
}

impl From<DeviceStats> for Queue {
    fn from(stats: DeviceStats) -> Self {
        Self {
            name: stats.name,
            submitted: stats.submitted,
            completed: stats.completed,
            refused: stats.refused,
            page_faults: stats.page_faults,
            timeouts: stats.timeouts,
            errors: stats.errors,
            mismatches: stats.mismatches,
            put_aside: stats.put_aside,
        }
    }
}

/// How calls found a context, in all passes.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Calls {
    pub(crate) compress: Done,
    pub(crate) decompress: Done,
    pub(crate) on_neighbours: u64,
    pub(crate) on_spares: u64,
    pub(crate) waits: u64,
    pub(crate) waited_seconds: f64,
}

impl From<pagepress::Stats> for Calls {
    fn from(stats: pagepress::Stats) -> Self {
        Self {
            compress: Done::from(&stats.compress),
            decompress: Done::from(&stats.decompress),
            on_neighbours: stats.neighbour_calls,
            on_spares: stats.spare_calls,
            waits: stats.waits,
            waited_seconds: stats.waited.as_secs_f64(),
        }
    }
}

impl Calls {
    /// Who did the pages that needed a codec: what the report of one pass says, unless
    /// software did pages for the device in another, or on the way back.
    pub(crate) fn performed_by(&self, report: &Report) -> &'static str {
        match report.performed_by() {
            "hardware" | "modelled" if self.fallbacks().next().is_some() => "mixed",
            by => by,
        }
    }

    /// Pages that software did for a device, of all passes.
    pub(crate) fn fallbacks(&self) -> impl Iterator<Item = (&'static str, &FallbackReason, u64)> {
        let ways = [
            ("compressing", &self.compress),
            ("decompressing", &self.decompress),
        ];
        ways.into_iter().flat_map(|(way, done)| {
            let reasons = done.fallbacks.iter();
            reasons.map(move |(reason, pages)| (way, reason, *pages))
        })
    }
}

/// Who did the pages of all passes one way, warm-up included.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Done {
    pub(crate) pages: u64,
    pub(crate) hardware_pages: u64,
    pub(crate) modelled_pages: u64,
    pub(crate) software_pages: u64,
    /// Only the reasons that occurred.
    #[serde(serialize_with = "as_map")]
    #[cfg_attr(test, schemars(with = "std::collections::BTreeMap<String, u64>"))]
    pub(crate) fallbacks: Vec<(FallbackReason, u64)>,
}

impl From<&pagepress::Report> for Done {
    fn from(report: &pagepress::Report) -> Self {
        Self {
            pages: report.pages(),
            hardware_pages: report.hardware_pages(),
            modelled_pages: report.modelled_pages(),
            software_pages: report.software_pages(),
            fallbacks: report.fallback_reasons().collect(),
        }
    }
}

/// Bytes that one context holds.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Memory {
    pub(crate) dst_buffers: usize,
    pub(crate) codec_state: usize,
    pub(crate) rest: usize,
}

impl Report {
    pub(crate) fn new(
        report: &pagepress::Report,
        unavailable: Option<&pagepress::Unavailable>,
    ) -> Self {
        Self {
            hardware_pages: report.hardware_pages(),
            modelled_pages: report.modelled_pages(),
            software_pages: report.software_pages(),
            same_filled_pages: report.same_filled_pages(),
            failed_pages: report.failed_pages(),
            fallbacks: report.fallback_reasons().collect(),
            unavailable: unavailable.map(Unavailable::from),
        }
    }

    /// Who did the pages that needed a codec.
    pub(crate) fn performed_by(&self) -> &'static str {
        let device = self.hardware_pages - self.modelled_pages;
        match (self.software_pages, device, self.modelled_pages) {
            (0, 0, 0) => "none",
            (_, 0, 0) => "software",
            (0, _, 0) => "hardware",
            (0, 0, _) => "modelled",
            _ => "mixed",
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::bench::made_up;
    use pagepress::FallbackReason;

    /// Pages that software did in later passes only, or on the way back, still show.
    #[test]
    fn a_fallback_in_any_pass_is_mixed() {
        for backend in ["iaa", "model"] {
            let mut run = made_up::run(backend, 8, 1000.0);
            assert_eq!(run.calls.performed_by(&run.report), run.performed_by);
            run.calls.decompress.fallbacks = vec![(FallbackReason::ALL[0], 3)];
            assert_eq!(run.calls.performed_by(&run.report), "mixed");
            let told: Vec<_> = run.calls.fallbacks().collect();
            assert_eq!(told, [("decompressing", &FallbackReason::ALL[0], 3)]);
        }
        let run = made_up::run("lz4", 8, 1000.0);
        assert_eq!(run.calls.performed_by(&run.report), "software");
    }
}
