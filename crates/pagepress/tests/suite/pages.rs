//! Pages of every kind, for all tests to draw from.

use pagepress::UnitSize;

/// Every unit size.
pub(crate) fn units() -> impl Iterator<Item = UnitSize> {
    (12..=16).map(|log| UnitSize::new(1 << log).expect("a power of two in range"))
}

/// A small generator of random numbers (xorshift64), so that tests need no
/// crate and repeat themselves.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// One page of every kind that codecs treat differently, with its name.
pub(crate) fn kinds(unit: UnitSize) -> Vec<(&'static str, Vec<u8>)> {
    let len = unit.bytes();
    let mut random = Random::new(len as u64);
    let cycle = |bytes: &[u8]| bytes.iter().copied().cycle().take(len).collect::<Vec<u8>>();
    let mut kinds = vec![
        ("zeroes", vec![0; len]),
        ("ones", vec![0xFF; len]),
        (
            "a repeated word",
            cycle(&0x0123_4567_89AB_CDEFu64.to_le_bytes()),
        ),
        ("a repeated 9-byte string", cycle(b"123456789")),
        ("random", random.bytes(len)),
        ("text", text(len)),
        ("this program's code", program(len)),
        (
            "all byte values in order",
            (0..len).map(|i| i as u8).collect(),
        ),
        (
            "few values, no order",
            (0..len).map(|_| b"ACGT"[random.below(4)]).collect(),
        ),
        (
            "counting words",
            (0..len as u32 / 4).flat_map(u32::to_le_bytes).collect(),
        ),
        ("pointers", pointers(len, &mut random)),
    ];
    let mut page = vec![0; len];
    for (at, name) in [
        (0, "first byte set"),
        (len / 2, "one byte set"),
        (len - 1, "last byte set"),
    ] {
        page.fill(0);
        page[at] = 1;
        kinds.push((name, page.clone()));
    }
    let mut page = random.bytes(len);
    page[len / 2..].fill(0);
    kinds.push(("half random, half zero", page));
    let mut page = random.bytes(len);
    page.copy_within(..len / 8, len - len / 8);
    kinds.push(("random, its start repeated at its end", page));
    let mut page = random.bytes(len);
    page[7..7 + 80].fill(b'=');
    kinds.push(("random but for 80 bytes", page));
    kinds
}

fn text(len: usize) -> Vec<u8> {
    let source = include_bytes!("../../src/pool.rs");
    source.iter().copied().cycle().take(len).collect()
}

fn program(len: usize) -> Vec<u8> {
    let path = std::env::current_exe().expect("a test has a path");
    let bytes = std::fs::read(path).expect("a test can read itself");
    // Past the headers, into code.
    bytes.into_iter().skip(1 << 16).take(len).collect()
}

fn pointers(len: usize, random: &mut Random) -> Vec<u8> {
    (0..len / 8)
        .flat_map(|_| (0x7F3A_0000_0000 + (random.next() & 0xFFF_FFF8)).to_le_bytes())
        .collect()
}
