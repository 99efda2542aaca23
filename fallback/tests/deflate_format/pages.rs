//! Pages.

/// Numbers without a pattern (xorshift).
pub(crate) fn noise(seed: u64) -> impl FnMut() -> u32 {
    let mut state = 88_172_645_463_325_252 ^ seed << 20;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u32
    }
}

pub(crate) fn random(len: usize, seed: u64) -> Vec<u8> {
    let mut next = noise(seed);
    (0..len).map(|_| next() as u8).collect()
}

/// Text, noise, words, noise with copies, and a run.
pub(crate) fn pages(unit: usize) -> Vec<Vec<u8>> {
    let source = include_str!("../../src/probe.rs").as_bytes();
    let text: Vec<u8> = source.iter().copied().cycle().take(unit).collect();
    let random = random(unit, 0);
    let words = (0..unit as u32 / 4)
        .flat_map(|i| (i * i).to_le_bytes())
        .collect();
    // Repeats at every distance up to and beyond the history.
    let mut repeats = random.clone();
    for at in (64..unit - 64).step_by(64) {
        let back = (at * 7 % 9000).clamp(1, at);
        repeats.copy_within(at - back..at - back + 40, at);
    }
    vec![text, random, words, repeats, vec![b'a'; unit]]
}
