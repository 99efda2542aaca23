//! The backends, each adapting a lower floor to the trait layer.

#[cfg(feature = "iaa")]
pub(crate) mod iaa;
#[cfg_attr(
    not(any(feature = "lz4", feature = "zstd", feature = "deflate")),
    expect(dead_code, reason = "without a codec no software context is ever made")
)]
pub(crate) mod software;
