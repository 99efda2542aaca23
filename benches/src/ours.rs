//! Our deflate, tier by tier, without a pool around it: as the library has it, probe for
//! random pages included.

use crate::PAGE;
use crate::rivals::Rival;
use pagepress_fallback::PageCodec;
use pagepress_fallback::deflate::{self, Deflate};
use pagepress_fallback::tables::{Tables, Trainer};
use std::sync::Arc;

/// The software codec at this level.
///
/// # Panics
/// If there is no memory.
#[must_use]
pub fn level(level: i32) -> Rival {
    let context = || Deflate::new(PAGE, level).expect("memory for a context");
    let (mut writer, mut reader) = (context(), context());
    let tier = match level {
        deflate::DEFAULT_LEVEL => "fixed",
        deflate::DYNAMIC_LEVEL => "dynamic",
        _ => "zlib-rs",
    };
    Rival {
        name: format!("ours, {tier}"),
        compress: Box::new(move |page, dst| writer.compress(page, dst, PAGE - 1).ok()),
        decompress: Box::new(move |src, page| reader.decompress(src, page).is_ok()),
    }
}

/// Tables for pages such as these; those that serve any if there are none.
///
/// # Panics
/// If there is no memory.
#[must_use]
pub fn train<'a>(pages: impl IntoIterator<Item = &'a [u8]>) -> Arc<Tables> {
    let mut trainer = Trainer::new(PAGE).expect("memory for a trainer");
    for page in pages {
        trainer.add(page);
    }
    Arc::new(trainer.tables().unwrap_or_else(Tables::flat))
}

/// Canned pages.
///
/// # Panics
/// If there is no memory.
#[must_use]
pub fn canned(tables: &Arc<Tables>) -> Rival {
    let context = || Deflate::canned(PAGE, Arc::clone(tables)).expect("memory for a context");
    let (mut writer, mut reader) = (context(), context());
    Rival {
        name: "ours, canned".into(),
        compress: Box::new(move |page, dst| writer.compress(page, dst, PAGE - 1).ok()),
        decompress: Box::new(move |src, page| reader.decompress_canned(src, page).is_ok()),
    }
}
