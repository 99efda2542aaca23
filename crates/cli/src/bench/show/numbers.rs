//! Numbers for people, short enough for tables of 100 columns.

/// A unit size as users type it.
pub(crate) fn unit_name(bytes: usize) -> String {
    format!("{}k", bytes / 1024)
}

/// So many of something.
pub(crate) fn plural(n: u64, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {what}{s}")
}

pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// A number of up to five places.
pub(crate) fn figure(n: f64) -> String {
    match n {
        n if !n.is_finite() => "-".to_owned(),
        n if n >= 9_999_500_000.0 => format!("{:.0}G", n / 1e9),
        n if n >= 99_999_500.0 => format!("{:.0}M", n / 1e6),
        n if n >= 9_999_500.0 => format!("{:.1}M", n / 1e6),
        n if n >= 99_999.5 => format!("{:.0}k", n / 1e3),
        n => format!("{n:.0}"),
    }
}

/// A ratio of up to five places.
pub(crate) fn ratio(n: f64) -> String {
    if n < 9.9995 {
        format!("{n:.3}")
    } else {
        hundredths(n)
    }
}

/// Up to five places, two of them behind the point where there is room.
pub(crate) fn hundredths(n: f64) -> String {
    if n < 99.995 {
        format!("{n:.2}")
    } else {
        tenths(n)
    }
}

/// Up to five places, one of them behind the point where there is room.
pub(super) fn tenths(n: f64) -> String {
    if n < 999.95 {
        format!("{n:.1}")
    } else {
        figure(n)
    }
}

/// A share of up to five places.
pub(super) fn share(n: f64) -> String {
    if n < 0.9995 {
        percent(n)
    } else {
        "100%".to_owned()
    }
}

/// A spread of up to four places.
pub(crate) fn spread(n: f64) -> String {
    if n < 9.995 {
        format!("{:.0}%", n * 100.0)
    } else {
        ">10x".to_owned()
    }
}

pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stay_short() {
        let cases = [
            (0.4, "0"),
            (1523.0, "1523"),
            (99_999.4, "99999"),
            (185_437.0, "185k"),
            (1_234_567.0, "1235k"),
            (12_345_678.0, "12.3M"),
            (123_456_789.0, "123M"),
            (1_234_567_890_123.0, "1235G"),
            (f64::NAN, "-"),
        ];
        for (n, text) in cases {
            assert_eq!(figure(n), text);
        }
        // The widths that make the tables fit 100 columns.
        for n in (-30..=110).map(|tenth| 10f64.powf(f64::from(tenth) / 10.0)) {
            for text in [
                figure(n),
                tenths(n),
                hundredths(n),
                ratio(n),
                share(n.min(1.0)),
            ] {
                assert!(text.len() <= 5, "{n}: {text}");
            }
            assert!(spread(n).len() <= 4, "{n}");
        }
        assert_eq!(size(4096), "4 KiB");
        assert_eq!(size(3 << 19), "1.5 MiB");
        assert_eq!(size(5 << 30), "5.0 GiB");
        assert_eq!(
            (plural(1, "page"), plural(2, "page")),
            ("1 page".into(), "2 pages".into())
        );
    }
}
