//! Pages of many kinds, the same every time.

/// A generator of numbers (SplitMix64).
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

const PAGE: usize = 4096;

/// A page of pieces: runs, copies of what came before at any distance, words,
/// noise, each of any length.
fn pieced(random: &mut Random) -> Vec<u8> {
    let mut page = Vec::with_capacity(PAGE + 600);
    let noisy = random.below(4);
    while page.len() < PAGE {
        let most = 1 << random.below(10);
        let len = 1 + random.below(most);
        match random.below(4 + noisy) {
            0 => page.resize(page.len() + len, random.next() as u8),
            1 if !page.is_empty() => {
                let distance = 1 + random.below(page.len());
                for _ in 0..len {
                    page.push(page[page.len() - distance]);
                }
            }
            2 => {
                let text = include_bytes!("kinds.rs");
                let at = random.below(text.len() - 600);
                page.extend(&text[at..at + len.min(600)]);
            }
            3 => page.extend((0..len as u32).flat_map(u32::to_le_bytes)),
            _ => page.extend((0..len).map(|_| random.next() as u8)),
        }
    }
    page.truncate(PAGE);
    page
}

/// Pages to draw from: some of one word, some noise, most of pieces.
pub(crate) fn pages(count: usize) -> Vec<Vec<u8>> {
    let mut random = Random(20_260_101);
    let page = |i: usize| match i % 16 {
        0 => vec![i as u8; PAGE],
        1 => (0..PAGE).map(|_| random.next() as u8).collect(),
        2 => (0..PAGE).map(|_| b"ACGT"[random.below(4)]).collect(),
        3 => {
            let mut page = vec![0; PAGE];
            page[random.below(PAGE)] = 1;
            page
        }
        _ => pieced(&mut random),
    };
    (0..count).map(page).collect()
}
