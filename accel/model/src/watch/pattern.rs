//! What destinations are filled with.

/// Bytes that are another pattern for every descriptor: so a buffer that was
/// lent twice does not look untouched.
pub(super) fn of(number: u64, len: usize) -> Vec<u8> {
    let word = |i: u64| {
        let seed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ i;
        seed.wrapping_mul(0xBF58_476D_1CE4_E5B9).to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..len.div_ceil(8) as u64).flat_map(word).collect();
    bytes.truncate(len);
    bytes
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn patterns_differ_by_number_and_are_as_long_as_asked() {
        assert_eq!(of(1, 0), []);
        assert_eq!(of(1, 4095)[..100], of(1, 100));
        let (one, two) = (of(1, 4096), of(2, 4096));
        let same = one.iter().zip(&two).filter(|(a, b)| a == b);
        assert!(same.count() < 200);
    }
}
