//! Pools on modelled devices that fail as planned.

use pagepress::iaa::{Devices, Model, Modelled, Options};
use pagepress::{
    Backend, Codec, FallbackReason, Outcome, PageError, PerformedBy, Pool, Report, StoredBuf,
};

/// A pool on modelled devices, in virtual time.
pub(crate) fn pool(
    plan: &str,
    model: impl FnOnce(&mut Model),
    options: impl FnOnce(&mut Options),
) -> (Pool, Modelled) {
    let mut devices = Model::default();
    devices.timed = true;
    devices.faults = plan.parse().expect("a plan");
    model(&mut devices);
    let mut using = Options::default();
    options(&mut using);
    let (devices, modelled) = Devices::of_model(&devices);
    let pool = Pool::builder().devices(devices).iaa(using).build();
    (pool.expect("a sound pool"), modelled)
}

/// Pages that compress, each another.
pub(crate) fn pages(count: usize) -> Vec<Vec<u8>> {
    let page = |i: usize| {
        (0..4096)
            .map(|at| ((at / 9) * (at % 3 + 1) + 7 * i) as u8)
            .collect()
    };
    (0..count).map(page).collect()
}

/// How a batch ended.
pub(crate) struct Ended {
    pub(crate) report: Report,
    pub(crate) pages: Vec<Result<StoredBuf, PageError>>,
    /// Who did each page, if it was compressed.
    pub(crate) by: Vec<Option<PerformedBy>>,
}

impl Ended {
    /// The pages that ended in this error.
    pub(crate) fn refused(&self, reason: FallbackReason) -> u64 {
        let is =
            |page: &&Result<StoredBuf, PageError>| **page == Err(PageError::NotByDevice { reason });
        self.pages.iter().filter(is).count() as u64
    }

    /// Pages done by the model.
    pub(crate) fn modelled(&self) -> u64 {
        self.report.modelled_pages()
    }
}

/// Compresses a batch. Each page is told of once, the report says what was told,
/// and what was made of each page is that page, as plain deflate reads it.
pub(crate) fn compress(pool: &Pool, pages: &[Vec<u8>]) -> Ended {
    let mut told: Vec<Option<Result<StoredBuf, PageError>>> = vec![None; pages.len()];
    let mut by = vec![None; pages.len()];
    let report = pool.compress_batch(pages, |i, outcome| {
        if let Ok(Outcome::Compressed { performed_by, .. }) = outcome {
            by[i] = Some(performed_by);
        }
        let page = outcome.map(|outcome| outcome.to_stored(&pages[i]));
        assert!(told[i].replace(page).is_none(), "page {i} was told twice");
    });
    let ended = Ended {
        report,
        pages: told
            .into_iter()
            .map(|page| page.expect("each page is told of"))
            .collect(),
        by,
    };
    check(&ended, pages);
    ended
}

fn check(ended: &Ended, pages: &[Vec<u8>]) {
    let report = &ended.report;
    let count = |by| ended.by.iter().filter(|&&done| done == Some(by)).count() as u64;
    assert_eq!(report.pages(), pages.len() as u64);
    assert_eq!(report.modelled_pages(), count(PerformedBy::Modelled));
    assert_eq!(report.hardware_pages(), report.modelled_pages());
    assert_eq!(report.software_pages(), count(PerformedBy::Software));
    let failed = ended.pages.iter().filter(|page| page.is_err()).count();
    assert_eq!(report.failed_pages(), failed as u64);
    // Every page that software did is counted as a fallback, once.
    let reasons: u64 = report.fallback_reasons().map(|(_, pages)| pages).sum();
    assert_eq!(reasons, report.software_pages(), "{report:?}");

    let software = Pool::builder()
        .backend(Backend::Software)
        .codec(Codec::Deflate)
        .build()
        .expect("deflate is built");
    for (stored, page) in ended.pages.iter().zip(pages) {
        match stored {
            Ok(StoredBuf::Compressed {
                tables: Some(_), ..
            })
            | Err(_) => {}
            Ok(stored) => {
                let back = software.decompress(stored.as_stored());
                assert!(back.as_ref() == Ok(page), "another page came back");
            }
        }
    }
}

/// Decompresses what was compressed, and compares; the report.
pub(crate) fn decompress(pool: &Pool, stored: &[StoredBuf], pages: &[Vec<u8>]) -> Report {
    let list: Vec<_> = stored.iter().map(StoredBuf::as_stored).collect();
    let mut told = vec![0; pages.len()];
    let report = pool.decompress_batch(&list, |i, page| {
        assert!(page == Ok(&pages[i][..]), "page {i}: {:?}", page.err());
        told[i] += 1;
    });
    assert!(told.iter().all(|&times| times == 1), "{told:?}");
    report
}

/// What a sound pool makes of pages.
pub(crate) fn store(pool: &Pool, pages: &[Vec<u8>]) -> Vec<StoredBuf> {
    let ended = compress(pool, pages).pages;
    ended
        .into_iter()
        .map(|page| page.expect("a sound device"))
        .collect()
}
