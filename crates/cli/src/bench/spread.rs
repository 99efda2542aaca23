//! How far repeats of a measurement are apart.

use serde::Serialize;

/// A figure measured several times.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Repeated {
    /// In the order of the repeats.
    pub(crate) values: Vec<f64>,
    pub(crate) median: f64,
    /// The interquartile range by the median; `None` for fewer than 3 repeats.
    pub(crate) spread: Option<f64>,
}

impl Repeated {
    pub(crate) fn of(values: Vec<f64>) -> Self {
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let median = quantile(&sorted, 0.5);
        let range = quantile(&sorted, 0.75) - quantile(&sorted, 0.25);
        Self {
            spread: (sorted.len() >= 3 && median > 0.0).then(|| range / median),
            values,
            median,
        }
    }
}

/// By linear interpolation between neighbours, as spreadsheets and R (type 7)
/// do. Not a number if there is none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let at = share * last as f64;
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quartiles() {
        let five = Repeated::of(vec![5.0, 1.0, 2.0, 4.0, 3.0]);
        assert_eq!((five.median, five.spread), (3.0, Some(2.0 / 3.0)));
        assert_eq!(five.values[0], 5.0);
        let four = Repeated::of(vec![1.0, 2.0, 3.0, 4.0]);
        assert_eq!((four.median, four.spread), (2.5, Some(1.5 / 2.5)));
        assert_eq!(Repeated::of(vec![7.0, 8.0]).spread, None);
        assert!(Repeated::of(Vec::new()).median.is_nan());
    }
}
