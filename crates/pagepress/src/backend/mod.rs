//! The backends, each adapting a lower floor to the trait layer.

pub(crate) mod software;
