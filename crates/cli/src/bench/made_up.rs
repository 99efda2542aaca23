//! Results that were not measured, for tests of what is made of them.

use super::figures::{
    Beside, Calls, Corunner, Data, Direction, Done, Input, Memory, Method, MmStat, Peer, PeerRun,
    Percentiles, Report, Results, Run, Service, Source,
};
use super::host::Host;
use super::spread::Repeated;
use super::verdict::judge;

/// Pages in each run.
pub(crate) const PAGES: u64 = 100;

/// One direction at this time per page, all of it CPU time, with a spread of 2 %.
pub(crate) fn direction(ns: f64) -> Direction {
    let percentiles = |ns: f64| Percentiles {
        p50: ns,
        p90: ns * 1.1,
        p99: ns * 1.5,
        p999: ns * 3.0,
        max: ns * 20.0,
        mean: ns * 1.05,
    };
    Direction {
        ns_per_page: percentiles(ns),
        ns_per_batch: percentiles(ns * 8.0),
        pages_per_second: 1e9 / ns,
        gb_per_second: 4096.0 / ns,
        cpu_seconds_per_gb: ns / 4096.0,
        tsc_ticks_per_page: None,
        repeats: Repeated {
            values: vec![ns; 3],
            median: ns,
            spread: Some(0.02),
        },
        timing_share: 0.001,
        timing_taken_off: false,
    }
}

/// A run of `iaa` (by hardware), `model` or a codec, of 4 KiB pages and one
/// thread, at this time per page both ways.
pub(crate) fn run(backend: &'static str, batch: usize, ns: f64) -> Run {
    let (hardware, modelled) = match backend {
        "iaa" => (PAGES, 0),
        "model" => (PAGES, PAGES),
        _ => (0, 0),
    };
    let done = || Done {
        pages: PAGES,
        hardware_pages: hardware,
        modelled_pages: modelled,
        software_pages: PAGES - hardware,
        fallbacks: Vec::new(),
    };
    let report = Report {
        hardware_pages: hardware,
        modelled_pages: modelled,
        software_pages: PAGES - hardware,
        same_filled_pages: 0,
        failed_pages: 0,
        fallbacks: Vec::new(),
        unavailable: None,
    };
    Run {
        backend,
        codec: if hardware > 0 { "deflate" } else { backend },
        level: matches!(backend, "zstd" | "deflate").then_some(1),
        huffman: (hardware > 0).then_some("fixed"),
        performed_by: report.performed_by(),
        unit_size: 4096,
        batch,
        threads: 1,
        pages: PAGES,
        compressed_bytes: PAGES * 2048,
        ratio: 2.0,
        ratio_without_same_filled: Some(2.0),
        ratio_in_zsmalloc: Some(2.0),
        incompressible_pages: 0,
        padded_pages: 0,
        padding_bytes: 0,
        dropped_same_filled: 0,
        passes: 3,
        seconds: 1.0,
        compress: direction(ns),
        decompress: direction(ns),
        data: Data {
            ratio: 2.0,
            compress_ns_per_4k: ns,
            decompress_ns_per_4k: ns,
        },
        against_smallest_unit: None,
        report,
        queues: Vec::new(),
        calls: Calls {
            compress: done(),
            decompress: done(),
            on_neighbours: 0,
            on_spares: 0,
            waits: 0,
            waited_seconds: 0.0,
        },
        memory: Memory::default(),
        verified: true,
        bad_pages: 0,
        first_bad: None,
    }
}

pub(crate) fn results(runs: Vec<Run>) -> Results {
    Results {
        corunner: None,
        peers: Vec::new(),
        host: Host::of_this_command(),
        input: Input {
            sources: vec![Source {
                name: "made up".to_owned(),
                ..Source::default()
            }],
            pages: PAGES,
            bytes: PAGES * 4096,
            sha256: "0123456789abcdef".repeat(4),
            ..Input::default()
        },
        method: Method {
            seconds: 1.0,
            repeats: 3,
            turn_seconds: 0.05,
            warm_up_bytes: 4096,
            timestamp_ns: 10.0,
            tsc_hz: None,
            interrupted: false,
            runs_asked: runs.len(),
            tables: None,
        },
        verdict: judge(&runs),
        runs,
    }
}

/// A service alone and beside lz4 and a model.
pub(crate) fn corunner() -> Corunner {
    let service = |ns: f64| Service {
        requests: 1000,
        latency_ns: direction(ns).ns_per_page,
        work_ns: direction(ns / 2.0).ns_per_page,
        p50_repeats: direction(ns).repeats,
        p99_repeats: direction(ns).repeats,
    };
    let beside = |backend, ns| {
        let run = run(backend, 8, ns);
        Beside {
            backend,
            level: run.level,
            huffman: run.huffman,
            performed_by: run.performed_by,
            unit_size: run.unit_size,
            batch: run.batch,
            pages_per_second: 999.0,
            cpu_share: 0.25,
            service: service(ns),
            report: run.report,
            bad_pages: 0,
        }
    };
    Corunner {
        cpu: 1,
        working_set_bytes: 1 << 18,
        hops: 1024,
        interval_us: 250.0,
        pages_per_second: 1000.0,
        burst_bytes: 32 << 12,
        alone: service(40_000.0),
        beside: vec![beside("lz4", 50_000.0), beside("model", 60_000.0)],
    }
}

/// A peer with one algorithm.
pub(crate) fn peer() -> Peer {
    let run = |algorithm: &str, ns| PeerRun {
        algorithm: algorithm.to_owned(),
        pages: PAGES,
        dropped_same_filled: 0,
        ratio: 2.5,
        effective_ratio: 2.0,
        same_filled_share: 0.0,
        incompressible_share: Some(0.01),
        mm_stat: MmStat {
            orig_data_size: PAGES * 4096,
            compr_data_size: PAGES * 1600,
            mem_used_total: PAGES * 2048,
            same_pages: 0,
            huge_pages: Some(1),
        },
        passes: 3,
        seconds: 1.0,
        store: direction(ns),
        load: direction(ns / 2.0),
        above_floor: None,
        verified: true,
        bad_pages: 0,
        first_bad: None,
    };
    Peer {
        peer: "zram",
        unit_size: 4096,
        threads: 1,
        algorithms_asked: 1,
        floor: Some(run("", 1000.0)),
        algorithms: vec![run("lzo-rle", 7000.0)],
    }
}
