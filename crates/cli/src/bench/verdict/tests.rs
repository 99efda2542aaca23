use super::*;
use crate::bench::made_up::{PAGES, direction, run};

fn find(judgement: &Judgement, measure: Measure, direction: Way) -> &BreakEven {
    let mut found = judgement
        .break_even
        .iter()
        .filter(|it| (it.measure, it.direction) == (measure, direction));
    let it = found.next().unwrap();
    assert!(found.next().is_none(), "{judgement:?}");
    it
}

fn outcomes(it: &BreakEven) -> Vec<Outcome> {
    it.points.iter().map(|point| point.outcome).collect()
}

/// A device that has these times at these batches, against lz4 at 1000 ns.
fn against_lz4(times: &[(usize, f64)]) -> Judgement {
    let ours = times.iter().map(|&(batch, ns)| run("iaa", batch, ns));
    let theirs = times.iter().map(|&(batch, _)| run("lz4", batch, 1000.0));
    judge(&ours.chain(theirs).collect::<Vec<_>>())
}

use Outcome::{Better, Undecided, Worse};

#[test]
fn a_device_breaks_even_at_a_batch() {
    let judgement = against_lz4(&[(32, 400.0), (1, 2000.0), (8, 800.0)]);
    assert_eq!(judgement.break_even.len(), 5);
    let time = find(&judgement, Measure::NsPerPage, Way::Compress);
    assert_eq!(outcomes(time), [Worse, Better, Better]);
    assert_eq!(time.from_batch, Some(8));
    let advantages: Vec<f64> = time.points.iter().map(|point| point.advantage).collect();
    assert_eq!(advantages, [0.5, 1.25, 2.5]);
    assert_eq!(
        judgement.sentences,
        [
            "Time per page, compressing: iaa:fixed beats lz4 from batch 8 on; decompressing: it beats \
             lz4 from batch 8 on.",
            "CPU time per GB, compressing: iaa:fixed beats lz4 from batch 8 on; decompressing: it \
             beats lz4 from batch 8 on.",
            "Memory saved per CPU second, compressing: iaa:fixed beats lz4 from batch 8 on.",
        ]
    );
}

#[test]
fn every_shape_of_a_sweep_has_its_words() {
    let told = |times: &[(usize, f64)]| {
        let judgement = against_lz4(times);
        let from = find(&judgement, Measure::NsPerPage, Way::Compress).from_batch;
        let sentence = judgement.sentences[0].clone();
        (
            from,
            sentence
                .split(';')
                .next()
                .unwrap()
                .replace("Time per page, compressing: iaa:fixed ", ""),
        )
    };
    let said = |from, words: &str| (from, words.to_owned());
    assert_eq!(told(&[(8, 500.0)]), said(Some(8), "beats lz4 at batch 8"));
    assert_eq!(
        told(&[(1, 900.0), (8, 500.0)]),
        said(Some(1), "beats lz4 at every batch measured")
    );
    assert_eq!(
        told(&[(1, 900.0), (8, 5000.0)]),
        said(None, "beats lz4 at batch 1 only")
    );
    assert_eq!(
        told(&[(1, 900.0), (8, 5000.0), (32, 500.0)]),
        said(Some(32), "beats lz4 at batch 1 and 32 only")
    );
    assert_eq!(
        told(&[(1, 1005.0), (8, 5000.0)]),
        said(None, "does not beat lz4")
    );
    assert_eq!(
        told(&[(1, 1005.0), (8, 995.0)]),
        said(None, "shows no difference to be told from lz4")
    );
}

/// The larger spread of the two decides, whosever it is.
#[test]
fn a_difference_within_the_spread_is_none() {
    let outcome = |ours: Option<f64>, theirs: Option<f64>| {
        let (mut device, mut software) = (run("iaa", 8, 900.0), run("zstd", 8, 1000.0));
        device.compress.repeats.spread = ours;
        software.compress.repeats.spread = theirs;
        let judgement = judge(&[device, software]);
        let point = &find(&judgement, Measure::NsPerPage, Way::Compress).points[0];
        (point.outcome, point.larger_spread)
    };
    assert_eq!(outcome(Some(0.02), Some(0.02)), (Better, Some(20.0)));
    assert_eq!(outcome(Some(0.2), Some(0.02)), (Undecided, Some(180.0)));
    assert_eq!(outcome(Some(0.02), Some(0.2)), (Undecided, Some(200.0)));
    // Too few repeats to know.
    assert_eq!(outcome(None, Some(0.02)), (Undecided, None));
    assert_eq!(outcome(Some(0.02), None), (Undecided, None));
}

#[test]
fn only_like_is_compared_with_like() {
    let mut other_unit = run("lz4", 8, 1.0);
    other_unit.unit_size = 16384;
    let mut other_threads = run("lz4", 8, 1.0);
    other_threads.threads = 2;
    let alone = judge(&[run("iaa", 8, 500.0), other_unit, other_threads]);
    assert!(alone.break_even.is_empty());
    assert_eq!(
        alone.sentences,
        ["iaa:fixed: no software run has its unit size and threads, so it is not compared."]
    );

    // Without a run of its batch, the best: that is another one each way.
    let mut slow = run("lz4", 4, 1000.0);
    slow.decompress = direction(10.0);
    let fast = run("lz4", 16, 600.0);
    let judgement = judge(&[run("iaa", 8, 500.0), slow, fast]);
    let batch = |way| find(&judgement, Measure::NsPerPage, way).points[0].software_batch;
    assert_eq!((batch(Way::Compress), batch(Way::Decompress)), (16, 4));
    // With one, that one, however good the others are.
    let runs = [
        run("iaa", 8, 500.0),
        run("lz4", 8, 1000.0),
        run("lz4", 16, 600.0),
    ];
    let judgement = judge(&runs);
    let point = &find(&judgement, Measure::NsPerPage, Way::Compress).points[0];
    assert_eq!((point.software_batch, point.software), (8, 1000.0));
}

