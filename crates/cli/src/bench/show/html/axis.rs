//! Axes: which values go where, and which of them have a name.

/// One axis of a plot.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) label: &'static str,
    low: f64,
    high: f64,
    is_log: bool,
    ticks: Vec<Tick>,
}

/// A value with a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) name: String,
}

/// Room at either end, as a share of the axis.
const MARGIN: f64 = 0.06;

impl Axis {
    /// Equal factors at equal distances. Values must be positive.
    pub(super) fn log(
        label: &'static str,
        values: impl Iterator<Item = f64>,
        name: fn(f64) -> String,
    ) -> Self {
        let (low, high) = bounds(values.filter(|&value| value > 0.0)).unwrap_or((1.0, 10.0));
        // A factor of three at least, so that there is a tick.
        let middle = (low * high).sqrt();
        let (low, high) = (low.min(middle / 1.8), high.max(middle * 1.8));
        let room = (high / low).powf(MARGIN);
        let (low, high) = (low / room, high * room);
        let steps: &[f64] = match (high / low).log10() {
            decades if decades < 1.0 => &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
            decades if decades < 3.0 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let ticks = decades
            .flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)))
            .filter(|at| (low..=high).contains(at))
            .map(|at| Tick { at, name: name(at) })
            .collect();
        Self {
            label,
            low,
            high,
            is_log: true,
            ticks,
        }
    }

    /// Powers of two at equal distances, ticks at the values.
    pub(super) fn log2(label: &'static str, values: &[usize]) -> Self {
        let (low, high) = bounds(values.iter().map(|&n| n as f64)).unwrap_or((1.0, 2.0));
        let (low, high) = if low < high {
            (low, high)
        } else {
            (low / 2.0, high * 2.0)
        };
        let room = (high / low).powf(MARGIN);
        let mut axis = Self {
            label,
            low: low / room,
            high: high * room,
            is_log: true,
            ticks: Vec::new(),
        };
        let mut values = values.to_vec();
        values.sort_unstable();
        for at in values.into_iter().map(|n| n as f64) {
            // Names must not run into each other.
            let far = |last: &Tick| axis.share(at) - axis.share(last.at) > 0.07;
            if axis.ticks.last().is_none_or(far) {
                let name = at.to_string();
                axis.ticks.push(Tick { at, name });
            }
        }
        axis
    }

    /// Equal differences at equal distances.
    pub(super) fn linear(label: &'static str, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(values).unwrap_or((0.0, 1.0));
        let range = (high - low).max(high.abs() * 0.1).max(1e-3);
        let step = step(range / 5.0);
        let low = ((low - range * MARGIN) / step).floor() * step;
        let high = ((high + range * MARGIN) / step).ceil() * step;
        let places = (-step.log10().floor()).max(0.0) as usize;
        let ticks = (0..=((high - low) / step).round() as i32)
            .map(|n| low + step * f64::from(n))
            .map(|at| Tick {
                at,
                name: format!("{at:.places$}"),
            })
            .collect();
        Self {
            label,
            low,
            high,
            is_log: false,
            ticks,
        }
    }

    /// Names at equal distances, at 0, 1, 2 and so on.
    pub(super) fn names(label: &'static str, names: &[&str]) -> Self {
        let ticks = names.iter().enumerate().map(|(at, &name)| Tick {
            at: at as f64,
            name: name.to_owned(),
        });
        Self {
            label,
            low: -0.2,
            high: names.len() as f64 - 0.8,
            is_log: false,
            ticks: ticks.collect(),
        }
    }

    pub(super) fn ticks(&self) -> &[Tick] {
        &self.ticks
    }

    /// Where a value is, from 0 to 1; `None` if it is not on the axis.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        let share = self.share(value);
        (-1e-9..=1.0 + 1e-9).contains(&share).then_some(share)
    }

    fn share(&self, value: f64) -> f64 {
        if self.is_log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }
}

fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .filter(|value| value.is_finite())
        .fold(None, |bounds, value| match bounds {
            None => Some((value, value)),
            Some((low, high)) => Some((value.min(low), value.max(high))),
        })
}

/// The next round step.
fn step(least: f64) -> f64 {
    let decade = 10f64.powf(least.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0];
    let fits = round
        .into_iter()
        .find(|step| step * decade >= least * 0.999);
    fits.unwrap_or(10.0) * decade
}

/// A time.
pub(super) fn time(ns: f64) -> String {
    match ns {
        n if n >= 0.9995e9 => format!("{} s", short(n / 1e9)),
        n if n >= 0.9995e6 => format!("{} ms", short(n / 1e6)),
        n if n >= 0.9995e3 => format!("{} \u{b5}s", short(n / 1e3)),
        n => format!("{} ns", short(n)),
    }
}

/// A speed.
pub(super) fn gigabytes(n: f64) -> String {
    short(n)
}

/// A factor.
pub(super) fn times(n: f64) -> String {
    format!("{}\u{d7}", short(n))
}

/// Three digits, no more.
fn short(n: f64) -> String {
    if !n.is_finite() {
        return "-".to_owned();
    }
    let digits = if n == 0.0 {
        0.0
    } else {
        n.abs().log10().floor()
    };
    let places = (2.0 - digits).clamp(0.0, 6.0) as usize;
    let text = format!("{n:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_values_have_ticks_on_their_axis() {
        let sets: [&[f64]; 7] = [
            &[],
            &[f64::NAN],
            &[740.0],
            &[0.02, 1e9],
            &[1.0, 1.001],
            &[512.0, 512.0],
            &[3.0, 4.1, 5.2],
        ];
        for values in sets {
            let all = || values.iter().copied();
            for axis in [Axis::log("", all(), time), Axis::linear("", all())] {
                assert!((2..=25).contains(&axis.ticks().len()), "{axis:?}");
                let places = axis.ticks().iter().map(|tick| axis.place(tick.at).unwrap());
                assert!(places.is_sorted(), "{axis:?}");
                let mut names: Vec<_> = axis.ticks().iter().map(|tick| &tick.name).collect();
                names.dedup();
                assert_eq!(names.len(), axis.ticks().len(), "{axis:?}");
                let finite = all().filter(|value| value.is_finite());
                assert!(
                    finite.clone().all(|value| axis.place(value).is_some()),
                    "{axis:?}"
                );
            }
        }
        let batches: Vec<usize> = (1..=100).collect();
        let axis = Axis::log2("", &batches);
        let places: Vec<f64> = axis
            .ticks()
            .iter()
            .map(|tick| axis.place(tick.at).unwrap())
            .collect();
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] > 0.07));
        assert_eq!(Axis::log2("", &[8]).ticks()[0].name, "8");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.4, 742.31, 1523.0, 99_999_999.0, 2e9].map(time),
            ["0.4 ns", "742 ns", "1.52 \u{b5}s", "100 ms", "2 s"]
        );
        assert_eq!(times(0.05), "0.05\u{d7}");
        assert_eq!(gigabytes(100.0), "100");
    }
}