/// By zsmalloc for pages, and by compressed bytes for larger units.
#[test]
fn memory_saved_by_cpu_time() {
    let saved = |unit: usize, zsmalloc: Option<f64>| {
        let mut runs = [run("iaa", 8, 4096.0), run("lz4", 8, 8192.0)];
        for run in &mut runs {
            (run.unit_size, run.ratio_in_zsmalloc, run.ratio) = (unit, zsmalloc, 5.0);
        }
        let judgement = judge(&runs);
        let it = find(&judgement, Measure::BytesSavedPerCpuSecond, Way::Compress);
        assert_eq!(outcomes(it), [Better]);
        assert!((it.points[0].advantage - 2.0).abs() < 1e-9);
        it.points[0].device
    };
    // A CPU second by GB.
    assert!((saved(4096, Some(4.0)) / 0.75e9 - 1.0).abs() < 1e-9);
    assert!((saved(16384, None) / 0.8e9 - 1.0).abs() < 1e-9);
    // All same-filled: nothing is kept.
    assert!((saved(4096, None) / 1e9 - 1.0).abs() < 1e-9);
}

#[test]
fn a_model_is_called_one_in_every_sentence() {
    let judgement = judge(&[run("model", 8, 500.0), run("lz4", 8, 1000.0)]);
    assert!(judgement.break_even.iter().all(|it| it.modelled));
    assert!(judgement.sentences.len() > 3);
    for sentence in &judgement.sentences {
        assert!(
            sentence.contains("modelled") && !sentence.contains("hardware"),
            "{sentence}"
        );
    }
    // A device beside it stays one.
    let both = judge(&[
        run("model", 8, 500.0),
        run("iaa", 8, 500.0),
        run("lz4", 8, 1000.0),
    ]);
    let of_iaa = both
        .sentences
        .iter()
        .filter(|sentence| sentence.contains("iaa:fixed"));
    assert!(of_iaa.clone().count() == 3 && !of_iaa.clone().any(|it| it.contains("modelled")));
}

/// In any pass, either way: the report of the first pass alone would not know.
#[test]
fn pages_by_software_are_told() {
    let mut device = run("iaa", 8, 500.0);
    device.calls.decompress.software_pages = 12;
    device.calls.decompress.hardware_pages -= 12;
    let judgement = judge(&[device, run("iaa", 32, 500.0), run("lz4", 8, 1000.0)]);
    let told = format!("iaa:fixed (12 of {} pages by software)", 4 * PAGES);
    assert_eq!(judgement.sentences.len(), 3);
    for sentence in &judgement.sentences {
        assert!(sentence.contains(&told), "{sentence}");
    }
    let points = &find(&judgement, Measure::NsPerPage, Way::Decompress).points;
    assert_eq!((points[0].software_pages, points[0].pages), (12, PAGES));

    let mut software = run("iaa", 8, 500.0);
    for done in [&mut software.calls.compress, &mut software.calls.decompress] {
        (done.hardware_pages, done.software_pages) = (0, PAGES);
    }
    let judgement = judge(&[software, run("lz4", 8, 1000.0)]);
    assert!(judgement.break_even.is_empty());
    let all = 2 * PAGES;
    assert_eq!(
        judgement.sentences,
        [format!(
            "iaa:fixed ({all} of {all} pages by software): nothing of it was done by a device, so it \
             is not compared."
        )]
    );
}

#[test]
fn software_alone_is_no_word_on_devices() {
    // Half as fast and twice the savings: nobody saves most.
    let [mut lz4, mut slower] = [run("lz4", 8, 500.0), run("lz4", 1, 600.0)];
    (lz4.ratio_in_zsmalloc, slower.ratio_in_zsmalloc) = (Some(1.5), Some(1.5));
    let mut zstd = run("zstd", 8, 1000.0);
    zstd.compressed_bytes = 1;
    zstd.ratio_in_zsmalloc = Some(3.0);
    let mut auto = run("lz4", 8, 1.0);
    auto.backend = "auto";
    let judgement = judge(&[lz4, slower, zstd, auto]);
    assert!(judgement.break_even.is_empty());
    assert_eq!(
        judgement.sentences,
        [
            "Of the software measured, each at its best batch (4 KiB pages, 1 thread): lz4 compresses \
          fastest, lz4 decompresses fastest and zstd:1 keeps the pages smallest."
        ]
    );
    assert!(
        judge(&[run("lz4", 1, 1.0), run("lz4", 8, 2.0)])
            .sentences
            .is_empty()
    );
    assert!(judge(&[]).sentences.is_empty());
}

#[test]
fn wrong_pages_win_nothing() {
    let mut device = run("iaa", 32, 1.0);
    device.verified = false;
    let judgement = judge(&[run("iaa", 8, 2000.0), device, run("lz4", 8, 1000.0)]);
    let time = find(&judgement, Measure::NsPerPage, Way::Compress);
    assert_eq!(outcomes(time), [Worse]);
    let last = judgement.sentences.last().unwrap();
    assert!(last.contains("Runs of iaa:fixed are left out"), "{last}");
}

#[test]
fn no_figure_is_no_point() {
    let judgement = judge(&[run("iaa", 8, f64::NAN), run("lz4", 8, 1000.0)]);
    assert!(judgement.break_even.is_empty());
    let judgement = judge(&[
        run("iaa", 8, 500.0),
        run("lz4", 8, f64::NAN),
        run("lz4", 1, 1e3),
    ]);
    let time = find(&judgement, Measure::NsPerPage, Way::Compress);
    assert_eq!(time.points[0].software_batch, 1);
}
